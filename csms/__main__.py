"""`python -m csms`."""

from csms.cli import main

main()
