"""S27: the cards that a station remembers, in words."""

from csms.wording import DONE, Ask, Example

WORDS = (Ask("ClearCache", "forget the cards it remembers", {"Accepted": DONE}),)

EXAMPLES = (Example("ClearCache", "Forget the cached authorisations", v16={}, v2={}),)
