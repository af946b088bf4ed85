"""S25: what a station's answers mean for what it has; runs in the broker, whoever sent the command."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Final

from sqlmodel import col, select

from csms.ocpp.reading import integer_of
from csms.routing import ConnectedStation, Payload
from csms.station.charging_profiles.model import (
    CSMS_SOURCE,
    ChargingProfile,
    CompositeSchedule,
    ProfileReport,
    ProfileState,
    ReportState,
)
from csms.station.charging_profiles.rules.checks import replaced_by
from csms.station.charging_profiles.rules.composite import Installed
from csms.station.charging_profiles.rules.profile import WHOLE_STATION, Profile, Purpose, Unit
from csms.station.charging_profiles.rules.wire import read_profile, read_purpose, read_schedule, read_time
from csms.station.charging_profiles.service.known import (
    columns_of,
    installed_from,
    installed_rows,
    running_at,
    transaction_of,
)
from csms.station.information import fact_about
from csms.store import Work

START_WAIT: Final = timedelta(minutes=10)
"""How long a profile that came with a remote start waits for its charge."""


def integer(payload: Payload, name: str) -> int | None:
    return integer_of(payload.get(name))


def reason_of(answer: Payload) -> str | None:
    """Why, in the station's words (2.x statusInfo)."""
    info = answer.get("statusInfo")
    if not isinstance(info, dict):
        return None
    parts = [str(info[name])[:512] for name in ("reasonCode", "additionalInfo") if info.get(name)]
    return ": ".join(parts) or None


def tell(work: Work, station: ConnectedStation, number: int) -> None:
    """Let live pages know that what limits that charge point (0: the station) has changed."""
    work.emit(fact_about(station, "charging_limits_changed", {"charge_point_number": number}))


async def profile_answered(work: Work, station: ConnectedStation, number: int, payload: Any, answer: Payload) -> None:
    """SetChargingProfile was answered (OCPP 1.6, 5.16; 2.0.1 K01)."""
    profile = read_profile(payload)
    if profile is None:
        return
    is_accepted = answer.get("status") == "Accepted"
    if profile.purpose is Purpose.TRANSACTION and profile.transaction_id is None:
        log = await running_at(work, station.id, number)  # 1.6: without an id it is for the charge that runs there
        profile = replace(profile, transaction_id=None if log is None else transaction_of(log))
    reason = reason_of(answer) or (None if is_accepted else f"the station answered {str(answer.get('status'))[:40]}")
    state = ProfileState.ACCEPTED if is_accepted else ProfileState.REJECTED
    row_id = await _settle(work, station, Told(number, profile, payload), state, reason)
    if is_accepted:
        await _supersede(work, station, number, profile, row_id)
        tell(work, station, number)


async def start_answered(work: Work, station: ConnectedStation, number: int, payload: Any, answer: Payload) -> None:
    """A remote start with a profile was answered (1.6, 5.11; 2.0.1 F01.FR.08 to FR.11): it waits for its charge."""
    profile = read_profile(payload)
    if profile is None or answer.get("status") != "Accepted":
        return
    transaction_id = answer.get("transactionId")
    profile = replace(profile, transaction_id=transaction_id if isinstance(transaction_id, str) else None)
    row_id = await _settle(work, station, Told(number, profile, payload), ProfileState.ACCEPTED)
    if profile.transaction_id is not None:
        await _supersede(work, station, number, profile, row_id)


@dataclass(frozen=True, slots=True)
class Told:
    """A profile as it went over the wire, and the charge point that it is for."""

    number: int
    profile: Profile
    payload: Payload
    source: str = CSMS_SOURCE

    def columns(self, station: ConnectedStation) -> dict[str, Any]:
        """Those of a new row, but for its state."""
        return {
            "organisation_id": station.organisation_id,
            "station_id": station.id,
            "charge_point_number": self.number,
            "source": self.source,
            **columns_of(self.profile, self.payload, station.version),
        }


async def _settle(
    work: Work, station: ConnectedStation, told: Told, state: ProfileState, reason: str | None = None
) -> int:
    """Put the answer on the row that waits for it; a raw command has none and gets one."""
    columns: dict[str, Any] = {"state": state, "state_at": work.now, "reason": reason}
    columns["transaction_id"] = told.profile.transaction_id
    for row in await _waiting(work, station.id, told.number, told.profile.id):
        if row.payload == told.payload:
            work.change(ChargingProfile, row.id, **columns)
            return row.id
    return work.insert(ChargingProfile, **(told.columns(station) | columns), sent_at=work.now)


async def _waiting(work: Work, station_id: int, number: int, profile_id: int) -> Sequence[ChargingProfile]:
    query = select(ChargingProfile).where(
        ChargingProfile.station_id == station_id,
        ChargingProfile.charge_point_number == number,
        ChargingProfile.profile_id == profile_id,
        ChargingProfile.state == ProfileState.SENT,
    )
    return (await work.session.exec(query.order_by(col(ChargingProfile.id).desc()).limit(20))).all()


async def _supersede(work: Work, station: ConnectedStation, number: int, profile: Profile, row_id: int) -> None:
    rows = [row for row in await installed_rows(work, station.id) if row.id != row_id]
    for old in replaced_by(profile, number, installed_from(rows), station.version):
        _end(work, old, ProfileState.SUPERSEDED, f"profile {profile.id} took its place")


def _end(work: Work, old: Installed, state: ProfileState, reason: str) -> None:
    work.change(ChargingProfile, old.source, state=state, state_at=work.now, reason=reason)


