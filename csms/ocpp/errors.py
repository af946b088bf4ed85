"""B1: the kinds of protocol error and each version's word for them."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

from csms.ocpp.versions import Version

MAX_DESCRIPTION_CHARS: Final = 255
"""Longest error description (OCPP-J 1.6, 4.2.3; 2.0.1 part 4, 4.2.3)."""


class ErrorKind(StrEnum):
    """What went wrong, whatever the version calls it."""

    NOT_IMPLEMENTED = "not implemented"
    NOT_SUPPORTED = "not supported"
    INTERNAL = "internal"
    PROTOCOL = "protocol"
    SECURITY = "security"
    FORMATION = "formation"
    PROPERTY_CONSTRAINT = "property constraint"
    OCCURRENCE_CONSTRAINT = "occurrence constraint"
    TYPE_CONSTRAINT = "type constraint"
    GENERIC = "generic"
    MESSAGE_TYPE_NOT_SUPPORTED = "message type not supported"
    RPC_FRAMEWORK = "RPC framework"


_WORDS_2: Final[Mapping[ErrorKind, str]] = {
    ErrorKind.NOT_IMPLEMENTED: "NotImplemented",
    ErrorKind.NOT_SUPPORTED: "NotSupported",
    ErrorKind.INTERNAL: "InternalError",
    ErrorKind.PROTOCOL: "ProtocolError",
    ErrorKind.SECURITY: "SecurityError",
    ErrorKind.FORMATION: "FormatViolation",
    ErrorKind.PROPERTY_CONSTRAINT: "PropertyConstraintViolation",
    ErrorKind.OCCURRENCE_CONSTRAINT: "OccurrenceConstraintViolation",
    ErrorKind.TYPE_CONSTRAINT: "TypeConstraintViolation",
    ErrorKind.GENERIC: "GenericError",
    ErrorKind.MESSAGE_TYPE_NOT_SUPPORTED: "MessageTypeNotSupported",
    ErrorKind.RPC_FRAMEWORK: "RpcFrameworkError",
}

# OCPP-J 1.6, table 7: ten words, one of them misspelt for ever; the two kinds it has no word for
# take the nearest one.
_WORDS_16: Final[Mapping[ErrorKind, str]] = {
    **_WORDS_2,
    ErrorKind.FORMATION: "FormationViolation",
    ErrorKind.OCCURRENCE_CONSTRAINT: "OccurenceConstraintViolation",
    ErrorKind.MESSAGE_TYPE_NOT_SUPPORTED: "GenericError",
    ErrorKind.RPC_FRAMEWORK: "ProtocolError",
}

WORDS: Final[Mapping[Version, Mapping[ErrorKind, str]]] = {
    Version.V16: _WORDS_16,
    Version.V201: _WORDS_2,
    Version.V21: _WORDS_2,
}


def word(kind: ErrorKind, version: Version) -> str:
    """The error code that stands for ``kind`` in a CALLERROR of ``version``."""
    return WORDS[version][kind]


class OcppError(Exception):
    """A message that is answered with a CALLERROR; carries what the CALLERROR says.

    ``description`` is made one line and cut to 255 characters. ``details`` is a JSON object.
    """

    def __init__(self, kind: ErrorKind, description: str = "", details: Mapping[str, Any] | None = None) -> None:
        self.kind = kind
        self.description = " ".join(description.split())[:MAX_DESCRIPTION_CHARS]
        self.details: Mapping[str, Any] = details or {}
        super().__init__(f"{kind}: {self.description}")
