"""S27: tokens over HTTP, and what becomes of unknown ones."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Self

from fastapi import APIRouter, Depends, Path, Query, status
from pydantic import Field, StringConstraints, model_validator

from csms.ids import Id
from csms.rights import Area
from csms.station.tokens.model import UnknownTokens
from csms.station.tokens.rules import TokenKind
from csms.station.tokens.service.records import (
    add_token,
    change_token,
    get_token,
    organisation_of,
    read_policy,
    remove_token,
    set_policy,
    tokens_query,
)
from csms.web import Page, PageDep, Reading, Shown, Strict, UtcTime, Writing, behind, may_read, may_write, page_of

router = APIRouter()
_CAN_WRITE = [may_write(Area.DEVICE_AND_CUSTOMER_MANAGEMENT)]


# OCPP 1.6 takes 20 characters, 2.x 36 (2.1: 255); CiString knows printable ASCII only.
Uid = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=255, pattern=r"^[!-~ ]+$")]
Text = Annotated[str, StringConstraints(strip_whitespace=True, max_length=200, pattern=r"^[^\x00-\x1f]*$")]
Name = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]*$")]
Language = Annotated[str, StringConstraints(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,4})?$", max_length=8)]
Message = Annotated[str, StringConstraints(min_length=1, max_length=512, pattern=r"^[^\x00]*$")]
TokenId = Annotated[Id, Path(description="the token's id")]


PLACES_MAX = 100
NUMBERS_MAX = 50
DAY_S = 86400


class PlaceFields(Strict):
    """Where a token may charge: exactly one of station, site and tag; perhaps only at some charge points."""

    station_id: Name | None = Field(None, description="one station", examples=["CS-0001"])
    site: Name | None = Field(None, description="all stations of a site", examples=["Harbour"])
    tag: Name | None = Field(None, description="all stations with that tag", examples=["staff car park"])
    charge_point_numbers: list[Annotated[int, Field(ge=1, le=256)]] = Field(
        default_factory=list, max_length=NUMBERS_MAX, description="empty: all charge points", examples=[[1, 2]]
    )

    @model_validator(mode="after")
    def _check_one(self) -> Self:
        if sum(one is not None for one in (self.station_id, self.site, self.tag)) != 1:
            raise ValueError("name exactly one of `station_id`, `site` and `tag`")
        return self


class AdditionalInfo(Strict):
    """A further id of the same token (OCPP 2.x additionalInfo)."""

    additional_id: Uid = Field(examples=["NL-TNM-012345678-9"])
    kind: Annotated[str, StringConstraints(min_length=1, max_length=50, pattern=r"^[!-~ ]+$")] = Field(
        description="what it is, as station and backend agreed", examples=["contract"]
    )


class TokenFields(Strict):
    """What may be said of a token, at first and later."""

    kind: TokenKind | None = Field(
        None,
        description="what it is; if given, it is refused when presented as something else (a card's number typed in). "
        "OCPP 1.6 stations do not tell",
        examples=[TokenKind.ISO14443],
    )
    additional_info: list[AdditionalInfo] | None = Field(None, max_length=10, description="OCPP 2.x only")
    label: Text | None = Field(None, description="what the card or account is called", examples=["blue card 12"])
    holder: Text | None = Field(None, description="who uses it", examples=["Alex Example"])
    group_uid: Uid | None = Field(
        None,
        description="tokens of one group may stop each other's charges (OCPP: parentIdTag, groupIdToken); the token "
        "with that uid, if there is one, belongs to it too",
        examples=["FLEET-1"],
    )
    group_kind: TokenKind | None = Field(None, description="OCPP 2.x: what the group's uid is; null: central")
    valid_from: UtcTime | None = Field(None, description="null: always has been", examples=["2027-01-01T00:00:00Z"])
    valid_until: UtcTime | None = Field(None, description="null: for ever", examples=["2028-01-01T00:00:00Z"])
    is_blocked: bool = Field(default=False, description="lost or stolen: answered Blocked")
    is_exclusive: bool = Field(default=False, description="one running charge at a time: others get ConcurrentTx")
    is_out_of_credit: bool = Field(default=False, description="nothing left to pay with: answered NoCredit")
    allowed_at: list[PlaceFields] | None = Field(
        None, max_length=PLACES_MAX, description="where it may charge; null: everywhere, empty: nowhere"
    )
    language: Language | None = Field(None, description="the driver's first language; OCPP 2.x", examples=["nb"])
    second_language: Language | None = Field(None, examples=["en"])
    personal_message: Message | None = Field(
        None, description="shown to the driver by OCPP 2.x stations", examples=["Welcome back, Alex"]
    )
    charging_priority: int | None = Field(None, ge=-9, le=9, description="OCPP 2.x: 9 is the highest, 0 usual")

    def columns(self, names: set[str]) -> dict[str, Any]:
        """These fields as the table has them."""
        return {name: value for name, value in self.model_dump(exclude_none=False).items() if name in names}


class NewToken(TokenFields):
    """A token to register."""

    uid: Uid = Field(description="as the reader sends it; case does not count", examples=["04E91C5A6F2A80"])

    @model_validator(mode="after")
    def _check_period(self) -> Self:
        if self.valid_from is not None and self.valid_until is not None and self.valid_until <= self.valid_from:
            raise ValueError("`valid_until` must be later than `valid_from`")
        return self


class TokenChange(TokenFields):
    """What to change; fields left out stay as they are, null clears."""


class TokenShown(Shown):
    """A registered token."""

    id: Id
    uid: str = Field(examples=["04E91C5A6F2A80"])
    kind: TokenKind | None
    additional_info: list[dict[str, str]] | None
    label: str | None
    holder: str | None
    group_uid: str | None
    group_kind: TokenKind | None
    valid_from: datetime | None
    valid_until: datetime | None
    is_blocked: bool
    is_exclusive: bool
    is_out_of_credit: bool
    allowed_at: list[dict[str, Any]] | None
    language: str | None
    second_language: str | None
    personal_message: str | None
    charging_priority: int | None
    created_at: datetime


class Policy(Strict):
    """How the organisation treats tokens."""

    unknown_tokens: UnknownTokens = Field(description="tokens that nobody registered; demo stations take any")
    is_one_charge_at_a_time: bool = Field(
        default=False, description="no token may be in two running charges: the second is answered ConcurrentTx"
    )
    cache_kept_s: int | None = Field(
        None,
        ge=60,
        le=365 * DAY_S,
        description="how long stations may go by an answer when they cannot ask; null: as long as they like",
        examples=[7 * DAY_S],
    )
    master_pass_group_uid: Uid | None = Field(
        None,
        description="tokens of this group end any charge and begin none; the same as the stations' MasterPassGroupId",
        examples=["MASTER"],
    )
    is_cache_cleared: bool = Field(
        default=True,
        description="tell stations that remember tokens to forget them when one is blocked or removed",
    )


class PolicyShown(Shown):
    """How the organisation treats tokens."""

    unknown_tokens: UnknownTokens
    is_one_charge_at_a_time: bool
    cache_kept_s: int | None
    master_pass_group_uid: str | None
    is_cache_cleared: bool


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which tokens to list."""

    q: Annotated[
        str | None, Query(max_length=100, pattern=r"^[^\x00]*$", description="part of uid, label, holder or group")
    ] = None
    is_blocked: Annotated[bool | None, Query(description="only blocked or only unblocked ones")] = None
    group_uid: Annotated[Uid | None, Query(description="only tokens of that group")] = None
    kind: Annotated[TokenKind | None, Query(description="only tokens of that kind")] = None


