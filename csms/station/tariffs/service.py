"""S26: tariffs are set on stations, read back and cleared."""

from typing import Final

from sqlmodel import select
from sqlmodel.sql.expression import SelectOfScalar

from csms.exceptions import Conflict, Invalid, NotFound
from csms.ocpp.schema import check
from csms.ocpp.versions import Version
from csms.rights import Caller
from csms.routing import ConnectedStation, Payload
from csms.runtime import Runtime
from csms.station.charge_logs import ChargeState, get_charge_log
from csms.station.commands import Command, CommandOutcome, send, send_for, version_of, why_unanswered
from csms.station.information import Station, get_station
from csms.station.tariffs.model import Settlement, StationTariff, VatCheck
from csms.station.tariffs.rules import LIVE, TariffKind, TariffState, assignments_in
from csms.store import Work

TARIFFS_MAX: Final = 500
"""Tariffs of one station that are kept."""
_NO_TARIFFS: Final = "it may know no tariffs"


def tariffs_of(station: Station) -> SelectOfScalar[StationTariff]:
    """The station's tariffs, those too that are gone."""
    return select(StationTariff).where(StationTariff.station_id == station.id)


def settlements_of(station: Station) -> SelectOfScalar[Settlement]:
    """Payments that the station told of."""
    return select(Settlement).where(Settlement.station_id == station.id)


def vat_checks_of(station: Station) -> SelectOfScalar[VatCheck]:
    """VAT numbers that the station asked about."""
    return select(VatCheck).where(VatCheck.station_id == station.id)


async def get_tariff(work: Work, station: Station, row_id: int) -> StationTariff:
    """Raises NotFound, also for another station's."""
    found = (await work.session.exec(tariffs_of(station).where(StationTariff.id == row_id))).first()
    if found is None:
        raise NotFound(f"{station.identity} has no such tariff; GET its tariffs lists them")
    return found


def _check_version(station: Station) -> None:
    if version_of(station) is not Version.V21:
        raise Conflict("tariffs on stations came with OCPP 2.1; this station speaks an older version")


async def set_default(runtime: Runtime, caller: Caller, identity: str, number: int, content: Payload) -> StationTariff:
    """Set the default tariff of a charge point (0: of all); the row says what came of it.

    Raises NotFound, Conflict for an older version, Invalid for a tariff that breaks the schema.
    """
    request = {"evseId": number, "tariff": content}
    _check_tariff("SetDefaultTariff", request)
    async with runtime.store.writing(caller) as work:
        station = await get_station(work, identity)
        _check_version(station)
        row = await _requested(work, station, number, content)
    return await send_for(
        runtime, caller, identity, row, action="SetDefaultTariff", payload=request, refuse=_refuse, perhaps=_NO_TARIFFS
    )


def _check_tariff(action: str, request: Payload) -> None:
    breach = check(Version.V21, action, "request", request)
    if breach is not None:
        raise Invalid(f"the tariff is not right: {breach}", place="body/tariff")


async def _requested(work: Work, station: Station, number: int, content: Payload) -> StationTariff:
    here = tariffs_of(station).where(
        StationTariff.charge_point_number == number, StationTariff.tariff_id == content["tariffId"]
    )
    row = (await work.session.exec(here)).first()
    if row is None:
        count = len((await work.session.exec(tariffs_of(station).limit(TARIFFS_MAX))).all())
        if count >= TARIFFS_MAX:
            raise Conflict(f"{TARIFFS_MAX} tariffs of this station are known already; use their ids again")
        row = StationTariff(
            organisation_id=station.organisation_id,
            station_id=station.id,
            charge_point_number=number,
            tariff_id=content["tariffId"],
            kind=TariffKind.DEFAULT,
            state=TariffState.REQUESTED,
            state_at=work.now,
            created_at=work.now,
            created_by=work.actor.name,
        )
    row.content, row.state, row.state_at, row.reason = content, TariffState.REQUESTED, work.now, None
    work.session.add(row)
    await work.session.flush()
    return row


def _refuse(work: Work, row: StationTariff, reason: str) -> None:
    if row.state is TariffState.REQUESTED:
        row.state, row.state_at, row.reason = TariffState.REFUSED, work.now, reason


