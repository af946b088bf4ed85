"""S27: local lists over HTTP: which tokens are on them, and how each station's list is."""

from datetime import datetime
from typing import Annotated, Any, Self

from fastapi import APIRouter, Path, Query, status
from pydantic import Field, StringConstraints, model_validator
from sqlmodel import select

from csms.ids import Id
from csms.rights import Area
from csms.station.information import Station, StationDep, StationId, StationToChange, get_station
from csms.station.local_lists.model import LocalList, LocalListRule
from csms.station.local_lists.rules import ListResult
from csms.station.local_lists.service.contents import rules_for
from csms.station.local_lists.service.exclusions import exclusions_query, readmit
from csms.station.local_lists.service.keeping import (
    add_rule,
    get_rule,
    list_of,
    look_again,
    organisation_of,
    read_policy,
    remove_rule,
    stored_entries,
)
from csms.station.local_lists.service.syncing import compare, read_list, sync
from csms.store import Work
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
_CAN_SEND = [may_write(Area.OPERATION)]
_CAN_MANAGE = [may_write(Area.DEVICE_AND_CUSTOMER_MANAGEMENT)]
_NO_STATION: dict[int | str, dict[str, Any]] = {404: {"description": "no such station"}}
_BUSY: dict[int | str, dict[str, Any]] = {
    **_NO_STATION,
    409: {"description": "the list is being sent at this moment, or the station may not be sent anything"},
}
ENTRIES_MAX = 500

Uid = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=255, pattern=r"^[!-~ ]+$")]
Name = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]*$")]
RuleId = Annotated[Id, Path(description="the rule's id")]
ExclusionId = Annotated[Id, Path(description="the exclusion's id")]


class NewRule(Strict):
    """Tokens that belong on the lists of stations."""

    station_id: Name | None = Field(None, description="one station; without it, site and tag: all stations")
    site: Name | None = Field(None, description="all stations of a site", examples=[None])
    tag: Name | None = Field(None, description="all stations with that tag", examples=["rural"])
    token_id: Id | None = Field(None, description="one token; without it and a group: all tokens", examples=[None])
    group_uid: Uid | None = Field(None, description="all tokens of a group", examples=["FLEET-1"])

    @model_validator(mode="after")
    def _check(self) -> Self:
        if sum(one is not None for one in (self.station_id, self.site, self.tag)) > 1:
            raise ValueError("name at most one of `station_id`, `site` and `tag`")
        if self.token_id is not None and self.group_uid is not None:
            raise ValueError("name a token or a group, not both")
        return self

    def columns(self) -> dict[str, Any]:
        """These fields as the table has them."""
        fields = dict(self)  # as they are: dumped, an id would be text
        return {"station_identity": fields.pop("station_id"), **fields}


class RuleShown(Shown):
    """Tokens that belong on the lists of stations."""

    id: Id
    station_id: str | None
    site: str | None
    tag: str | None
    token_id: Id | None
    group_uid: str | None
    created_at: datetime
    created_by: str

    @classmethod
    def of(cls, rule: LocalListRule) -> Self:
        return cls.model_validate({**rule.model_dump(), "station_id": rule.station_identity})


class ListShown(Shown):
    """The list of a station: what it should have, what it has, and what is being done about it."""

    station_id: str = Field(examples=["CP-0001"])
    is_wanted: bool = Field(description="whether any rule puts tokens on this station's list")
    is_automatic: bool = Field(description="kept true by itself; otherwise only when somebody asks")
    is_supported: bool | None = Field(description="null: never tried")
    is_in_step: bool = Field(description="the station has what it should have, as far as it told")
    in_step_changed_at: datetime | None = Field(description="since when it is so")
    version: int = Field(description="what it was brought to last")
    station_version: int | None = Field(description="what the station itself said last")
    station_version_at: datetime | None
    entries_count: int = Field(description="tokens that should be on it")
    left_out_count: int = Field(
        description="tokens for which the station has no room, or whose uids are too long for its OCPP version"
    )
    is_contents_known: bool = Field(description="whether it is known what the station's list holds")
    due_at: datetime | None = Field(description="when it is looked at next; null: when something changes")
    attempts: int = Field(description="in vain since it last was in step")
    last_result: ListResult | None
    problem: str | None
    synced_at: datetime | None

    @classmethod
    async def of(cls, work: Work, station: Station, row: LocalList) -> Self:
        more = {
            "station_id": station.identity,
            "is_wanted": bool(await rules_for(work, station)),
            "is_contents_known": row.snapshot_id is not None,
        }
        return cls.model_validate(row.model_dump() | more)


