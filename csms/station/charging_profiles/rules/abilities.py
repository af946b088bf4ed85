"""S25: what a station's settings say of its smart charging (OCPP 1.6, 9.4; 2.0.1 and 2.1 SmartChargingCtrlr)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from csms.station.charging_profiles.rules.checks import Abilities
from csms.station.charging_profiles.rules.profile import Unit

ABILITY_KEYS_16: Final[Mapping[str, str]] = {
    "stack_level_max": "chargeprofilemaxstacklevel",
    "periods_max": "chargingschedulemaxperiods",
    "installed_max": "maxchargingprofilesinstalled",
    "units": "chargingscheduleallowedchargingrateunit",
}
ABILITY_KEYS_2: Final[Mapping[str, str]] = {
    "stack_level_max": "smartchargingctrlr/profilestacklevel",
    "periods_max": "smartchargingctrlr/periodsperschedule",
    "entries": "smartchargingctrlr/entries[chargingprofiles]",
    "units": "smartchargingctrlr/rateunit",
    "switches_phases": "smartchargingctrlr/acphaseswitchingsupported",
    "has_dynamic": "smartchargingctrlr/supportsdynamicprofiles",
    "purposes": "smartchargingctrlr/supportedadditionalpurposes",
}
"""The keys under which settings are kept."""
_UNITS: Final = {"current": Unit.AMPERE, "a": Unit.AMPERE, "power": Unit.WATT, "w": Unit.WATT}


@dataclass(frozen=True, slots=True)
class Told:
    """A setting's value and the highest that it may have."""

    value: str | None
    max_limit: float | None = None


def read_abilities(told: Mapping[str, Told]) -> Abilities:
    """By the names of ABILITY_KEYS; what cannot be read is not known."""
    return Abilities(
        stack_level_max=_whole(told.get("stack_level_max")),
        periods_max=_whole(told.get("periods_max")),
        installed_max=_whole(told.get("installed_max")) or _limit(told.get("entries")),
        units=_units(told.get("units")),
        switches_phases=_flag(told.get("switches_phases")),
        has_dynamic=_flag(told.get("has_dynamic")),
        purposes=_words(told.get("purposes")),
    )


def _whole(told: Told | None) -> int | None:
    text = (told.value or "").strip() if told is not None else ""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None  # noqa: PLR2004 31 bits


def _limit(told: Told | None) -> int | None:
    """2.x: the value counts what is installed, its limit is what there is room for."""
    return None if told is None or not told.max_limit or told.max_limit < 1 else int(told.max_limit)


def _flag(told: Told | None) -> bool | None:
    text = (told.value or "").strip().lower() if told is not None else ""
    return {"true": True, "false": False}.get(text)


def _words(told: Told | None) -> frozenset[str] | None:
    if told is None or told.value is None:
        return None
    return frozenset(word.strip() for word in told.value.split(",") if word.strip())


def _units(told: Told | None) -> frozenset[Unit] | None:
    words = _words(told) or frozenset()
    return frozenset(_UNITS[word.lower()] for word in words if word.lower() in _UNITS) or None
