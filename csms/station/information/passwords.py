"""B10: stations' passwords: salted hashes only, checked so that a herd of reconnecting stations costs little.

Generated ones have 160 random bits, so a salted HMAC-SHA256 under the installation's pepper is enough (5 µs).
Typed-in ones get argon2id; its verdict is remembered in memory under an HMAC, so that it is paid once a process.
"""

import asyncio
import hashlib
import hmac
import secrets
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from pwdlib.hashers.argon2 import Argon2Hasher

from csms.station.information.rules import KEY_BYTES_MAX, canonical_key

_HMAC_START = "hmac-sha256$"
_VERDICTS_MAX = 50_000
_WRONG_VERDICTS_MAX = 2_000
_MADE_MAX = 10_000
_made: OrderedDict[bytes, None] = OrderedDict()
"""Digests of the latest passwords that were made here."""

# OWASP's smallest argon2id profile: passwords are long (16 bytes at least), and stations come in herds.
_argon2 = Argon2Hasher(time_cost=2, memory_cost=19_456, parallelism=1)


def new_password() -> str:
    """160 random bits as 40 hexadecimal digits: legal as a 1.6 AuthorizationKey and as a 2.x BasicAuthPassword."""
    made = secrets.token_hex(KEY_BYTES_MAX)
    _made[_digest(made)] = None
    if len(_made) > _MADE_MAX:
        _made.popitem(last=False)
    return made


def is_made_here(password: str) -> bool:
    """Whether this process made the password a while ago: a cheap hash is enough for its random bits."""
    return _digest(password) in _made


def _digest(password: str) -> bytes:
    return hashlib.sha256(password.encode()).digest()


def hashes_for(password: bytes | str, pepper: bytes, *, is_generated: bool) -> list[str]:
    """What to store for a password: one hash, which fits the bytes and the hexadecimal text of a 1.6 key.

    Without `is_generated` it takes some 60 ms: call it in a thread, or use `hashes_in_thread`.
    """
    key = canonical_key(password.encode() if isinstance(password, str) else password)
    if not is_generated:
        return [_argon2.hash(_peppered(key, pepper))]
    salt = secrets.token_hex(16)
    return [f"{_HMAC_START}{salt}${_hmac(salt, key, pepper)}"]


def _hmac(salt: str, key: bytes, pepper: bytes) -> str:
    return hmac.new(pepper, salt.encode() + b"$" + key, hashlib.sha256).hexdigest()


def _peppered(key: bytes, pepper: bytes) -> bytes:
    return hmac.new(pepper, b"argon2$" + key, hashlib.sha256).digest()


def _verify(hashed: str, key: bytes, pepper: bytes) -> bool:
    if hashed.startswith(_HMAC_START):
        salt, _, digest = hashed.removeprefix(_HMAC_START).partition("$")
        return hmac.compare_digest(digest, _hmac(salt, key, pepper))
    return _argon2.verify(_peppered(key, pepper), hashed)


class _Verdicts:
    """The latest verdicts, oldest dropped first; wrong ones apart, so that guessing pushes out no right one."""

    def __init__(self) -> None:
        self._right: OrderedDict[bytes, None] = OrderedDict()
        self._wrong: OrderedDict[bytes, None] = OrderedDict()

    def get(self, key: bytes) -> bool | None:
        if key in self._right:
            self._right.move_to_end(key)
            return True
        return False if key in self._wrong else None

    def put(self, key: bytes, *, is_right: bool) -> None:
        verdicts, most = (self._right, _VERDICTS_MAX) if is_right else (self._wrong, _WRONG_VERDICTS_MAX)
        verdicts[key] = None
        if len(verdicts) > most:
            verdicts.popitem(last=False)


class PasswordChecker:
    """Checks passwords of one process; at most two argon2 computations at a time."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="argon2")
        self._verdicts = _Verdicts()
        self.computed = 0
        """How often argon2 was really computed."""

    async def check(self, hashes: Sequence[str], presented: bytes, pepper: bytes, *, cheaply: bool = False) -> bool:
        """Whether the password belongs to one of the hashes (more than one while a key is being changed).

        `cheaply`: without computing argon2; then only generated passwords and remembered ones are right.
        """
        return await self.matching(hashes, presented, pepper, cheaply=cheaply) is not None

    async def matching(
        self, hashes: Sequence[str], presented: bytes, pepper: bytes, *, cheaply: bool = False
    ) -> str | None:
        """The hash that the password belongs to; all are tried, so that the time does not tell which."""
        key = canonical_key(presented)
        right = [hashed for hashed in hashes if await self._is_right(hashed, key, pepper, cheaply=cheaply)]
        return right[0] if right else None

    async def _is_right(self, hashed: str, key: bytes, pepper: bytes, *, cheaply: bool) -> bool:
        if hashed.startswith(_HMAC_START):
            return _verify(hashed, key, pepper)
        name = hmac.new(pepper, hashed.encode() + b"\0" + key, hashlib.sha256).digest()
        verdict = self._verdicts.get(name)
        if verdict is None and cheaply:
            return False
        if verdict is None:
            self.computed += 1
            verdict = await asyncio.get_running_loop().run_in_executor(self._threads, _verify, hashed, key, pepper)
            self._verdicts.put(name, is_right=verdict)
        return verdict

    async def hashes(self, password: str, pepper: bytes) -> list[str]:
        """`hashes_for` a typed-in password, in one of the threads."""
        return await asyncio.get_running_loop().run_in_executor(
            self._threads, lambda: hashes_for(password, pepper, is_generated=False)
        )


_checker = PasswordChecker()
check_password = _checker.check
matching_hash = _checker.matching
hashes_in_thread = _checker.hashes