class EntryShown(Shown):
    """A token on a station's list."""

    uid: str
    kind: str | None = None
    status: str = Field(examples=["accepted"])
    group: str | None = None
    expires_at: datetime | None = None
    charge_point_numbers: list[int] = Field(default_factory=list, description="empty: all")


class ExclusionShown(Shown):
    """A token that is kept off the station's list, whatever the rules say."""

    id: Id
    token_id: Id
    created_at: datetime = Field(description="when the station had deleted what it knew of the token's customer")


class Keeping(Strict):
    """Whether the list is kept true by itself."""

    is_automatic: bool = Field(examples=[True])


class ListPolicy(Strict):
    """How the organisation keeps lists."""

    is_compared_after_boot: bool = Field(
        description="ask every station for its list's version after it has booted; some models freeze when asked "
        "anything so soon",
        examples=[False],
    )


class ListPolicyShown(Shown):
    """How the organisation keeps lists."""

    is_compared_after_boot: bool


@router.get(
    "/local-list-rules",
    summary="Which tokens are on which stations' lists",
    dependencies=[may_read()],
    openapi_extra=behind("SendLocalList"),
)
async def list_rules(work: Reading, page: PageDep) -> Page[RuleShown]:
    """A list is what all rules together put on it. Newest first."""
    rows, cursor = await page_of(work, select(LocalListRule), page)
    return Page(items=[RuleShown.of(row) for row in rows], next_cursor=cursor)


@router.post(
    "/local-list-rules",
    status_code=status.HTTP_201_CREATED,
    summary="Put tokens on stations' lists",
    dependencies=_CAN_MANAGE,
    responses={409: {"description": "too many rules"}, 422: {"description": "no such station or token"}},
    openapi_extra=behind("SendLocalList"),
)
async def create_rule(work: Writing, body: NewRule) -> RuleShown:
    """The stations get them within seconds if they are connected, else when they are back."""
    return RuleShown.of(await add_rule(work, body.columns()))


@router.delete(
    "/local-list-rules/{rule_id}",
    status_code=status.HTTP_204_NO_CONTENT,
    summary="Take tokens off stations' lists",
    dependencies=_CAN_MANAGE,
    responses={404: {"description": "no such rule"}},
    openapi_extra=behind("SendLocalList"),
)
async def delete_rule(work: Writing, rule_id: RuleId) -> None:
    """Tokens that another rule keeps there stay."""
    await remove_rule(work, await get_rule(work, rule_id))


@router.get("/local-list-policy", summary="How lists are kept", dependencies=[may_read()])
async def show_list_policy(work: Reading) -> ListPolicyShown:
    return ListPolicyShown.model_validate(await read_policy(work, organisation_of(work)))


@router.put("/local-list-policy", summary="Say how lists are kept", dependencies=[may_write(Area.SYSTEM_CONFIGURATION)])
async def change_list_policy(work: Writing, body: ListPolicy) -> ListPolicyShown:
    row = await read_policy(work, organisation_of(work))
    row.is_compared_after_boot = body.is_compared_after_boot
    work.session.add(row)
    return ListPolicyShown.model_validate(row)


@router.get(
    "/stations/{station_id}/local-list",
    summary="The station's list of tokens",
    dependencies=[may_read()],
    responses=_NO_STATION,
    openapi_extra=behind("SendLocalList", "GetLocalListVersion"),
)
async def show_list(station: StationDep, work: Reading) -> ListShown:
    """With it the station lets people charge while it cannot ask."""
    return await ListShown.of(work, station, await read_list(work, station))


