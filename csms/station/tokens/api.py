"""S27: tokens over HTTP, and what becomes of unknown ones."""

from datetime import UTC, datetime
from typing import Annotated, Self

from fastapi import APIRouter, Path, Query, status
from pydantic import AfterValidator, AwareDatetime, Field, StringConstraints, model_validator

from csms.exceptions import Invalid
from csms.ids import Id
from csms.rights import Area
from csms.station.tokens.model import Token, UnknownTokens
from csms.station.tokens.rules import token_key
from csms.station.tokens.service import (
    add_token,
    forget_cached,
    get_token,
    organisation_of,
    read_policy,
    remove_token,
    set_policy,
    tokens_query,
)
from csms.web import Page, PageDep, Reading, Shown, Strict, Writing, may_read, may_write, page_of

router = APIRouter()


def _utc(at: datetime) -> datetime:
    try:
        return at.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("no such time") from error


UtcTime = Annotated[AwareDatetime, AfterValidator(_utc)]
# OCPP 1.6 takes 20 characters, 2.x 36 (2.1: 255); CiString knows printable ASCII only.
Uid = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=255, pattern=r"^[!-~ ]+$")]
Text = Annotated[str, StringConstraints(strip_whitespace=True, max_length=200, pattern=r"^[^\x00-\x1f]*$")]
TokenId = Annotated[Id, Path(description="the token's id")]


class TokenFields(Strict):
    """What may be said of a token, at first and later."""

    label: Text | None = Field(None, description="what the card or account is called", examples=["blue card 12"])
    holder: Text | None = Field(None, description="who uses it", examples=["Alex Example"])
    group_uid: Uid | None = Field(
        None, description="tokens of one group may stop each other's charges (OCPP: parentIdTag)", examples=["FLEET-1"]
    )
    valid_from: UtcTime | None = Field(None, description="null: always has been", examples=["2027-01-01T00:00:00Z"])
    valid_until: UtcTime | None = Field(None, description="null: for ever", examples=["2028-01-01T00:00:00Z"])
    is_blocked: bool = Field(default=False, description="lost or stolen: answered Blocked")
    is_exclusive: bool = Field(default=False, description="one running charge at a time: others get ConcurrentTx")


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
    label: str | None
    holder: str | None
    group_uid: str | None
    valid_from: datetime | None
    valid_until: datetime | None
    is_blocked: bool
    is_exclusive: bool
    created_at: datetime


class Policy(Strict):
    """What becomes of tokens that nobody registered; demo stations take any."""

    unknown_tokens: UnknownTokens


@router.get("/tokens", summary="Registered tokens", dependencies=[may_read()])
async def list_tokens(
    work: Reading,
    page: PageDep,
    search: Annotated[
        str | None, Query(max_length=100, pattern=r"^[^\x00]*$", description="part of uid, label, holder or group")
    ] = None,
    is_blocked: Annotated[bool | None, Query(description="only blocked or only unblocked ones")] = None,
) -> Page[TokenShown]:
    """Newest first."""
    rows, cursor = await page_of(work, tokens_query(search, is_blocked=is_blocked), page)
    return Page(items=[TokenShown.model_validate(row) for row in rows], next_cursor=cursor)


@router.post(
    "/tokens",
    status_code=status.HTTP_201_CREATED,
    summary="Register a token",
    dependencies=[may_write(Area.DEVICE_AND_CUSTOMER_MANAGEMENT)],
    responses={409: {"description": "the organisation has this token already, in whatever case"}},
)
async def create_token(work: Writing, body: NewToken) -> TokenShown:
    """It may charge at every station of the organisation within ten seconds."""
    values = body.model_dump()
    token = Token(organisation_id=organisation_of(work), uid_key=token_key(body.uid), created_at=work.now, **values)
    return TokenShown.model_validate(await add_token(work, token))


@router.get("/tokens/{token_id}", summary="One token", dependencies=[may_read()])
async def show_token(work: Reading, token_id: TokenId) -> TokenShown:
    """A registered token of your organisation."""
    return TokenShown.model_validate(await get_token(work, token_id))


@router.patch(
    "/tokens/{token_id}",
    summary="Change or block a token",
    dependencies=[may_write(Area.DEVICE_AND_CUSTOMER_MANAGEMENT)],
)
async def update_token(work: Writing, token_id: TokenId, body: TokenChange) -> TokenShown:
    """Charges that run go on; the next start or Authorize is judged anew, within ten seconds on every broker."""
    token = await get_token(work, token_id)
    for name in body.model_fields_set:
        setattr(token, name, getattr(body, name))
    if token.valid_from is not None and token.valid_until is not None and token.valid_until <= token.valid_from:
        raise Invalid("`valid_until` must be later than `valid_from`", place="body/valid_until")
    forget_cached(work, token)
    return TokenShown.model_validate(token)


@router.delete(
    "/tokens/{token_id}",
    status_code=status.HTTP_204_NO_CONTENT,
    summary="Remove a token",
    dependencies=[may_write(Area.DEVICE_AND_CUSTOMER_MANAGEMENT)],
)
async def delete_token(work: Writing, token_id: TokenId) -> None:
    """It is unknown from now on; charge logs keep its uid. To keep others from using it, block it instead."""
    await remove_token(work, await get_token(work, token_id))


@router.get("/token-policy", summary="What becomes of unknown tokens", dependencies=[may_read()])
async def show_policy(work: Reading) -> Policy:
    """Refused unless changed."""
    return Policy(unknown_tokens=await read_policy(work, organisation_of(work)))


@router.put(
    "/token-policy",
    summary="Accept or refuse unknown tokens",
    dependencies=[may_write(Area.SYSTEM_CONFIGURATION)],
)
async def change_policy(work: Writing, body: Policy) -> Policy:
    """Holds for every station of the organisation within ten seconds."""
    await set_policy(work, organisation_of(work), body.unknown_tokens)
    return body
