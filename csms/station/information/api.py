"""S1, B9, B10: the station's resources; `StationDep` is how other tabs get the station of the path."""

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, status
from pydantic import Field, SecretStr, StringConstraints

from csms.exceptions import Invalid
from csms.ids import Id
from csms.rights import Area
from csms.routing import Registration
from csms.runtime import Runtime
from csms.station.information.model import Leniency, Station, StationStatus
from csms.station.information.passwords import hashes_for, hashes_in_thread, new_password
from csms.station.information.rules import PROFILES_WITH_PASSWORD, profile_warning
from csms.station.information.service import (
    change_station,
    check_identity,
    check_new_password,
    check_place,
    delete_station,
    get_station,
    own_organisation_id,
    register_station,
    set_registration,
)
from csms.store import Work
from csms.trust import tls_offer
from csms.web import CallerDep, Reading, RuntimeDep, Shown, Strict, Writing, behind, may_read, may_write

router = APIRouter()

StationId = Annotated[str, Path(max_length=48, description="the station's OCPP identity", examples=["CP-0001"])]


async def _read(station_id: StationId, work: Reading) -> Station:
    return await get_station(work, station_id)


async def _write(station_id: StationId, work: Writing) -> Station:
    return await get_station(work, station_id)


StationDep = Annotated[Station, Depends(_read)]
"""The station of the path, in a route that reads; 404 if it is not yours."""

StationToChange = Annotated[Station, Depends(_write)]
"""The same in a route that writes: loaded in the unit of work that `Writing` commits."""

Text = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")
]
Tag = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=50, pattern=r"^[^\x00-\x1f,]+$")]
Tags = Annotated[list[Tag], Field(max_length=50, description="words of your own to filter by", examples=[["dc", "a9"]])]
Country = Annotated[str, StringConstraints(pattern="^[A-Z]{2}$")]
SecurityProfile = Annotated[
    int,
    Field(ge=0, le=3, description="0 none, 1 password, 2 TLS and password, 3 TLS and client certificate", examples=[1]),
]
Password = Annotated[
    SecretStr,
    Field(
        max_length=80,
        description="1.6: 16 to 20 characters or 32 to 40 hexadecimal digits; 2.0.1: 16 to 40, 2.1: 16 to 64",
        examples=["6f3a1c9e5b7d20488af10c3e9b5d7246a1c0ffee"],
    ),
]
PasswordProtocol = Literal["ocpp1.6", "ocpp2.0.1", "ocpp2.1"]


class Location(Strict):
    """Where a station stands; WGS 84, degrees."""

    address: Text | None = Field(None, description="street and number", examples=["Am Hof 1"])
    city: Text | None = Field(None, examples=["München"])
    postal_code: Text | None = Field(None, examples=["80331"])
    country: Country | None = Field(None, description="ISO 3166-1 alpha-2", examples=["DE"])
    latitude: float | None = Field(None, ge=-90, le=90, examples=[48.1374])
    longitude: float | None = Field(None, ge=-180, le=180, examples=[11.5755])


class LocationShown(Shown):
    """Where the station stands; WGS 84, degrees."""

    address: str | None
    city: str | None
    postal_code: str | None
    country: str | None
    latitude: float | None
    longitude: float | None


class Hardware(Shown):
    """What the station said of itself when it booted."""

    vendor: str | None
    model: str | None
    serial_number: str | None
    firmware_version: str | None
    meter_type: str | None
    meter_serial_number: str | None
    last_boot_at: datetime | None
    boot_reason: str | None = Field(description="as the station told it; OCPP 1.6 has none", examples=["PowerUp"])


class SimCard(Shown):
    """The SIM card as the station reported it."""

    iccid: str | None
    imsi: str | None


class Communication(Shown):
    """How the station communicates, and since when."""

    is_online: bool
    online_since: datetime | None
    offline_since: datetime | None
    last_seen_at: datetime | None
    last_heartbeat_at: datetime | None
    protocol: str | None = Field(description="the subprotocol of the latest connection", examples=["ocpp1.6"])
    remote_address: str | None
    security_profile: int
    next_security_profile: int | None = Field(description="accepted too, while the station is raised to it")
    has_password: bool
    leniency: Leniency = Field(description="what becomes of messages that break the standard")
    sim_card: SimCard


class StationShown(Shown):
    """The head of a station's datasheet."""

    id: Id
    station_id: str = Field(description="the OCPP identity", examples=["CP-0001"])
    public_id: str = Field(description="what public feeds call it")
    name: str | None
    site: str | None
    tags: list[str]
    registration: Registration
    is_demo: bool
    created_at: datetime
    status: StationStatus = Field(description="what the station says of itself as a whole (connector 0)")
    status_at: datetime | None
    location: LocationShown
    hardware: Hardware
    communication: Communication


class StationKept(StationShown):
    """A station as it is now, with what to mind."""

    warnings: list[str] = Field(description="what will keep it from connecting; empty as far as is known")


class StationRegistered(StationKept):
    """A new station; its password is shown here and never again."""

    password: str | None


class StationToRegister(Strict):
    """A station that may connect from now on."""

    station_id: str = Field(max_length=48, description="the OCPP identity", examples=["CP-0001"])
    name: Text | None = None
    site: Text | None = None
    tags: Tags = Field(default_factory=list)
    location: Location = Location()
    registration: Registration = Registration.ACCEPTED
    leniency: Leniency = Leniency.LENIENT
    security_profile: SecurityProfile = 0
    protocol: PasswordProtocol = Field("ocpp1.6", description="decides which passwords are legal")
    password: Password | None = Field(None, description="left out with profile 1 or 2: one is made")


