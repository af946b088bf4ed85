"""S3: status words, EVSE ids, and what a charge point lacks before maps and apps can show it."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

EVSE_ID_CHARS_MAX = 48
"""As in OCPI 2.2.1; the ISO form has at most 38."""


class ChargePointStatus(StrEnum):
    """What a charge point says it is doing, in words of our own for all OCPP versions.

    1.6 has all but `occupied`; 2.x has available, occupied, reserved, unavailable and faulted.
    """

    AVAILABLE = "available"
    PREPARING = "preparing"
    CHARGING = "charging"
    SUSPENDED_EVSE = "suspended_evse"
    SUSPENDED_EV = "suspended_ev"
    FINISHING = "finishing"
    OCCUPIED = "occupied"
    RESERVED = "reserved"
    UNAVAILABLE = "unavailable"
    FAULTED = "faulted"
    UNKNOWN = "unknown"


_STATUS_OF_WORD = {status.value.replace("_", ""): status for status in ChargePointStatus}


def status_of(word: str) -> ChargePointStatus:
    """The status that a station's word means (OCPP 1.6 7.7; 2.0.1 3.27); UNKNOWN for a word of no standard."""
    return _STATUS_OF_WORD.get(word.strip().lower().replace("_", ""), ChargePointStatus.UNKNOWN)


_OUT_OF_ORDER = frozenset({ChargePointStatus.FAULTED, ChargePointStatus.UNAVAILABLE})
_STRONGEST_FIRST = (
    ChargePointStatus.CHARGING,
    ChargePointStatus.SUSPENDED_EVSE,
    ChargePointStatus.SUSPENDED_EV,
    ChargePointStatus.OCCUPIED,
    ChargePointStatus.PREPARING,
    ChargePointStatus.FINISHING,
    ChargePointStatus.AVAILABLE,
    ChargePointStatus.RESERVED,
    ChargePointStatus.FAULTED,
    ChargePointStatus.UNAVAILABLE,
)


def evse_status(connectors: Iterable[ChargePointStatus], charging: ChargePointStatus | None) -> ChargePointStatus:
    """The status of a 2.x EVSE, which only its connectors and its transaction tell (2.0.1 G01, E02).

    An EVSE serves one vehicle: one occupied connector makes it occupied, one free one makes it usable.
    """
    told = set(connectors)
    if charging is not None and not (told and told <= _OUT_OF_ORDER):
        return charging
    return next((status for status in _STRONGEST_FIRST if status in told), ChargePointStatus.UNKNOWN)


def station_status(charge_points: Iterable[ChargePointStatus]) -> ChargePointStatus:
    """The status of a 2.x station, from those of its charge points: available unless all of them are out of order."""
    told = set(charge_points) - {ChargePointStatus.UNKNOWN}
    if not told:
        return ChargePointStatus.UNKNOWN
    if not told <= _OUT_OF_ORDER:
        return ChargePointStatus.AVAILABLE
    return ChargePointStatus.FAULTED if ChargePointStatus.FAULTED in told else ChargePointStatus.UNAVAILABLE


_CHARGING = {
    "Charging": ChargePointStatus.CHARGING,
    "SuspendedEV": ChargePointStatus.SUSPENDED_EV,
    "SuspendedEVSE": ChargePointStatus.SUSPENDED_EVSE,
}
_HAS_CHARGED = frozenset({*_CHARGING.values(), ChargePointStatus.FINISHING})


def charging_status(word: str, before: ChargePointStatus | None) -> ChargePointStatus | None:
    """What a transaction's chargingState means (2.0.1 3.8); without energy flowing it prepares or finishes.

    An unknown word changes nothing.
    """
    if word in {"EVConnected", "Idle"}:
        return ChargePointStatus.FINISHING if before in _HAS_CHARGED else ChargePointStatus.PREPARING
    return _CHARGING.get(word, before)


