"""S27: RFID and app tokens: groups, validity, blocking, and whether a token may charge."""

from csms.station.tokens.model import Token, TokenPolicy, UnknownTokens
from csms.station.tokens.rules import TokenStatus, Verdict, id_tag_info, masked, token_key
from csms.station.tokens.service import authorise

NEEDS = ()
__all__ = [
    "Token",
    "TokenPolicy",
    "TokenStatus",
    "UnknownTokens",
    "Verdict",
    "authorise",
    "id_tag_info",
    "masked",
    "token_key",
]
