"""S27: registering, finding, changing and removing tokens, and the organisation's policy."""

from collections.abc import Mapping
from typing import Any

from sqlmodel import col, or_, select
from sqlmodel.sql.expression import SelectOfScalar

from csms.exceptions import Conflict, Forbidden, Invalid, NotFound
from csms.station.tokens.model import Token, TokenPolicy
from csms.station.tokens.rules import TokenKind, token_key
from csms.station.tokens.service.judging import CHANGED, POLICY_CHANGED, forget
from csms.store import Fact, Work


def tokens_query(
    search: str | None = None,
    *,
    is_blocked: bool | None = None,
    group_uid: str | None = None,
    kind: TokenKind | None = None,
) -> SelectOfScalar[Token]:
    """The caller's tokens; `search` looks in uid, label, holder and group."""
    query = select(Token)
    if search:
        texts = (Token.label, Token.holder, Token.group_uid)
        found = [col(Token.uid_key).contains(token_key(search), autoescape=True)]
        found += [col(text).icontains(search, autoescape=True) for text in texts]
        query = query.where(or_(*found))
    if is_blocked is not None:
        query = query.where(col(Token.is_blocked).is_(is_blocked))
    if group_uid is not None:
        query = query.where(Token.group_key == token_key(group_uid))
    if kind is not None:
        query = query.where(Token.kind == kind)
    return query


async def get_token(work: Work, token_id: int) -> Token:
    """Raises NotFound, also for other organisations' tokens."""
    found = (await work.session.exec(select(Token).where(Token.id == token_id))).first()
    if found is None:
        raise NotFound("there is no such token; GET /api/v1/tokens lists yours")
    return found


async def add_token(work: Work, values: Mapping[str, Any]) -> Token:
    """Register a token. Raises Conflict if the organisation has it already, in whatever case."""
    owner, key = organisation_of(work), token_key(values["uid"])
    query = select(Token).where(Token.uid_key == key, Token.organisation_id == owner)
    taken = (await work.session.exec(query)).first()
    if taken is not None:
        raise Conflict(f"this token is registered already, with id {taken.id}; change that one", place="body/uid")
    token = Token(organisation_id=owner, uid_key=key, created_at=work.now, **values)
    token.group_key = _group_key(token)
    work.session.add(token)
    await work.session.flush()
    _tell(work, token, "created")
    return token


def change_token(work: Work, token: Token, values: Mapping[str, Any]) -> None:
    """Set these columns. Raises Invalid for a period that ends before it begins."""
    was_blocked = token.is_blocked
    for name, value in values.items():
        setattr(token, name, value)
    token.group_key = _group_key(token)
    if token.valid_from is not None and token.valid_until is not None and token.valid_until <= token.valid_from:
        raise Invalid("`valid_until` must be later than `valid_from`", place="body/valid_until")
    _tell(work, token, "blocked" if token.is_blocked and not was_blocked else "changed")


async def remove_token(work: Work, token: Token) -> None:
    """From now on it is unknown; charge logs keep its uid."""
    await work.session.delete(token)
    _tell(work, token, "removed")


def _group_key(token: Token) -> str | None:
    return None if token.group_uid is None else token_key(token.group_uid)


def _tell(work: Work, token: Token, change: str) -> None:
    """Emit `token_changed`, without the uid, which is personal; every process hears it and judges anew."""
    owner = token.organisation_id
    work.after_commit(lambda: forget(owner))  # this process at once, the others when the news reach them
    work.emit(Fact(kind=CHANGED, organisation_id=owner, data={"token_id": str(token.id), "change": change}))


def organisation_of(work: Work) -> int:
    """Whose tokens the caller manages. Raises Forbidden for a caller without an organisation."""
    if work.actor.organisation_id is None:
        raise Forbidden("tokens belong to an organisation; use a key of one")
    return work.actor.organisation_id


async def read_policy(work: Work, organisation_id: int) -> TokenPolicy:
    """The organisation's policy; the one that holds without a choice, if it made none."""
    query = select(TokenPolicy).where(TokenPolicy.organisation_id == organisation_id)
    return (await work.session.exec(query)).first() or TokenPolicy(organisation_id=organisation_id)


async def set_policy(work: Work, values: Mapping[str, Any]) -> TokenPolicy:
    """Put these values in place of the organisation's policy."""
    owner = organisation_of(work)
    row = await read_policy(work, owner)
    for name, value in values.items():
        setattr(row, name, value)
    work.session.add(row)
    work.after_commit(lambda: forget(owner))
    work.emit(Fact(kind=POLICY_CHANGED, organisation_id=owner))
    return row
