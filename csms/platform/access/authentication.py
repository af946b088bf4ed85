"""P2: turns a key or a token into a caller: remembered until told otherwise, some seconds at most; limited in rate."""

import asyncio
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from prometheus_client import Counter
from sqlalchemy import update
from sqlmodel import col, select

from csms.addresses import source_of
from csms.bus import Bus, Message
from csms.config import Settings
from csms.exceptions import Unauthorized
from csms.platform.access.model import ApiKey, LoginToken, User
from csms.platform.access.rates import Rate
from csms.platform.access.rules import hash_of, is_token
from csms.platform.access.service import narrowed, rights_of
from csms.rights import Caller
from csms.runtime import ACCESS_SUBJECT, Runtime
from csms.store import Work

REMEMBERED_S: Final = 5
"""How long another process may still accept a key that was revoked here, if the news is lost on the way."""
REMEMBERED_MAX: Final = 10_000
USE_NOTED_EVERY: Final = timedelta(minutes=1)
SECRET_CHARS_MAX: Final = 512

REFUSED: Final = Counter("csms_api_refused_credentials", "Refused keys, tokens and passwords by kind", ["kind"])

_UNKNOWN: Final = "this key or token is unknown, expired or revoked; an administrator makes keys at /api/v1/keys"


@dataclass(slots=True)
class _Known:
    caller: Caller
    table: type[ApiKey] | type[LoginToken]
    row_id: int
    expires_at: datetime | None
    read_at: datetime
    use_noted_at: datetime | None

    def is_fresh(self, now: datetime) -> bool:
        return timedelta(0) <= now - self.read_at < timedelta(seconds=REMEMBERED_S)


class Access:
    """The authenticator of one process (see `csms.web.Authenticator`)."""

    def __init__(self, settings: Settings) -> None:
        self.login_failures = Rate(settings.password_tries_per_minute_max)
        self.password_checks = asyncio.Semaphore(2)
        """Argon2 takes 64 MiB a check: a flood of logins must not take them all at once."""
        self._failures = Rate(settings.password_tries_per_minute_max)
        self._requests = Rate(settings.requests_per_minute_max)
        self._known: dict[str, _Known] = {}
        self._bus: Bus | None = None
        self._telling: set[asyncio.Task[None]] = set()

    async def authenticate(
        self, runtime: Runtime, secret: str, remote_address: str, *, is_anew: bool = False
    ) -> Caller:
        """Who stands behind the secret.

        Raises Unauthorized for an unknown, expired or revoked secret, and TooMany for a key that asks too often or an
        address that guesses too often. A right key always gets in, however often others behind its address guessed.
        """
        await self._listen(runtime.bus)
        now = runtime.clock()
        secret_hash = hash_of(secret)
        known = None if is_anew else self._known.get(secret_hash)
        if known is None or not known.is_fresh(now):
            known = await self._read(runtime, secret, secret_hash)
        if known is None or (known.expires_at is not None and known.expires_at <= now):
            REFUSED.labels("key").inc()
            await self._failures.count(
                source_of(remote_address), "too many unknown keys from your address; wait and check yours"
            )
            raise Unauthorized(_UNKNOWN)
        await self._requests.count(f"{known.row_id}", "this key asks too often; spread its requests or poll with ETags")
        if known.use_noted_at is None or now - known.use_noted_at >= USE_NOTED_EVERY:
            await self._note_use(runtime, known, now)
        return replace(known.caller, remote_address=remote_address)

    def forget(self) -> None:
        """Read every key, user and right anew at its next use, in all processes: something about them was changed."""
        self._known.clear()
        if self._bus is not None:
            telling = asyncio.get_running_loop().create_task(self._bus.publish(ACCESS_SUBJECT, b""))
            self._telling.add(telling)
            telling.add_done_callback(self._telling.discard)

    async def _listen(self, bus: Bus) -> None:
        """To the other processes; the bus ends it."""
        if self._bus is not bus:
            self._bus = bus
            await bus.subscribe(ACCESS_SUBJECT, self._hear)

    async def _hear(self, _message: Message) -> None:
        self._known.clear()

    async def _read(self, runtime: Runtime, secret: str, secret_hash: str) -> _Known | None:
        self._known.pop(secret_hash, None)
        if len(secret) > SECRET_CHARS_MAX:
            return None
        async with runtime.store.reading() as work:
            known = await (_by_token if is_token(secret) else _by_key)(work, secret_hash)
        if known is not None:
            if len(self._known) >= REMEMBERED_MAX:
                self._known.clear()
            self._known[secret_hash] = known
        return known

    async def _note_use(self, runtime: Runtime, known: _Known, now: datetime) -> None:
        known.use_noted_at = now
        async with runtime.store.writing() as work:
            table = known.table
            await work.session.exec(update(table).where(col(table.id) == known.row_id).values(last_used_at=now))


async def _by_key(work: Work, secret_hash: str) -> _Known | None:
    query = select(ApiKey).where(ApiKey.secret_hash == secret_hash, col(ApiKey.revoked_at).is_(None))
    key = (await work.session.exec(query)).first()
    if key is None:
        return None
    rights = narrowed(await rights_of(work, key.organisation_id, key.role), key.scopes)
    caller = Caller(key.organisation_id, "key", key.id, key.name, key.role, rights)
    return _Known(caller, ApiKey, key.id, key.expires_at, work.now, key.last_used_at)


async def _by_token(work: Work, secret_hash: str) -> _Known | None:
    query = (
        select(LoginToken, User)
        .join(User, col(User.id) == col(LoginToken.user_id))
        .where(
            LoginToken.secret_hash == secret_hash, col(LoginToken.revoked_at).is_(None), col(User.is_active).is_(True)
        )
    )
    found = (await work.session.exec(query)).first()
    if found is None:
        return None
    token, user = found
    rights = await rights_of(work, user.organisation_id, user.role)
    caller = Caller(user.organisation_id, "user", user.id, user.email, user.role, rights)
    return _Known(caller, LoginToken, token.id, token.expires_at, work.now, token.last_used_at)