class PlugType(StrEnum):
    """OCPI 2.2.1 ConnectorType in lower case, with the North American plug of SAE J3400."""

    CHADEMO = "chademo"
    CHAOJI = "chaoji"
    DOMESTIC_A = "domestic_a"
    DOMESTIC_B = "domestic_b"
    DOMESTIC_C = "domestic_c"
    DOMESTIC_D = "domestic_d"
    DOMESTIC_E = "domestic_e"
    DOMESTIC_F = "domestic_f"
    DOMESTIC_G = "domestic_g"
    DOMESTIC_H = "domestic_h"
    DOMESTIC_I = "domestic_i"
    DOMESTIC_J = "domestic_j"
    DOMESTIC_K = "domestic_k"
    DOMESTIC_L = "domestic_l"
    DOMESTIC_M = "domestic_m"
    DOMESTIC_N = "domestic_n"
    DOMESTIC_O = "domestic_o"
    GBT_AC = "gbt_ac"
    GBT_DC = "gbt_dc"
    IEC_60309_2_SINGLE_16 = "iec_60309_2_single_16"
    IEC_60309_2_THREE_16 = "iec_60309_2_three_16"
    IEC_60309_2_THREE_32 = "iec_60309_2_three_32"
    IEC_60309_2_THREE_64 = "iec_60309_2_three_64"
    IEC_62196_T1 = "iec_62196_t1"
    IEC_62196_T1_COMBO = "iec_62196_t1_combo"
    IEC_62196_T2 = "iec_62196_t2"
    IEC_62196_T2_COMBO = "iec_62196_t2_combo"
    IEC_62196_T3A = "iec_62196_t3a"
    IEC_62196_T3C = "iec_62196_t3c"
    PANTOGRAPH_BOTTOM_UP = "pantograph_bottom_up"
    PANTOGRAPH_TOP_DOWN = "pantograph_top_down"
    SAE_J3400 = "sae_j3400"
    TESLA_R = "tesla_r"
    TESLA_S = "tesla_s"


_DC_ONLY = frozenset(
    {
        PlugType.CHADEMO,
        PlugType.CHAOJI,
        PlugType.GBT_DC,
        PlugType.IEC_62196_T1_COMBO,
        PlugType.IEC_62196_T2_COMBO,
        PlugType.PANTOGRAPH_BOTTOM_UP,
        PlugType.PANTOGRAPH_TOP_DOWN,
    }
)


class ConnectorFormat(StrEnum):
    """OCPI 2.2.1 ConnectorFormat: where the cable is."""

    SOCKET = "socket"
    CABLE = "cable"


# Hubject OICP 2.3, EvseID: ISO 15118-1 has the country as two letters, DIN SPEC 91286 as its dialling code.
# Stricter than theirs in one point: the outlet's part must not be stars alone.
_ISO = re.compile(r"[A-Z]{2}\*?[A-Z0-9]{3}\*?E(?=\**[A-Z0-9])[A-Z0-9*]{1,30}")
_DIN = re.compile(r"\+?[0-9]{1,3}\*[0-9]{3}\*(?=\**[0-9])[0-9*]{1,32}")


@dataclass(frozen=True, slots=True)
class EvseId:
    """An EVSE id as it is written, and the form in which two spellings of one id are equal."""

    written: str
    key: str


def read_evse_id(text: str) -> EvseId | None:
    """The EVSE id in that text, upper-cased; None if it has neither the ISO 15118-1 nor the DIN SPEC 91286 form."""
    if not text.isascii():  # upper() would turn some other letters into ASCII ones
        return None
    written = text.strip().upper()
    if len(written) > EVSE_ID_CHARS_MAX or not (_ISO.fullmatch(written) or _DIN.fullmatch(written)):
        return None
    return EvseId(written, written.replace("*", "").removeprefix("+"))


