"""S27: the cards that a station remembers, in words."""

from csms.wording import DONE, Ask

WORDS = (Ask("ClearCache", "forget the cards it remembers", {"Accepted": DONE}),)
