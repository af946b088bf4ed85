"""B10: a station's password over HTTP: set here, or changed on the station too."""

from datetime import datetime

from fastapi import APIRouter, status
from pydantic import Field

from csms.exceptions import Invalid
from csms.ids import Id
from csms.ocpp.versions import Version
from csms.rights import Area
from csms.station.commands import Timeout, send, version_of
from csms.station.information import (
    Password,
    PasswordProtocol,
    StationDep,
    StationId,
    StationToChange,
    check_identity,
    get_station,
    key_digits,
    new_password,
    password_fault,
    password_hashes,
)
from csms.station.passwords.rules import ChangeState, change_request
from csms.station.passwords.service import change_of, changes_query, set_password
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

router = APIRouter()


class PasswordToSet(Strict):
    """A password, or nothing to have one made."""

    password: Password | None = None
    protocol: PasswordProtocol | None = Field(
        None, description="decides which passwords are legal; as it last connected"
    )


class PasswordShown(Shown):
    """A password that was made here is shown once; one that you gave is not repeated."""

    password: str | None


class NewPassword(Strict):
    """A password for the station, or nothing to have one made."""

    password: Password | None = Field(None, description="left out: one of 160 random bits is made, which nobody sees")


class PasswordChangeShown(Shown):
    """A password that was sent to the station, and what became of it."""

    id: Id
    state: ChangeState = Field(
        description="`unknown`, `restart_needed`: old and new password are accepted until a login decides; `waiting`: "
        "its first, at security profile 0: it may come without until it has come with it, or its profile is raised"
    )
    reason: str | None = Field(examples=["Accepted"])
    requested_at: datetime
    requested_by: str
    decided_at: datetime | None = Field(description="null while both passwords are accepted")
    command_id: Id = Field(description="the command log's entry")


@router.put(
    "/stations/{station_id}/password",
    summary="Set a station's password on this side, or have one made",
    description=(
        "For a station that is given it by hand. The old one stops at once; a connection that is open stays open. Only "
        "salted hashes are stored. To change it on the station too, POST …/password/change."
    ),
    dependencies=[may_write(Area.DEVICE_AND_CUSTOMER_MANAGEMENT)],
)
async def put_password(
    station_id: StationId, body: PasswordToSet, runtime: RuntimeDep, caller: CallerDep
) -> PasswordShown:
    async with runtime.store.reading(caller) as work:
        known = await get_station(work, station_id)
    check_identity(known.identity, max(known.security_profile, 1))
    hashes, made = await password_hashes(body.password, body.protocol or known.protocol or Version.V16, runtime)
    async with runtime.store.writing(caller) as work:
        await set_password(work, await get_station(work, station_id), hashes)
    return PasswordShown(password=made)


@router.delete(
    "/stations/{station_id}/password",
    status_code=status.HTTP_204_NO_CONTENT,
    summary="Let a station connect without a password",
    dependencies=[may_write(Area.DEVICE_AND_CUSTOMER_MANAGEMENT)],
    responses={409: {"description": "its security profile needs one"}},
)
async def delete_password(station: StationToChange, work: Writing) -> None:
    await set_password(work, station, None)


@router.post(
    "/stations/{station_id}/password/change",
    summary="Give the station a new password over OCPP",
    dependencies=[may_write(Area.DEVICE_AND_CUSTOMER_MANAGEMENT)],
    responses={
        404: {"description": "no such station"},
        409: {"description": "a change is under way, or the station may not be sent anything"},
        422: {"description": "no station of its OCPP version can have that password"},
    },
    openapi_extra=behind("ChangeConfiguration", "SetVariables"),
)
async def change_password(
    station_id: StationId,
    body: NewPassword,
    runtime: RuntimeDep,
    caller: CallerDep,
    timeout_s: Timeout = None,
) -> PasswordChangeShown:
    """Nobody is locked out.

    When the station accepts, only the new one is accepted from it; when it refuses, only the old one; without an
    answer, both, until its next login shows which one it has.
    """
    async with runtime.store.reading(caller) as work:
        version = version_of(await get_station(work, station_id))
    password = body.password.get_secret_value() if body.password is not None else new_password()
    fault = password_fault(password, version)
    if fault is not None:
        raise Invalid(fault, place="body/password")
    is_16 = version is Version.V16
    action, payload = change_request(key_digits(password) if is_16 else password, is_16=is_16)
    command = await send(runtime, caller, station_id, action, payload, timeout_s=timeout_s)
    async with runtime.store.reading(caller) as work:
        return PasswordChangeShown.model_validate(await change_of(work, command))


@router.get(
    "/stations/{station_id}/password/changes",
    summary="Passwords that were sent to the station, newest first",
    dependencies=[may_read()],
    responses={404: {"description": "no such station"}},
    openapi_extra=behind("ChangeConfiguration", "SetVariables"),
)
async def list_changes(station: StationDep, work: Reading, page: PageDep) -> Page[PasswordChangeShown]:
    """When, by whom, and which one holds; never a password."""
    rows, cursor = await page_of(work, changes_query(station), page)
    return Page(items=[PasswordChangeShown.model_validate(row) for row in rows], next_cursor=cursor)
