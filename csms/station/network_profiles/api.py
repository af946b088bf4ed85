"""B10: network profiles over HTTP."""

from datetime import datetime
from typing import Annotated, Any, Final, Self

from fastapi import APIRouter, Path
from pydantic import Field, SecretStr

from csms.exceptions import Invalid
from csms.ids import Id
from csms.rights import Area
from csms.station.commands import Command, CommandOutcome, Timeout, send, version_of
from csms.station.information import SecurityProfile, StationDep, StationId, get_station
from csms.station.network_profiles import rules
from csms.station.network_profiles.model import NetworkProfile
from csms.station.network_profiles.rules import SLOT_MAX, ApnAuthentication, Interface, VpnKind
from csms.station.network_profiles.service import find_profile, get_profile, profiles_query, url_fault
from csms.web import (
    CallerDep,
    Page,
    PageDep,
    Reading,
    RuntimeDep,
    Shown,
    Strict,
    behind,
    may_read,
    may_write,
    page_of,
)

router = APIRouter(prefix="/stations/{station_id}/network-profiles")
Slot = Annotated[int, Path(ge=0, le=SLOT_MAX, description="the station's configuration slot")]
Text = Annotated[str, Field(max_length=2000, pattern=r"^[^\x00-\x1f\x7f]*$")]
_PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {
    404: {"description": "no such station, or it speaks OCPP 1.6, which has no network profiles"},
    409: {"description": "the station may not be sent this now, or it would lower its security profile"},
}


class ApnToUse(Strict):
    """The mobile operator's access point."""

    name: Text = Field(examples=["iot.example.com"])
    authentication: ApnAuthentication = ApnAuthentication.AUTO
    user: Text | None = None
    password: SecretStr | None = Field(None, max_length=64)
    sim_pin: SecretStr | None = Field(None, max_length=8, description="digits")
    preferred_network: Text | None = Field(None, max_length=6, description="MCC and MNC", examples=["20404"])
    uses_only_preferred_network: bool | None = None

    def plain(self) -> rules.Apn:
        """With its secrets. Raises Invalid for a PIN that is no number."""
        pin = self.sim_pin.get_secret_value() if self.sim_pin else None
        if pin is not None and not (pin.isascii() and pin.isdecimal()):
            raise Invalid("a SIM's PIN is a number", place="body/apn/sim_pin")
        return rules.Apn(
            name=self.name,
            authentication=self.authentication,
            user=self.user,
            password=self.password.get_secret_value() if self.password else None,
            sim_pin=int(pin) if pin is not None else None,
            preferred_network=self.preferred_network,
            uses_only_preferred_network=self.uses_only_preferred_network,
        )


class VpnToUse(Strict):
    """A virtual private network that the station is to use."""

    kind: VpnKind
    server: Text
    user: Text
    password: SecretStr = Field(max_length=64)
    key: SecretStr = Field(max_length=255, description="the shared secret")
    group: Text | None = None

    def plain(self) -> rules.Vpn:
        """With its secrets."""
        return rules.Vpn(
            kind=self.kind,
            server=self.server,
            user=self.user,
            password=self.password.get_secret_value(),
            key=self.key.get_secret_value(),
            group=self.group,
        )


class ProfileToSet(Strict):
    """How the station is to connect when it uses this slot."""

    url: Text = Field(max_length=512, pattern=r"^wss?://[^\s]+$", examples=["wss://csms.example.com:9443/ocpp"])
    security_profile: SecurityProfile = 2
    interface: Interface = Interface.WIRED0
    message_timeout_s: int = Field(30, ge=1, le=3600)
    apn: ApnToUse | None = None
    vpn: VpnToUse | None = None


class ProfileShown(Shown):
    """What stands in a slot, as far as it was set from here; never a secret."""

    slot: int
    url: str = Field(examples=["wss://csms.example.com:9443/ocpp"])
    security_profile: int
    ocpp_version: str | None = Field(examples=["OCPP20"])
    interface: str = Field(examples=["wired0"])
    message_timeout_s: int
    identity: str | None = Field(description="another OCPP identity than the present one (2.1)")
    apn: dict[str, Any] | None
    vpn: dict[str, Any] | None
    set_at: datetime