class Severity(StrEnum):
    """`error`: maps and apps cannot show it; `warning`: they show it badly."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Problem:
    """Something not configured right: where (a path of fields), what, and what to do."""

    severity: Severity
    place: str
    what: str
    todo: str


@dataclass(frozen=True, slots=True)
class CheckedConnector:
    """What the check looks at in one connector."""

    number: int
    plug_type: PlugType | None
    format: ConnectorFormat | None
    max_power_w: int | None
    phases: int | None


@dataclass(frozen=True, slots=True)
class CheckedChargePoint:
    """What the check looks at in one charge point."""

    number: int
    label: str | None
    evse_id: str | None
    is_announced: bool
    connectors: Sequence[CheckedConnector]


@dataclass(frozen=True, slots=True)
class CheckedStation:
    """What the check looks at in a station."""

    name: str | None
    address: str | None
    city: str | None
    country: str | None
    has_coordinates: bool
    is_accepted: bool


def check(station: CheckedStation, charge_points: Sequence[CheckedChargePoint]) -> list[Problem]:
    """Everything that keeps maps and apps from showing the station well, station first."""
    problems = list(_check_station(station))
    if not charge_points:
        problems.append(
            _error("charge_points", "there is no charge point", "connect the station or add a charge point")
        )
    for one in charge_points:
        problems.extend(_check_charge_point(one))
    problems.extend(_check_labels(charge_points))
    return problems


def _check_station(station: CheckedStation) -> Iterable[Problem]:
    if not station.is_accepted:
        yield _error("registration", "the station is not accepted", "accept it at …/registration")
    if not station.has_coordinates:
        yield _error("coordinates", "the coordinates are missing", "set latitude and longitude of the station")
    if not station.name:
        yield _warning("name", "the station has no name", "give it the name that drivers see")
    for field in ("address", "city", "country"):
        if not getattr(station, field):
            yield _warning(field, f"the {field} is missing", f"set {field} of the station")


def _check_charge_point(one: CheckedChargePoint) -> Iterable[Problem]:
    place = f"charge_points/{one.number}"
    if not one.evse_id:
        yield _error(f"{place}/evse_id", "the EVSE id is missing", "set it as your operator id and contract say")
    elif read_evse_id(one.evse_id) is None:
        yield _error(f"{place}/evse_id", "this is no EVSE id", "write it as DE*AB7*E840*6487")
    if not one.label:
        yield _warning(f"{place}/label", "there is no label", "set what is printed on the charge point")
    if not one.is_announced:
        yield _warning(
            place, "the station has never mentioned this charge point", "compare its number with the station's"
        )
    if not one.connectors:
        yield _error(f"{place}/connectors", "no connector is described", "set plug type and power of each connector")
    for connector in one.connectors:
        yield from _check_connector(f"{place}/connectors/{connector.number}", connector)


def _check_connector(place: str, connector: CheckedConnector) -> Iterable[Problem]:
    if connector.plug_type is None:
        yield _error(f"{place}/plug_type", "the plug type is missing", "set it")
    if not connector.max_power_w:
        yield _error(f"{place}/max_power_w", "the power is missing", "set the highest power in watts")
    if connector.format is None:
        yield _warning(f"{place}/format", "the format is missing", "say whether it is a socket or a cable")
    if connector.plug_type in _DC_ONLY and connector.phases is not None:
        yield _warning(f"{place}/phases", "this plug carries direct current", "leave phases empty")


def _check_labels(charge_points: Sequence[CheckedChargePoint]) -> Iterable[Problem]:
    uses = Counter(one.label for one in charge_points if one.label)
    for one in charge_points:
        if one.label and uses[one.label] > 1:
            yield _warning(
                f"charge_points/{one.number}/label",
                f"the label «{one.label}» is used more than once here",
                "give each charge point its own label",
            )


def _error(place: str, what: str, todo: str) -> Problem:
    return Problem(Severity.ERROR, place, what, todo)


def _warning(place: str, what: str, todo: str) -> Problem:
    return Problem(Severity.WARNING, place, what, todo)
