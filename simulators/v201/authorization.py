"""F5: who may charge at a simulated 2.x station: the CSMS, the cache, the local list (2.0.1, C and D)."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from csms.ocpp import timestamps
from simulators.v201.evse import IdToken
from simulators.v201.parts import Parts
from simulators.wire import Answered, Outcome, Payload, Refused

MAX_CACHED_TOKENS = 1_000
Key = tuple[str, str]


class Ask(Protocol):
    """Sends a call to the CSMS; Disconnected when there is none."""

    async def __call__(self, action: str, payload: Payload) -> Outcome: ...


@dataclass(frozen=True, slots=True)
class Verdict:
    """A yes, and the group that the token belongs to."""

    group: IdToken | None = None


@dataclass(frozen=True, slots=True)
class Cached:
    """What the CSMS said of a token, and until when that counts."""

    info: Payload
    until: datetime | None

    @property
    def is_accepted(self) -> bool:
        """Whether it was a yes."""
        return self.info.get("status") == "Accepted"


def _group(info: Payload) -> IdToken | None:
    named = info.get("groupIdToken")
    return IdToken.read(named) if isinstance(named, dict) and "idToken" in named and "type" in named else None


class Authorization:
    """The cache and the local list, and the order in which they and the CSMS are asked."""

    def __init__(self, parts: Parts, ask: Ask) -> None:
        self.cache: dict[Key, Cached] = {}
        self.local_list: dict[Key, Payload] = {}
        self.local_version = 0
        self._parts = parts
        self._ask = ask

    async def admit(self, token: IdToken) -> Verdict | None:
        """Whether this token may charge: by list, cache or CSMS (C01, C10 to C14), or the rules for being offline."""
        model = self._parts.model
        if not model.flag("AuthCtrlr.Enabled") or token.kind == "NoAuthorization":
            return Verdict()
        known = self._known(token)
        if known is not None and model.flag("AuthCtrlr.LocalPreAuthorize") and self._counts_before(token, known):
            return self._verdict(known)
        if not self._parts.is_online():
            return self._offline(known)
        outcome = await self._ask("Authorize", {"idToken": token.payload()})
        match outcome:
            case Answered(payload):
                return self._verdict(self.learn(token, payload.get("idTokenInfo")))
            case Refused():
                return None
            case _:
                return self._offline(known)

    def _counts_before(self, token: IdToken, known: Payload) -> bool:
        """A known no is asked again, unless DisablePostAuthorize (C10.FR.03, C14.FR.03)."""
        if known.get("status") == "Accepted":
            return True
        controller = "LocalAuthListCtrlr" if token.key in self.local_list else "AuthCacheCtrlr"
        return self._parts.model.flag(f"{controller}.DisablePostAuthorize")

    def _offline(self, known: Payload | None) -> Verdict | None:
        model = self._parts.model
        if known is not None:
            return self._verdict(known) if model.flag("AuthCtrlr.LocalAuthorizeOffline") else None
        return Verdict() if model.flag("AuthCtrlr.OfflineTxForUnknownIdEnabled") else None

    def _known(self, token: IdToken) -> Payload | None:
        """What list or cache hold of a token; the list goes first (C13.FR.01)."""
        model = self._parts.model
        if model.flag("LocalAuthListCtrlr.Enabled") and token.key in self.local_list:
            return self.local_list[token.key]
        cached = self.cache.get(token.key)
        if cached is None or not model.flag("AuthCacheCtrlr.Enabled"):
            return None
        if cached.until is not None and cached.until <= self._parts.clock.now():
            del self.cache[token.key]
            return None
        return cached.info

    @staticmethod
    def _verdict(info: Payload) -> Verdict | None:
        return Verdict(_group(info)) if info.get("status") == "Accepted" else None

    def learn(self, token: IdToken, info: Any) -> Payload:
        """Remember what the CSMS says of a token (C10.FR.04 and 05); what it says, `{}` for nothing usable."""
        if not isinstance(info, dict):
            return {}
        model = self._parts.model
        if model.flag("AuthCacheCtrlr.Enabled") and token.key not in self.local_list:
            self.cache.pop(token.key, None)
            self.cache[token.key] = Cached(info, self._until(info))
            if len(self.cache) > MAX_CACHED_TOKENS:
                del self.cache[next(iter(self.cache))]
        return info

    def _until(self, info: Payload) -> datetime | None:
        told = timestamps.read(info.get("cacheExpiryDateTime"))
        if told is not None:
            return told.at
        life_s = self._parts.model.integer("AuthCacheCtrlr.LifeTime")
        return self._parts.clock.now() + timedelta(seconds=life_s) if life_s else None

    def is_master(self, token: IdToken) -> bool:
        """Whether this token may stop any charge, and start none (C16)."""
        master = self._parts.model.text("AuthCtrlr.MasterPassGroupId").lower()
        known = self._known(token)
        group = None if known is None else _group(known)
        return bool(master) and group is not None and group.text.lower() == master

    # --- the local list

    def send_local_list(self, payload: Payload) -> str:
        """SendLocalList's status (D01)."""
        model, entries = self._parts.model, payload.get("localAuthorizationList", [])
        if not model.flag("LocalAuthListCtrlr.Enabled"):
            return "Failed"
        named = [IdToken.read(entry["idToken"]).key for entry in entries]
        if payload["versionNumber"] <= 0 or len(set(named)) != len(named):
            return "Failed"
        is_full = payload["updateType"] == "Full"
        if is_full and any("idTokenInfo" not in entry for entry in entries):
            return "Failed"
        if not is_full and payload["versionNumber"] <= self.local_version:
            return "VersionMismatch"
        return self._replace({} if is_full else dict(self.local_list), entries, payload["versionNumber"])

    def _replace(self, held: dict[Key, Payload], entries: list[Payload], version: int) -> str:
        for entry in entries:
            key = IdToken.read(entry["idToken"]).key
            if "idTokenInfo" in entry:
                held[key] = entry["idTokenInfo"]
            else:
                held.pop(key, None)
        if len(held) > (self._parts.model.variable("LocalAuthListCtrlr.Entries").characteristics.maximum or 0):
            return "Failed"
        self.local_list, self.local_version = held, version
        return "Accepted"

    def forget(self, token: IdToken) -> None:
        """A customer's data are to go (N10)."""
        self.cache.pop(token.key, None)
        self.local_list.pop(token.key, None)
