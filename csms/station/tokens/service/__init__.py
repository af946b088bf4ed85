"""S27: finding, registering and judging tokens."""

from csms.station.tokens.service.judging import authorise, heard, known, load
from csms.station.tokens.service.memory import CACHED_FOR, ContractCheck, Holds, Recent

__all__ = ["CACHED_FOR", "ContractCheck", "Holds", "Recent", "authorise", "heard", "known", "load"]
