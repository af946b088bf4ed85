"""S27: finding, registering and judging tokens."""

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Final, Generic, TypeVar

from sqlmodel import col, or_, select
from sqlmodel.sql.expression import SelectOfScalar

from csms.exceptions import Conflict, Forbidden, NotFound
from csms.routing import ConnectedStation
from csms.station.tokens.model import Token, TokenPolicy, UnknownTokens
from csms.station.tokens.rules import KnownToken, Verdict, judge, token_key
from csms.store import Work

Key = tuple[int, str]
V = TypeVar("V")

CACHED_FOR: Final = timedelta(seconds=10)
"""How long another process may still judge by what a token was before it was changed."""
CACHED_MAX: Final = 50_000


class Recent(Generic[V]):
    """What this process read a moment ago; the least recently used is dropped.

    Keys hold the organisation's id, which is unique over all installations, so one cache serves every store.
    """

    def __init__(self, size_max: int = CACHED_MAX, kept_for: timedelta = CACHED_FOR) -> None:
        self._size_max = size_max
        self._kept_for = kept_for
        self._entries: OrderedDict[Key, tuple[datetime, V]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    async def get(self, key: Key, now: datetime, read: Callable[[], Awaitable[V]]) -> V:
        """What is stored under that key; read now unless that was done less than `kept_for` ago."""
        entry = self._entries.get(key)
        if entry is not None and timedelta(0) <= now - entry[0] < self._kept_for:  # a clock set back ends it too
            self._entries.move_to_end(key)
            return entry[1]
        value = await read()
        self._entries[key] = now, value
        self._entries.move_to_end(key)
        while len(self._entries) > self._size_max:
            self._entries.popitem(last=False)
        return value

    def forget(self, key: Key) -> None:
        self._entries.pop(key, None)


_tokens: Recent[KnownToken | None] = Recent()
_policies: Recent[UnknownTokens] = Recent()


async def authorise(work: Work, station: ConnectedStation, uid: str) -> Verdict:
    """Whether the token may charge at that station now.

    A token that nobody registered is judged by the organisation's policy; demo stations take any. Costs at most
    one query for a registered token and two for another, none if this process asked less than CACHED_FOR ago.
    """
    owner, key = station.organisation_id, token_key(uid)
    token = await _tokens.get((owner, key), work.now, lambda: _read_token(work, owner, key))
    if token is not None or station.is_demo:
        return judge(token, work.now, accepts_unknown=True)
    policy = await _policies.get((owner, ""), work.now, lambda: read_policy(work, owner))
    return judge(None, work.now, accepts_unknown=policy is UnknownTokens.ACCEPT)


async def _read_token(work: Work, organisation_id: int, key: str) -> KnownToken | None:
    query = select(Token).where(Token.organisation_id == organisation_id, Token.uid_key == key)
    row = (await work.session.exec(query)).first()
    return None if row is None else _deciding(row)


def _deciding(row: Token) -> KnownToken:
    return KnownToken(
        uid=row.uid,
        holder=row.holder,
        group_uid=row.group_uid,
        valid_from=row.valid_from,
        valid_until=row.valid_until,
        is_blocked=row.is_blocked,
        is_exclusive=row.is_exclusive,
    )


async def read_policy(work: Work, organisation_id: int) -> UnknownTokens:
    """How the organisation treats unknown tokens."""
    query = select(TokenPolicy.unknown_tokens).where(TokenPolicy.organisation_id == organisation_id)
    found = (await work.session.exec(query)).first()
    return UnknownTokens.REFUSE if found is None else UnknownTokens(found)


def tokens_query(search: str | None, *, is_blocked: bool | None = None) -> SelectOfScalar[Token]:
    """The caller's tokens; `search` looks in uid, label, holder and group."""
    query = select(Token)
    if search:
        texts = (Token.label, Token.holder, Token.group_uid)
        found = [col(Token.uid_key).contains(token_key(search), autoescape=True)]
        found += [col(text).icontains(search, autoescape=True) for text in texts]
        query = query.where(or_(*found))
    if is_blocked is not None:
        query = query.where(col(Token.is_blocked).is_(is_blocked))
    return query


async def get_token(work: Work, token_id: int) -> Token:
    """Raises NotFound, also for other organisations' tokens."""
    found = (await work.session.exec(select(Token).where(Token.id == token_id))).first()
    if found is None:
        raise NotFound("there is no such token; GET /api/v1/tokens lists yours")
    return found


async def add_token(work: Work, token: Token) -> Token:
    """Register a token. Raises Conflict if the organisation has it already, in whatever case."""
    query = select(Token).where(Token.uid_key == token.uid_key, Token.organisation_id == token.organisation_id)
    taken = (await work.session.exec(query)).first()
    if taken is not None:
        raise Conflict(f"this token is registered already, with id {taken.id}; change that one", place="body/uid")
    work.session.add(token)
    await work.session.flush()
    forget_cached(work, token)
    return token


async def remove_token(work: Work, token: Token) -> None:
    """From now on it is unknown; charge logs keep its uid."""
    await work.session.delete(token)
    forget_cached(work, token)


def forget_cached(work: Work, token: Token) -> None:
    """Let this process judge anew once the change is committed."""
    key = token.organisation_id, token.uid_key
    work.after_commit(lambda: _tokens.forget(key))


def organisation_of(work: Work) -> int:
    """Whose tokens the caller manages. Raises Forbidden for a caller without an organisation."""
    if work.actor.organisation_id is None:
        raise Forbidden("tokens belong to an organisation; use a key of one")
    return work.actor.organisation_id


async def set_policy(work: Work, organisation_id: int, unknown_tokens: UnknownTokens) -> None:
    """Accept or refuse unknown tokens from now on."""
    query = select(TokenPolicy).where(TokenPolicy.organisation_id == organisation_id)
    row = (await work.session.exec(query)).first() or TokenPolicy(organisation_id=organisation_id)
    row.unknown_tokens = unknown_tokens
    work.session.add(row)
    work.after_commit(lambda: _policies.forget((organisation_id, "")))