async def clear(runtime: Runtime, caller: Caller, identity: str, row_id: int) -> StationTariff:
    """Have the station forget a tariff. Raises NotFound, and Conflict for one that is not there or that it keeps."""
    async with runtime.store.reading(caller) as work:
        row = await get_tariff(work, await get_station(work, identity), row_id)
    if row.state not in LIVE:
        raise Conflict(f"this tariff is {row.state} already; there is nothing to clear")
    request: Payload = {"tariffIds": [row.tariff_id]}
    if row.charge_point_number:
        request["evseId"] = row.charge_point_number
    command = await send(runtime, caller, identity, "ClearTariffs", request)
    if command.outcome is not CommandOutcome.ANSWERED:
        raise Conflict(f"the tariff is still there: {why_unanswered(command, _NO_TARIFFS)}")
    async with runtime.store.reading(caller) as work:
        return await work.session.get_one(StationTariff, row_id)


async def refresh(runtime: Runtime, caller: Caller, identity: str) -> Command:
    """Have the station tell which tariffs it holds."""
    async with runtime.store.reading(caller) as work:
        _check_version(await get_station(work, identity))
    return await send(runtime, caller, identity, "GetTariffs", {"evseId": 0})


async def change_charge(
    runtime: Runtime, caller: Caller, identity: str, charge_log_id: int, content: Payload
) -> Command:
    """Let a running charge go on at another tariff. Raises NotFound, Conflict (version, ended charge), Invalid."""
    async with runtime.store.reading(caller) as work:
        station = await get_station(work, identity)
        _check_version(station)
        charge = await get_charge_log(work, charge_log_id)
        if charge.station_id != station.id:
            raise NotFound(f"{identity} has no such charge; GET its charge-logs lists them")
        if charge.state is not ChargeState.RUNNING:
            raise Conflict("this charge has ended already")
    request = {"transactionId": str(charge.transaction_id), "tariff": content}
    _check_tariff("ChangeTransactionTariff", request)
    return await send(runtime, caller, identity, "ChangeTransactionTariff", request)


# In the broker's units of work


async def known(work: Work, station: ConnectedStation) -> dict[tuple[int, str], StationTariff]:
    """The station's tariffs by charge point number and id."""
    query = select(StationTariff).where(StationTariff.station_id == station.id)
    return {(row.charge_point_number, row.tariff_id): row for row in await work.session.exec(query)}


def settle(work: Work, row: StationTariff, state: TariffState, reason: str | None = None) -> None:
    """Note what has become of a tariff."""
    work.change(StationTariff, row.id, state=state, state_at=work.now, reason=reason)


def add_told(
    work: Work, station: ConnectedStation, place: tuple[int, str], kind: TariffKind, content: Payload | None
) -> None:
    """Note a tariff that the station has and that was not set through here."""
    number, tariff_id = place
    work.insert(
        StationTariff,
        organisation_id=station.organisation_id,
        station_id=station.id,
        charge_point_number=number,
        tariff_id=tariff_id,
        kind=kind,
        content=content,
        state=TariffState.INSTALLED,
        state_at=work.now,
        created_at=work.now,
        created_by="the station" if content is None else "a raw command",
    )


async def note_assignments(work: Work, station: ConnectedStation, number: int, answer: Payload) -> None:
    """The station named its tariffs (of one charge point, or of all): the others are gone."""
    rows = await known(work, station)
    told = {(place, tariff_id): kind for tariff_id, kind, place in assignments_in(answer)}
    room = TARIFFS_MAX - len(rows)
    for key, kind in told.items():
        row = rows.get(key)
        if row is not None:
            settle(work, row, TariffState.INSTALLED)
        elif room > 0:
            room -= 1
            add_told(work, station, key, kind, None)
    for key, row in rows.items():
        if row.state is TariffState.INSTALLED and key not in told and number in (0, key[0]):
            settle(work, row, TariffState.GONE, "the station no longer names it")


async def note_cleared(work: Work, station: ConnectedStation, number: int | None, ids: list[str] | None) -> None:
    """The station has forgotten these tariffs (None: all), of one charge point or of all."""
    for (place, tariff_id), row in (await known(work, station)).items():
        is_meant = (ids is None or tariff_id in ids) and (not number or place == number)
        if is_meant and row.state in LIVE:
            settle(work, row, TariffState.CLEARED)
