"""S15: the words of settings, one set for all versions of OCPP."""

from enum import StrEnum
from typing import Final


class AttributeKind(StrEnum):
    """Which value of a setting (2.0.1 part 2, AttributeEnumType); OCPP 1.6 has `actual` alone."""

    ACTUAL = "actual"
    TARGET = "target"
    MIN_SET = "min_set"
    MAX_SET = "max_set"


class Mutability(StrEnum):
    """What may be done with a value."""

    READ_ONLY = "read_only"
    WRITE_ONLY = "write_only"
    READ_WRITE = "read_write"


class DataType(StrEnum):
    """What a value looks like (2.0.1 part 2, DataEnumType)."""

    STRING = "string"
    DECIMAL = "decimal"
    INTEGER = "integer"
    DATE_TIME = "date_time"
    BOOLEAN = "boolean"
    OPTION_LIST = "option_list"
    """One of the allowed values."""
    SEQUENCE_LIST = "sequence_list"
    """Several of the allowed values, in order of preference."""
    MEMBER_LIST = "member_list"
    """Several of the allowed values, in any order."""


class SettingOutcome(StrEnum):
    """What came of changing one setting."""

    ACCEPTED = "accepted"
    REBOOT_REQUIRED = "reboot_required"
    """Taken, in force after the next restart."""
    REJECTED = "rejected"
    UNKNOWN = "unknown"
    """The station has no such setting."""
    UNSUPPORTED_ATTRIBUTE = "unsupported_attribute"
    """The station has the setting without that attribute."""
    NOT_ANSWERED = "not_answered"
    """Sent, and nothing certain came back; the station may have taken it."""
    NOT_SENT = "not_sent"
    OBSERVED = "observed"
    """Only in the history: the station told another value than before, so somebody else changed it."""


ATTRIBUTES: Final = {
    "Actual": AttributeKind.ACTUAL,
    "Target": AttributeKind.TARGET,
    "MinSet": AttributeKind.MIN_SET,
    "MaxSet": AttributeKind.MAX_SET,
}
OCPP_ATTRIBUTES: Final = {kind: word for word, kind in ATTRIBUTES.items()}
MUTABILITIES: Final = {
    "ReadOnly": Mutability.READ_ONLY,
    "WriteOnly": Mutability.WRITE_ONLY,
    "ReadWrite": Mutability.READ_WRITE,
}
DATA_TYPES: Final = {
    "string": DataType.STRING,
    "decimal": DataType.DECIMAL,
    "integer": DataType.INTEGER,
    "dateTime": DataType.DATE_TIME,
    "boolean": DataType.BOOLEAN,
    "OptionList": DataType.OPTION_LIST,
    "SequenceList": DataType.SEQUENCE_LIST,
    "MemberList": DataType.MEMBER_LIST,
}
OUTCOMES: Final = {
    "accepted": SettingOutcome.ACCEPTED,
    "rebootrequired": SettingOutcome.REBOOT_REQUIRED,
    "rejected": SettingOutcome.REJECTED,
    "notsupported": SettingOutcome.UNKNOWN,
    "unknowncomponent": SettingOutcome.UNKNOWN,
    "unknownvariable": SettingOutcome.UNKNOWN,
    "notsupportedattributetype": SettingOutcome.UNSUPPORTED_ATTRIBUTE,
}
"""What a station's status word means, in small letters: ChangeConfiguration and SetVariables together."""

DETAILS: Final = {
    SettingOutcome.ACCEPTED: "the station has taken the value",
    SettingOutcome.REBOOT_REQUIRED: "the station has taken the value; it is in force after a restart",
    SettingOutcome.REJECTED: "the station will not take this value; it may be read-only now or out of range",
    SettingOutcome.UNKNOWN: "the station has no such setting",
    SettingOutcome.UNSUPPORTED_ATTRIBUTE: "the station has this setting without that attribute",
}
TAKEN: Final = frozenset({SettingOutcome.ACCEPTED, SettingOutcome.REBOOT_REQUIRED})


def outcome_of(status: object) -> SettingOutcome:
    """What a status word means; one that no standard has counts as refused."""
    return OUTCOMES.get(str(status).strip().lower(), SettingOutcome.REJECTED)
