"""S27: RFID and app tokens: groups, validity, blocking, and whether a token may charge."""

from csms.station.tokens.model import Token, TokenPolicy
from csms.station.tokens.rules import (
    UID_CHARS_MAX,
    ChainStatus,
    Hold,
    KnownToken,
    Place,
    Site,
    TokenKind,
    TokenStatus,
    UnknownTokens,
    Verdict,
    id_tag_info,
    id_token,
    id_token_info,
    kind_word,
    masked,
    numbers_at,
    read_id_token,
    token_key,
)
from csms.station.tokens.service import ContractCheck, Holds, authorise, known
from csms.station.tokens.words import refusal_of

NEEDS = ("station.information",)
__all__ = [
    "UID_CHARS_MAX",
    "ChainStatus",
    "ContractCheck",
    "Hold",
    "Holds",
    "KnownToken",
    "Place",
    "Site",
    "Token",
    "TokenKind",
    "TokenPolicy",
    "TokenStatus",
    "UnknownTokens",
    "Verdict",
    "authorise",
    "id_tag_info",
    "id_token",
    "id_token_info",
    "kind_word",
    "known",
    "masked",
    "numbers_at",
    "read_id_token",
    "refusal_of",
    "token_key",
]