class Told(Shown):
    """What the station said to it."""

    command_id: Id = Field(description="the command log's entry")
    outcome: CommandOutcome = Field(examples=[CommandOutcome.ANSWERED])
    status: str | None = Field(description="the station's word", examples=["Accepted"])
    reason: str | None = Field(description="why there is no answer")

    @classmethod
    def of(cls, command: Command, status: str | None) -> Self:
        return cls(command_id=command.id, outcome=command.outcome, status=status, reason=command.reason)


class ProfileTold(Told):
    """What the station said, and what stands in the slot now."""

    profile: ProfileShown | None


class Priority(Strict):
    """The order in which the station tries its slots."""

    slots: list[Annotated[int, Field(ge=0, le=SLOT_MAX)]] = Field(min_length=1, max_length=20, examples=[[2, 1]])


@router.get(
    "",
    summary="What was set in the station's slots",
    dependencies=[may_read()],
    responses={404: {"description": "no such station"}},
    openapi_extra=behind("SetNetworkProfile"),
)
async def list_profiles(station: StationDep, work: Reading, page: PageDep) -> Page[ProfileShown]:
    """Newest first; what was set before this system knew the station is not among them."""
    rows, cursor = await page_of(work, profiles_query(station), page)
    return Page(items=[ProfileShown.model_validate(row) for row in rows], next_cursor=cursor)


@router.get(
    "/{slot}",
    summary="What was set in one slot",
    dependencies=[may_read()],
    responses={404: {"description": "no such station, or nothing was set in that slot"}},
    openapi_extra=behind("SetNetworkProfile"),
)
async def show_profile(station: StationDep, slot: Slot, work: Reading) -> ProfileShown:
    return ProfileShown.model_validate(await get_profile(work, station, slot))


@router.put(
    "/{slot}",
    summary="Store in a slot how the station connects",
    dependencies=[may_write(Area.OPERATION)],
    responses=_PROBLEMS,
    openapi_extra=behind("SetNetworkProfile"),
)
async def set_profile(  # noqa: PLR0917  # each is one part of the request
    station_id: StationId,
    slot: Slot,
    body: ProfileToSet,
    runtime: RuntimeDep,
    caller: CallerDep,
    timeout_s: Timeout = None,
) -> ProfileTold:
    """The station uses it when its turn in the priority comes, which is looked at when it starts (2.0.1 B09, B10)."""
    fault = url_fault(body.url, body.security_profile)
    if fault is not None:
        raise Invalid(fault, place="body/url")
    async with runtime.store.reading(caller) as work:
        station = await get_station(work, station_id)
    link = rules.Link(
        url=body.url,
        security_profile=body.security_profile,
        interface=body.interface,
        message_timeout_s=body.message_timeout_s,
        apn=body.apn.plain() if body.apn else None,
        vpn=body.vpn.plain() if body.vpn else None,
    )
    request = rules.profile_request(version_of(station), slot, link)
    command = await send(runtime, caller, station_id, "SetNetworkProfile", request, timeout_s=timeout_s)
    async with runtime.store.reading(caller) as work:
        stored: NetworkProfile | None = await find_profile(work, station, slot)
    status = str(command.payload.get("status"))[:50] if command.payload else None
    shown = ProfileShown.model_validate(stored) if stored else None
    return ProfileTold(**Told.of(command, status).model_dump(), profile=shown)


@router.post(
    "/priority",
    summary="Say in which order the station tries its slots",
    dependencies=[may_write(Area.OPERATION)],
    responses=_PROBLEMS,
    openapi_extra=behind("SetVariables"),
)
async def set_priority(
    station_id: StationId, body: Priority, runtime: RuntimeDep, caller: CallerDep, timeout_s: Timeout = None
) -> Told:
    """In force after the station's next restart (2.0.1 B10)."""
    request = rules.priority_request(body.slots)
    command = await send(runtime, caller, station_id, "SetVariables", request, timeout_s=timeout_s)
    return Told.of(command, rules.set_status(command.payload) if command.payload else None)
