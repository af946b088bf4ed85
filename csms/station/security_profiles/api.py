"""B10: a station's security profile over HTTP, and raising it."""

from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query
from pydantic import Field

from csms.ids import Id
from csms.rights import Area
from csms.station.information import StationDep, StationId, StationToChange, get_station
from csms.station.network_profiles import Interface, Link
from csms.station.security_profiles.model import ProfileUpgrade
from csms.station.security_profiles.rules import HIGHEST, UpgradeState
from csms.station.security_profiles.service import Sender, Wanted, cancel, doubts, upgrade, upgrades_query
from csms.web import (
    CallerDep,
    Page,
    PageDep,
    Reading,
    RuntimeDep,
    Shown,
    Strict,
    Writing,
    behind,
    may_read,
    may_write,
    page_of,
)

router = APIRouter(prefix="/stations/{station_id}/security-profile")
_ACTIONS: Final = behind("ChangeConfiguration", "SetNetworkProfile", "SetVariables", "Reset")
_PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {
    404: {"description": "no such station"},
    409: {
        "description": "it is offline, has that profile or a higher one, or something that the profile needs is missing"
    },
}


class LinkToUse(Strict):
    """2.x: the network profile with which the station is to come; OCPP 1.6 has none."""

    slot: int | None = Field(None, ge=0, le=1000, description="left out: the first that the station does not use")
    url: str | None = Field(
        None,
        max_length=512,
        pattern=r"^wss?://[^\s]+$",
        description="left out: CSMS_BROKER_TLS_URL",
        examples=["wss://csms.example.com:9443/ocpp"],
    )
    interface: Interface = Interface.WIRED0
    message_timeout_s: int = Field(30, ge=1, le=3600)


class Upgrade(Strict):
    """The profile that the station is to use from now on."""

    security_profile: int = Field(ge=0, le=HIGHEST, description="higher than the present one", examples=[2])
    network_profile: LinkToUse = LinkToUse()
    restarts: bool = Field(True, description="restart the station where that is needed; charges end in order first")


class UpgradeShown(Shown):
    """A station that was asked to use a higher profile, and what became of it."""

    id: Id
    from_profile: int
    to_profile: int
    state: UpgradeState = Field(description="while `waiting` the station may come with either profile")
    reason: str | None
    requested_at: datetime
    requested_by: str
    ended_at: datetime | None
    command_id: Id = Field(description="the command log's entry")


class UpgradeBegun(UpgradeShown):
    """An upgrade, with what could keep the station out as far as is known."""

    doubts: list[str]


class ProfileShown(Shown):
    """Which profile the station uses."""

    security_profile: int
    next_security_profile: int | None = Field(description="accepted too, until the station has come with it")


@router.get("", summary="Which security profile the station uses", dependencies=[may_read()])
async def show_security_profile(station: StationDep) -> ProfileShown:
    return ProfileShown.model_validate(station)


@router.get(
    "/upgrades",
    summary="Upgrades of the station's security profile, newest first",
    dependencies=[may_read()],
    openapi_extra=_ACTIONS,
)
async def list_upgrades(station: StationDep, work: Reading, page: PageDep) -> Page[UpgradeShown]:
    rows, cursor = await page_of(work, upgrades_query(station), page)
    return Page(items=[UpgradeShown.model_validate(row) for row in rows], next_cursor=cursor)


@router.post(
    "/upgrade",
    summary="Raise the station's security profile over OCPP",
    dependencies=[may_write(Area.DEVICE_AND_CUSTOMER_MANAGEMENT)],
    responses=_PROBLEMS,
    openapi_extra=_ACTIONS,
)
async def raise_profile(
    station_id: StationId,
    body: Upgrade,
    runtime: RuntimeDep,
    caller: CallerDep,
    timeout_s: Annotated[float | None, Query(ge=1, le=300, description="seconds to wait for each answer")] = None,
) -> UpgradeBegun:
    """The old profile is accepted until the station has come with the new one, then refused.

    Give the station its password (profiles 1, 2), the root certificate (2, 3) and a certificate of its own (3) first.
    Lowering is not done over OCPP (A00.FR.005): an administrator may PATCH the station.
    """
    link = body.network_profile
    url = link.url or (runtime.settings.broker_tls_url if body.security_profile > 1 else None) or ""
    wanted = Wanted(
        profile=body.security_profile,
        link=Link(url, body.security_profile, link.interface, link.message_timeout_s),
        slot=link.slot,
        restarts=body.restarts,
    )
    async with runtime.store.reading(caller) as work:
        station = await get_station(work, station_id)
        doubtful = await doubts(work, station, body.security_profile)
    row = await upgrade(Sender(runtime, caller, station_id, timeout_s), wanted)
    return UpgradeBegun(**UpgradeShown.model_validate(row).model_dump(), doubts=doubtful)


@router.post(
    "/cancel",
    summary="Give an upgrade up: accept only the old profile again",
    dependencies=[may_write(Area.DEVICE_AND_CUSTOMER_MANAGEMENT)],
    responses={409: {"description": "no upgrade is under way"}},
)
async def cancel_upgrade(station: StationToChange, work: Writing) -> UpgradeShown:
    """For a station that does not come with the new profile; one that does later is refused."""
    row: ProfileUpgrade = await cancel(work, station)
    return UpgradeShown.model_validate(row)