@router.get(
    "/stations/{station_id}/local-list/entries",
    summary="The tokens on the station's list",
    dependencies=[may_read()],
    responses=_NO_STATION,
    openapi_extra=behind("SendLocalList"),
)
async def list_entries(
    station: StationDep,
    work: Reading,
    limit: Annotated[int, Query(ge=1, le=ENTRIES_MAX)] = 50,
    cursor: Annotated[str | None, Query(max_length=400, description="`next_cursor` of the page before")] = None,
) -> Page[EntryShown]:
    """What the station has, as far as is known (see `is_contents_known`), by uid."""
    row = await read_list(work, station)
    entries = await stored_entries(work, row.snapshot_id) or {}
    keys = [key for key in sorted(entries) if cursor is None or key > cursor]
    shown = [EntryShown.model_validate(entries[key]) for key in keys[:limit]]
    return Page(items=shown, next_cursor=keys[limit - 1] if len(keys) > limit else None)


@router.get(
    "/stations/{station_id}/local-list/exclusions",
    summary="Tokens that are kept off the station's list",
    dependencies=[may_read()],
    responses=_NO_STATION,
)
async def list_exclusions(station: StationDep, work: Reading, page: PageDep) -> Page[ExclusionShown]:
    """A token is, once the station has deleted what it knew of its customer (`POST …/customer-information`)."""
    rows, cursor = await page_of(work, exclusions_query(station), page)
    return Page(items=[ExclusionShown.model_validate(row) for row in rows], next_cursor=cursor)


@router.delete(
    "/stations/{station_id}/local-list/exclusions/{exclusion_id}",
    status_code=status.HTTP_204_NO_CONTENT,
    summary="Let the rules decide about the token again",
    dependencies=_CAN_MANAGE,
    responses={404: {"description": "no such station or exclusion"}},
    openapi_extra=behind("SendLocalList"),
)
async def delete_exclusion(station: StationToChange, work: Writing, exclusion_id: ExclusionId) -> None:
    """If a rule puts it on the list, the station gets it again."""
    await readmit(work, station, exclusion_id)


@router.put(
    "/stations/{station_id}/local-list",
    summary="Keep the station's list true by itself, or not",
    dependencies=_CAN_SEND,
    responses=_NO_STATION,
)
async def change_keeping(station: StationToChange, work: Writing, body: Keeping) -> ListShown:
    row = await list_of(work, station)
    row.is_automatic = body.is_automatic
    work.session.add(row)
    await work.session.flush()
    if body.is_automatic:
        await look_again(work, station.organisation_id, station.id)
        await work.session.refresh(row)
    return await ListShown.of(work, station, row)


@router.post(
    "/stations/{station_id}/local-list/sync",
    summary="Bring the station's list into step now",
    dependencies=_CAN_SEND,
    responses=_BUSY,
    openapi_extra=behind("SendLocalList"),
)
async def sync_list(station_id: StationId, runtime: RuntimeDep, caller: CallerDep) -> ListShown:
    """Sends what the list lacks, or all of it if nobody knows what the station has; see `last_result`."""
    return await _shown(runtime, caller, station_id, await sync(runtime, caller, station_id))


@router.post(
    "/stations/{station_id}/local-list/compare",
    summary="Ask the station for its list's version",
    dependencies=_CAN_SEND,
    responses=_BUSY,
    openapi_extra=behind("GetLocalListVersion"),
)
async def compare_list(station_id: StationId, runtime: RuntimeDep, caller: CallerDep) -> ListShown:
    """If it differs from what the station should have, the whole list is sent soon."""
    return await _shown(runtime, caller, station_id, await compare(runtime, caller, station_id))


@router.post(
    "/stations/{station_id}/local-list/clear",
    summary="Take all tokens off the station's list",
    dependencies=_CAN_SEND,
    responses=_BUSY,
    openapi_extra=behind("SendLocalList"),
)
async def clear_list(station_id: StationId, runtime: RuntimeDep, caller: CallerDep) -> ListShown:
    """Sends an empty list, and stops keeping it true by itself."""
    return await _shown(runtime, caller, station_id, await sync(runtime, caller, station_id, to_empty=True))


async def _shown(runtime: RuntimeDep, caller: CallerDep, station_id: str, row: LocalList) -> ListShown:
    async with runtime.store.reading(caller) as work:
        return await ListShown.of(work, await get_station(work, station_id), row)