class StationChanges(Strict):
    """What to change; fields left out stay as they are."""

    name: Text | None = None
    site: Text | None = None
    tags: Tags | None = None
    location: Location | None = Field(None, description="fields left out stay as they are")
    leniency: Leniency | None = None
    security_profile: SecurityProfile | None = None


class RegistrationDecision(Strict):
    """B9: whether the station may work."""

    registration: Registration = Field(examples=["accepted"])


def show(station: Station) -> StationShown:
    """The datasheet head of a row."""
    return StationShown.model_validate(_parts(station))


def _parts(station: Station) -> dict[str, Any]:
    parts = station.model_dump(exclude={"password_hashes", "fence", "connection_id"})
    communication = parts | {
        "has_password": bool(station.password_hashes),
        "sim_card": {"iccid": station.iccid, "imsi": station.imsi},
    }
    return parts | {
        "station_id": station.identity,
        "location": parts,
        "hardware": parts,
        "communication": communication,
    }


async def _kept(work: Work, station: Station, runtime: Runtime) -> StationKept:
    offer = await tls_offer(work, runtime.settings)
    warning = profile_warning(
        station.security_profile,
        has_tls=offer.has_tls,
        has_client_tls=offer.has_client_tls,
        has_authority=offer.has_authority,
    )
    return StationKept(**show(station).model_dump(), warnings=[] if warning is None else [warning])


async def password_hashes(given: SecretStr | None, protocol: str, runtime: Runtime) -> tuple[list[str], str | None]:
    """Hashes to store and, if it was made here, the password to show once. Before the unit of work: it takes time."""
    if given is None:
        made = new_password()
        return hashes_for(made, runtime.secret_key, is_generated=True), made
    password = given.get_secret_value()
    check_new_password(password, protocol)
    return await hashes_in_thread(password, runtime.secret_key), None


def _new_station(body: StationToRegister, hashes: list[str] | None) -> Station:
    values = body.model_dump(exclude={"station_id", "location", "password", "protocol"})
    place = body.location.model_dump()
    return Station(identity=body.station_id, password_hashes=hashes, **values, **place)


@router.post(
    "/stations",
    status_code=status.HTTP_201_CREATED,
    summary="Register a station",
    description="It may connect from now on. With security profile 1 or 2 and no password, one is made and shown once.",
    dependencies=[may_write(Area.DEVICE_AND_CUSTOMER_MANAGEMENT)],
    responses={409: {"description": "the identity is taken"}},
)
async def register(body: StationToRegister, runtime: RuntimeDep, caller: CallerDep) -> StationRegistered:
    check_identity(body.station_id, body.security_profile)
    check_place(body.location.latitude, body.location.longitude)
    hashes, made = None, None
    if body.password is not None or body.security_profile in PROFILES_WITH_PASSWORD:
        hashes, made = await password_hashes(body.password, body.protocol, runtime)
    async with runtime.store.writing(caller) as work:
        station = _new_station(body, hashes)
        station.created_at = work.now
        station.organisation_id = await own_organisation_id(work)
        await register_station(work, station)
        kept = await _kept(work, station, runtime)
    return StationRegistered(**kept.model_dump(), password=made)


@router.get(
    "/stations/{station_id}",
    summary="The head of a station's datasheet",
    dependencies=[may_read()],
    openapi_extra=behind("BootNotification", "Heartbeat"),
)
async def read(station: StationDep) -> StationShown:
    return show(station)


@router.patch(
    "/stations/{station_id}",
    summary="Change a station",
    dependencies=[may_write(Area.DEVICE_AND_CUSTOMER_MANAGEMENT)],
    responses={409: {"description": "the security profile needs a password first"}},
)
async def change(station: StationToChange, body: StationChanges, work: Writing, runtime: RuntimeDep) -> StationKept:
    values = body.model_dump(exclude_unset=True, exclude={"location"})
    for name in ("tags", "leniency", "security_profile"):
        if name in values and values[name] is None:
            raise Invalid(f"{name} cannot be null; leave it out to keep it", place=f"body/{name}")
    if body.location is not None:
        values |= body.location.model_dump(exclude_unset=True)
    change_station(work, station, values)
    return await _kept(work, station, runtime)


@router.delete(
    "/stations/{station_id}",
    status_code=status.HTTP_204_NO_CONTENT,
    summary="Delete a station",
    description="Refused while it is online. If it connects again it is an unknown station.",
    dependencies=[may_write(Area.DEVICE_AND_CUSTOMER_MANAGEMENT)],
    responses={409: {"description": "the station is online"}},
)
async def delete(station: StationToChange, work: Writing) -> None:
    await delete_station(work, station)


@router.post(
    "/stations/{station_id}/registration",
    summary="Accept a station, let it wait, or reject it",
    description="A pending station that is connected may work as soon as it is accepted; a rejected one is closed.",
    dependencies=[may_write(Area.DEVICE_AND_CUSTOMER_MANAGEMENT)],
    responses={409: {"description": "its security profile needs a password first"}},
)
async def decide(station: StationToChange, body: RegistrationDecision, work: Writing) -> StationShown:
    set_registration(work, station, body.registration)
    return show(station)