@router.get(
    "/tokens",
    summary="Registered tokens",
    dependencies=[may_read()],
    openapi_extra=behind("Authorize"),
)
async def list_tokens(work: Reading, page: PageDep, wanted: Annotated[Wanted, Depends()]) -> Page[TokenShown]:
    """Newest first."""
    query = tokens_query(wanted.q, is_blocked=wanted.is_blocked, group_uid=wanted.group_uid, kind=wanted.kind)
    rows, cursor = await page_of(work, query, page)
    return Page(items=[TokenShown.model_validate(row) for row in rows], next_cursor=cursor)


@router.post(
    "/tokens",
    status_code=status.HTTP_201_CREATED,
    summary="Register a token",
    dependencies=_CAN_WRITE,
    responses={409: {"description": "the organisation has this token already, in whatever case"}},
)
async def create_token(work: Writing, body: NewToken) -> TokenShown:
    """It may charge at every station of the organisation at once."""
    return TokenShown.model_validate(await add_token(work, body.model_dump()))


@router.get(
    "/tokens/{token_id}",
    summary="One token",
    dependencies=[may_read()],
    responses={404: {"description": "no such token"}},
)
async def show_token(work: Reading, token_id: TokenId) -> TokenShown:
    """A registered token of your organisation."""
    return TokenShown.model_validate(await get_token(work, token_id))


@router.patch(
    "/tokens/{token_id}",
    summary="Change or block a token",
    dependencies=_CAN_WRITE,
    responses={404: {"description": "no such token"}, 422: {"description": "it would end before it begins"}},
)
async def update_token(work: Writing, token_id: TokenId, body: TokenChange) -> TokenShown:
    """Charges that run go on; the next start or Authorize is judged anew, on every broker at once."""
    token = await get_token(work, token_id)
    change_token(work, token, body.columns(body.model_fields_set))
    return TokenShown.model_validate(token)


@router.delete(
    "/tokens/{token_id}",
    status_code=status.HTTP_204_NO_CONTENT,
    summary="Remove a token",
    dependencies=_CAN_WRITE,
    responses={404: {"description": "no such token"}},
)
async def delete_token(work: Writing, token_id: TokenId) -> None:
    """It is unknown from now on; charge logs keep its uid. To keep others from using it, block it instead."""
    await remove_token(work, await get_token(work, token_id))


@router.get("/token-policy", summary="How tokens are treated", dependencies=[may_read()])
async def show_policy(work: Reading) -> PolicyShown:
    """Unknown tokens are refused unless changed."""
    return PolicyShown.model_validate(await read_policy(work, organisation_of(work)))


@router.put(
    "/token-policy",
    summary="Say how tokens are treated",
    dependencies=[may_write(Area.SYSTEM_CONFIGURATION)],
)
async def change_policy(work: Writing, body: Policy) -> PolicyShown:
    """Holds for every station of the organisation at once."""
    return PolicyShown.model_validate(await set_policy(work, body.model_dump()))
