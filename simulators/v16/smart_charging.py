"""F5: the charging profiles of a simulated 1.6 station, and how they bend its charging curves (OCPP 1.6, 3.13)."""

from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

from csms.ocpp.timestamps import write as timestamp
from simulators import profiles as composition
from simulators.profiles import STATION_WIDE, TX, Profile, Situation
from simulators.v16.charging import Charging, Parts
from simulators.v16.connector import Connector, Transaction

MAX_STEP_S: Final = 60.0
MAX_COMPOSITE_S: Final = 7 * 86_400


class Profiles:
    """All profiles of the station; sets the limit of every car that charges."""

    def __init__(self, charging: Charging, parts: Parts) -> None:
        self.held: list[Profile] = []
        self._charging = charging
        self._parts = parts
        charging.adjust = self.adjust
        charging.until_profile_s = self.until_change_s
        charging.on_ended = self._forget

    def situation(self, number: int) -> Situation:
        """Whose limit is asked; connector 0 is the station as a whole."""
        connector = self._charging.connectors.get(number)
        if connector is None:
            return Situation(0, 3, None, self._parts.clock.now())
        active = sum(one.transaction is not None for one in self._charging.connectors.values())
        running = connector.transaction
        return Situation(
            number,
            connector.supply.phases,
            None if running is None else running.transaction_id,
            None if running is None else running.started_at,
            max(1, active),
        )

    def adjust(self, connector: Connector) -> None:
        """Bound the car by what the profiles allow now."""
        battery = connector.battery
        if battery is None:
            return
        allowed_w = composition.limit_w(self.held, self.situation(connector.connector_id), self._parts.clock.now())
        if connector.transaction is None:
            allowed_w = None
        if battery.limit_w != allowed_w:
            connector.advance_to(self._parts.clock.monotonic())
            battery.limit_w = allowed_w

    def until_change_s(self, connector: Connector) -> float:
        """Simulated seconds until some profile's limit may change."""
        now = self._parts.clock.now()
        until = now + timedelta(seconds=MAX_STEP_S)
        edges = composition.boundaries(self.held, self.situation(connector.connector_id), now, until)
        return (edges[0] - now).total_seconds() if edges else MAX_STEP_S

    def apply(self) -> None:
        """Profiles changed: bound every car anew."""
        for connector in self._charging.connectors.values():
            self.adjust(connector)
            self._charging.changed(connector)

    # --- what the CSMS sets

    def may_set(self, number: int, payload: dict[str, Any], *, is_remote_start: bool = False) -> bool:
        """Whether a profile is taken (5.16)."""
        if number != 0 and number not in self._charging.connectors:
            return False
        profile = composition.read(payload, number)
        if is_remote_start:
            return profile.purpose == TX and self._fits(profile)
        if profile.purpose == TX and not self._has_transaction(profile):
            return False
        return self._fits(profile)

    def _fits(self, profile: Profile) -> bool:
        """Whether it makes sense, and there is room."""
        integer = self._parts.configuration.integer
        is_long = len(profile.periods) > integer("ChargingScheduleMaxPeriods")
        is_high = profile.stack_level > integer("ChargeProfileMaxStackLevel")
        is_astray = profile.purpose in STATION_WIDE and profile.evse_id != 0
        if is_long or is_high or is_astray or composition.refusal(profile) is not None:
            return False
        kept = [one for one in self.held if not _replaces(profile, one)]
        return len(kept) < integer("MaxChargingProfilesInstalled")

    def _has_transaction(self, profile: Profile) -> bool:
        connector = self._charging.connectors.get(profile.evse_id)
        running = None if connector is None else connector.transaction
        return running is not None and profile.transaction_id in (None, running.transaction_id)

    def set(self, number: int, payload: dict[str, Any]) -> None:
        """Take a profile that `may_set` has nothing against."""
        profile = composition.read(payload, number)
        self.held = [one for one in self.held if not _replaces(profile, one)] + [profile]
        self.apply()

    def clear(self, payload: dict[str, Any]) -> bool:
        """ClearChargingProfile: by id, or by all that is named; False when there is none (5.3)."""
        doomed = [one for one in self.held if _is_named(one, payload)]
        self.held = [one for one in self.held if one not in doomed]
        self.apply()
        return bool(doomed)

    def _forget(self, transaction: Transaction) -> None:
        """A transaction's own profiles go with it (3.13.1)."""
        number = transaction.connector_id
        self.held = [one for one in self.held if not (one.purpose == TX and one.evse_id == number)]

    def composite(self, number: int, duration_s: int, unit: str) -> dict[str, Any]:
        """The answer of GetCompositeSchedule but for its status (5.7)."""
        now, situation = self._parts.clock.now(), self.situation(number)
        supplies = [one.supply.max_power_w for one in self._charging.connectors.values()]
        most_w = sum(supplies) if number == 0 else self._charging.connectors[number].supply.max_power_w
        if situation.started_at is None:
            situation = replace(situation, started_at=now)
        duration_s = min(duration_s, MAX_COMPOSITE_S)
        periods = composition.schedule(self.held, situation, now, duration_s, unit=unit, most_w=most_w)
        return {
            "connectorId": number,
            "scheduleStart": timestamp(now),
            "chargingSchedule": {
                "duration": duration_s,
                "startSchedule": timestamp(now),
                "chargingRateUnit": unit,
                "chargingSchedulePeriod": periods,
            },
        }


def _replaces(new: Profile, old: Profile) -> bool:
    """The same id, or the same purpose, level and connector (5.16.1)."""
    is_twin = (new.purpose, new.stack_level, new.evse_id) == (old.purpose, old.stack_level, old.evse_id)
    return new.profile_id == old.profile_id or is_twin


def _is_named(profile: Profile, payload: dict[str, Any]) -> bool:
    if "id" in payload:
        return bool(profile.profile_id == payload["id"])
    named = {
        "connectorId": profile.evse_id,
        "chargingProfilePurpose": profile.purpose,
        "stackLevel": profile.stack_level,
    }
    return all(payload.get(name, own) == own for name, own in named.items())
