"""F5: the charging profiles of a simulated 2.x station, and how they bend its charging curves (2.0.1, K)."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from csms.ocpp.timestamps import write as timestamp
from simulators import profiles as composition
from simulators.profiles import STATION_WIDE, TX, Profile, Situation
from simulators.v201.charging import Charging
from simulators.v201.evse import Evse, Transaction
from simulators.v201.needs import charging_needs
from simulators.v201.parts import Parts

CONTROLLER: Final = "SmartChargingCtrlr"
EXTERNAL: Final = "ChargingStationExternalConstraints"
MAX_STEP_S: Final = 60.0
PLAN_S: Final = 86_400
EXTERNAL_ID: Final = 1_000_000  # ids of limits that the grid or an energy manager set


class Profiles:
    """All profiles of the station; sets the limit of every car that charges."""

    def __init__(self, charging: Charging, parts: Parts) -> None:
        self.held: list[Profile] = []
        self._charging = charging
        self._parts = parts
        self._awaits_plan: int | None = None
        charging.adjust = self.adjust
        charging.metering.until_profile_s = self.until_change_s
        charging.on_ended.append(self._forget)

    # --- what holds

    def situation(self, evse_id: int) -> Situation:
        """Whose limit is asked; EVSE 0 is the station as a whole."""
        evse = self._charging.evses.get(evse_id)
        if evse is None:
            return Situation(0, 3, None, self._parts.clock.now())
        active = sum(one.transaction is not None for one in self._charging.evses.values())
        transaction = evse.transaction
        if transaction is None:
            return Situation(evse_id, evse.supply.phases, None, None, max(1, active))
        return Situation(
            evse_id, evse.supply.phases, transaction.transaction_id, transaction.started_at, max(1, active)
        )

    def adjust(self, evse: Evse) -> None:
        """Bound the car by what the profiles allow now, and tell a change that is worth it (K01, K11)."""
        if evse.battery is None:
            return
        allowed_w = composition.limit_w(self.held, self.situation(evse.evse_id), self._parts.clock.now())
        if evse.transaction is None:
            allowed_w = None
        before_w, most_w = evse.battery.offered_w, evse.supply.max_power_w
        if evse.battery.limit_w == allowed_w:
            return
        evse.advance_to(self._parts.clock.monotonic())
        evse.battery.limit_w = allowed_w
        change = abs(evse.battery.offered_w - before_w) * 100.0 / most_w
        is_worth_it = change > float(self._parts.model.text(f"{CONTROLLER}.LimitChangeSignificance"))
        is_told = evse.transaction is not None and evse.transaction.told_state is not None
        if is_told and evse.is_closed and is_worth_it and evse.battery.offered_w > 0:
            self._charging.look(evse, "ChargingRateChanged")

    def until_change_s(self, evse: Evse) -> float:
        """Simulated seconds until some profile's limit may change."""
        now = self._parts.clock.now()
        situation = self.situation(evse.evse_id)
        edges = composition.boundaries(self.held, situation, now, now + timedelta(seconds=MAX_STEP_S))
        return (edges[0] - now).total_seconds() if edges else MAX_STEP_S

    def apply(self) -> None:
        """Profiles changed: bound every car anew."""
        used = str(len(self.held))
        self._parts.model.change(f"{CONTROLLER}.Entries[ChargingProfiles]", used)
        for evse in self._charging.evses.values():
            self.adjust(evse)
        self._charging.wake()

    # --- what the CSMS sets

    def refusal(self, evse_id: int, payload: dict[str, Any], *, is_request: bool = False) -> str | None:
        """Why a profile is not taken, None when it is (K01)."""
        if not self._parts.model.flag(f"{CONTROLLER}.Enabled"):
            return "NotEnabled"
        if evse_id != 0 and evse_id not in self._charging.evses:
            return "UnknownEvse"
        profile = composition.read(payload, evse_id)
        if is_request and profile.purpose != TX:
            return "InvalidProfile"  # F01.FR.08
        reason = self._tx_refusal(profile) if profile.purpose == TX and not is_request else None
        return reason or self._beyond_limits(profile) or self._lack_of_room(profile) or composition.refusal(profile)

    def _beyond_limits(self, profile: Profile) -> str | None:
        model = self._parts.model
        if profile.purpose == EXTERNAL or profile.stack_level > model.integer(f"{CONTROLLER}.ProfileStackLevel"):
            return "InvalidProfile"
        is_long = len(profile.periods) > model.integer(f"{CONTROLLER}.PeriodsPerSchedule")
        return "InvalidSchedule" if is_long else None

    def _tx_refusal(self, profile: Profile) -> str | None:
        if profile.evse_id == 0:
            return "InvalidProfile"  # K01.FR.16
        transaction = self._charging.evses[profile.evse_id].transaction
        if transaction is None:
            return "TxNotFound"  # K01.FR.09
        return None if profile.transaction_id == transaction.transaction_id else "TxNotFound"  # K01.FR.33

    def _lack_of_room(self, profile: Profile) -> str | None:
        if profile.purpose in STATION_WIDE and profile.evse_id != 0:
            return "InvalidProfile"  # K01.FR.35
        kept = [one for one in self.held if not self._replaces(profile, one)]
        twins = [one for one in kept if self._is_twin(profile, one)]
        room = self._parts.model.variable(f"{CONTROLLER}.Entries[ChargingProfiles]").characteristics.maximum or 0
        if twins:
            return "DuplicateProfile"  # K01.FR.06
        return "TooManyProfiles" if len(kept) >= room else None

    @staticmethod
    def _replaces(new: Profile, old: Profile) -> bool:
        return new.profile_id == old.profile_id and old.purpose != EXTERNAL  # K01.FR.05

    @staticmethod
    def _is_twin(new: Profile, old: Profile) -> bool:
        """Two of one purpose, level and EVSE that are both valid at some time."""
        is_same = (new.purpose, new.stack_level, new.evse_id) == (old.purpose, old.stack_level, old.evse_id)
        is_before = new.valid_to is not None and old.valid_from is not None and new.valid_to <= old.valid_from
        is_after = old.valid_to is not None and new.valid_from is not None and old.valid_to <= new.valid_from
        return is_same and new.transaction_id == old.transaction_id and not is_before and not is_after

    def set(self, evse_id: int, payload: dict[str, Any]) -> None:
        """Take a profile that `refusal` has nothing against."""
        profile = composition.read(payload, evse_id)
        self.held = [one for one in self.held if not self._replaces(profile, one)] + [profile]
        self.apply()
        if profile.purpose == TX:
            self._tell_plan(evse_id)

    def expect(self, evse_id: int, payload: dict[str, Any]) -> None:
        """Keep the profile of a RequestStartTransaction for the transaction that it starts (F01.FR.09)."""
        profile = composition.read(payload, evse_id)
        self.held = [one for one in self.held if not self._replaces(profile, one)]
        self.held.append(replace(profile, transaction_id=None))
        self.apply()

    def _forget(self, evse: Evse, _transaction: Transaction) -> None:
        """A transaction's own profiles go with it."""
        self.held = [one for one in self.held if not (one.purpose == TX and one.evse_id == evse.evse_id)]
        self.apply()

    def clear(self, payload: dict[str, Any]) -> bool:
        """Drop those that a ClearChargingProfile means; False when there are none (K10)."""
        wanted = payload.get("chargingProfileCriteria") or {}
        doomed = [one for one in self.held if one.purpose != EXTERNAL and _is_named(one, payload, wanted)]
        self.held = [one for one in self.held if one not in doomed]
        self.apply()
        return bool(doomed)

    def matching(self, evse_id: int | None, criteria: dict[str, Any]) -> list[Profile]:
        """Those that a GetChargingProfiles asks for (K09)."""
        ids, sources = criteria.get("chargingProfileId"), criteria.get("chargingLimitSource")
        return [
            one
            for one in self.held
            if evse_id in (None, one.evse_id)
            and (ids is None or one.profile_id in ids)
            and (sources is None or one.source in sources)
            and criteria.get("chargingProfilePurpose", one.purpose) == one.purpose
            and criteria.get("stackLevel", one.stack_level) == one.stack_level
        ]

    def composite(self, evse_id: int, duration_s: int, unit: str) -> dict[str, Any]:
        """The schedule that comes out of all profiles from now on (K08)."""
        now, situation = self._parts.clock.now(), self.situation(evse_id)
        supplies = [one.supply.max_power_w for one in self._charging.evses.values()]
        most_w = sum(supplies) if evse_id == 0 else self._charging.evses[evse_id].supply.max_power_w
        if situation.started_at is None:
            situation = replace(situation, started_at=now)
        return {
            "evseId": evse_id,
            "duration": duration_s,
            "scheduleStart": timestamp(now),
            "chargingRateUnit": unit,
            "chargingSchedulePeriod": composition.schedule(
                self.held, situation, now, duration_s, unit=unit, most_w=most_w
            ),
        }

    # --- what the car wants

    def tell_needs(self, evse_id: int, departs_at: datetime) -> bool:
        """The car tells over ISO 15118 what it needs; the CSMS answers with a TxProfile (K15). False without a car."""
        evse = self._charging.evses[evse_id]
        if evse.battery is None or evse.transaction is None:
            return False
        self._awaits_plan = evse_id
        self._parts.report(
            "NotifyEVChargingNeeds", {"evseId": evse_id, "chargingNeeds": charging_needs(evse.battery, departs_at)}
        )
        return True

    def _tell_plan(self, evse_id: int) -> None:
        """The car has chosen how it charges within the profile that its needs brought (K15.FR.09)."""
        if self._awaits_plan != evse_id:
            return
        self._awaits_plan = None
        composed = self.composite(evse_id, PLAN_S, "W")
        schedule = {
            "id": 1,
            "startSchedule": composed["scheduleStart"],
            "duration": composed["duration"],
            "chargingRateUnit": "W",
            "chargingSchedulePeriod": composed["chargingSchedulePeriod"],
        }
        payload = {"timeBase": composed["scheduleStart"], "evseId": evse_id, "chargingSchedule": schedule}
        self._parts.report("NotifyEVChargingSchedule", payload)

    # --- limits from elsewhere

    def limit_externally(self, power_w: float, source: str = "EMS", *, is_grid_critical: bool = False) -> None:
        """The grid or an energy manager limits the station: charge by it and tell the CSMS (K11, K12)."""
        schedule = {
            "id": EXTERNAL_ID,
            "chargingRateUnit": "W",
            "startSchedule": timestamp(self._parts.clock.now()),
            "chargingSchedulePeriod": [{"startPeriod": 0, "limit": power_w}],
        }
        payload = {
            "id": EXTERNAL_ID,
            "stackLevel": 0,
            "chargingProfilePurpose": EXTERNAL,
            "chargingProfileKind": "Absolute",
            "chargingSchedule": [schedule],
        }
        self.held = [one for one in self.held if one.source != source] + [composition.read(payload, 0, source)]
        limit = {"chargingLimitSource": source, "isGridCritical": is_grid_critical}
        is_told = self._parts.model.flag(f"{CONTROLLER}.NotifyChargingLimitWithSchedules")
        schedules = {"chargingSchedule": [schedule]} if is_told else {}
        self._parts.report("NotifyChargingLimit", {"evseId": 0, "chargingLimit": limit, **schedules})
        self.apply()

    def lift_limit(self, source: str = "EMS") -> None:
        """The limit from outside is gone (K13)."""
        self.held = [one for one in self.held if one.source != source]
        self._parts.report("ClearedChargingLimit", {"chargingLimitSource": source, "evseId": 0})
        self.apply()


def _is_named(profile: Profile, payload: dict[str, Any], criteria: dict[str, Any]) -> bool:
    if "chargingProfileId" in payload:
        return bool(profile.profile_id == payload["chargingProfileId"])
    named = {
        "evseId": profile.evse_id,
        "chargingProfilePurpose": profile.purpose,
        "stackLevel": profile.stack_level,
    }
    return all(criteria.get(name, own) == own for name, own in named.items())
