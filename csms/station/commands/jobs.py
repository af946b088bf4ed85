"""B3: the sweeper of the command log."""

from csms.jobs import Job
from csms.station.commands.service import close_lost

JOBS = (Job("commands.close_lost", every_s=60, run=close_lost),)