async def clear_answered(work: Work, station: ConnectedStation, request: Payload, answer: Payload) -> None:
    """ClearChargingProfile was answered (1.6, 5.5; 2.0.1 K10): `Unknown` means that the station has none such."""
    status = answer.get("status")
    if status not in ("Accepted", "Unknown"):
        return
    reason = "cleared" if status == "Accepted" else "the station does not have it"
    matching = [one for one in installed_from(await installed_rows(work, station.id)) if _is_cleared(one, request)]
    for one in matching:
        _end(work, one, ProfileState.CLEARED, reason)
        tell(work, station, one.number)


def _is_cleared(one: Installed, request: Payload) -> bool:
    """Every criterion that is given must match; external constraints are not ours to clear (2.0.1 K10.FR.06)."""
    profile_id = integer(request, "id") if "id" in request else integer(request, "chargingProfileId")
    if profile_id is not None:
        return one.profile.id == profile_id
    if one.profile.purpose is Purpose.EXTERNAL:
        return False
    criteria = request.get("chargingProfileCriteria", request)
    if not isinstance(criteria, dict):
        return False
    number = integer(criteria, "connectorId") if "connectorId" in criteria else integer(criteria, "evseId")
    level, purpose = integer(criteria, "stackLevel"), read_purpose(criteria.get("chargingProfilePurpose"))
    return (
        number in (None, one.number)
        and level in (None, one.profile.stack_level)
        and purpose in (None, one.profile.purpose)
    )


async def composite_answered(work: Work, station: ConnectedStation, request: Payload, answer: Payload) -> None:
    """GetCompositeSchedule was answered (1.6, 5.7; 2.0.1 K08)."""
    number = integer(request, "connectorId") if "connectorId" in request else integer(request, "evseId")
    if number is None:
        return
    told = answer.get("schedule") or answer.get("chargingSchedule")
    schedule = read_schedule(told)
    starts_at = None
    if schedule is not None and isinstance(told, dict):
        starts_at = read_time(told.get("scheduleStart") or answer.get("scheduleStart")) or schedule.starts_at
    unit = request.get("chargingRateUnit")
    columns = {
        "told_at": work.now,
        "duration_s": integer(request, "duration") or 0,
        "unit": Unit(unit) if unit in list(Unit) else None,
        "is_accepted": answer.get("status") == "Accepted",
        "reason": reason_of(answer),
        "starts_at": starts_at or (work.now if schedule is not None else None),
        "schedule": told if schedule is not None else None,
    }
    query = select(CompositeSchedule.id).where(
        CompositeSchedule.station_id == station.id, CompositeSchedule.charge_point_number == number
    )
    found = (await work.session.exec(query)).first()
    if found is not None:
        work.change(CompositeSchedule, found, **columns)
        return
    owned = {"organisation_id": station.organisation_id, "station_id": station.id, "charge_point_number": number}
    work.insert(CompositeSchedule, **owned, **columns)


async def report_answered(work: Work, station: ConnectedStation, request: Payload, answer: Payload) -> None:
    """GetChargingProfiles was answered (2.0.1 K09): the profiles follow, or there are none."""
    request_id = integer(request, "requestId")
    if request_id is None:
        return
    status = answer.get("status")
    state = {"Accepted": ReportState.ASKED, "NoProfiles": ReportState.NO_PROFILES}.get(str(status), ReportState.FAILED)
    report = await find_report(work, station.id, request_id)
    if report is None or report.state is not ReportState.ASKED:
        _note_report(work, station, request, state, reason_of(answer))
    elif state is not ReportState.ASKED:
        work.change(ProfileReport, report.id, state=state, state_at=work.now, reason=reason_of(answer))
    if state is ReportState.NO_PROFILES:
        await forget_unreported(work, station, request, seen=frozenset())


def _note_report(
    work: Work, station: ConnectedStation, request: Payload, state: ReportState, reason: str | None
) -> None:
    work.insert(
        ProfileReport,
        organisation_id=station.organisation_id,
        station_id=station.id,
        request_id=request["requestId"],
        request=request,
        state=state,
        state_at=work.now,
        reason=reason,
        asked_at=work.now,
        pages=0,
        profiles=0,
        ignored=0,
    )


async def find_report(work: Work, station_id: int, request_id: int) -> ProfileReport | None:
    """The newest report of that request."""
    query = select(ProfileReport).where(ProfileReport.station_id == station_id, ProfileReport.request_id == request_id)
    return (await work.session.exec(query.order_by(col(ProfileReport.id).desc()).limit(1))).first()


async def forget_unreported(work: Work, station: ConnectedStation, request: Payload, *, seen: frozenset[int]) -> None:
    """What matches a report's criteria and was not in it is not there any more; `seen` are row ids."""
    for row in await installed_rows(work, station.id):
        if row.id not in seen and _is_asked_for(row, request):
            columns = {"state": ProfileState.CLEARED, "state_at": work.now}
            work.change(ChargingProfile, row.id, **columns, reason="the station no longer reports it")


def _is_asked_for(row: ChargingProfile, request: Payload) -> bool:
    """GetChargingProfilesRequest: every criterion that is given must match."""
    criteria = request.get("chargingProfile")
    criteria = criteria if isinstance(criteria, dict) else {}
    number, ids = integer(request, "evseId"), criteria.get("chargingProfileId")
    if isinstance(ids, list) and ids:
        return row.profile_id in ids and number in (None, row.charge_point_number)
    sources, level = criteria.get("chargingLimitSource"), integer(criteria, "stackLevel")
    return (
        number in (None, row.charge_point_number)
        and level in (None, row.stack_level)
        and read_purpose(criteria.get("chargingProfilePurpose")) in (None, row.purpose)
        and (not isinstance(sources, list) or not sources or row.source in sources)
    )


def place_of(payload: Payload, *names: str) -> int:
    """The charge point that a request names; 0 where it names none."""
    return next((value for name in names if (value := integer(payload, name)) is not None), WHOLE_STATION)
