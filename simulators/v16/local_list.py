"""F5: the local list of a simulated 1.6 station (OCPP 1.6, 3.5.2 and 5.15)."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from simulators.v16.configuration import Configuration

MAX_ENTRIES = 1_000
NOT_SUPPORTED = -1


class LocalList:
    """Tags with what the CSMS says of them; the list goes before the cache."""

    def __init__(self, configuration: "Configuration") -> None:
        self.version = 0
        self.tags: dict[str, dict[str, Any]] = {}
        self._configuration = configuration

    @property
    def is_used(self) -> bool:
        """Whether tags are looked up here."""
        return self._configuration.flag("LocalAuthListEnabled")

    @property
    def told_version(self) -> int:
        """GetLocalListVersion's answer (5.10)."""
        return self.version if self.is_used else NOT_SUPPORTED

    def verdict(self, id_tag: str) -> bool | None:
        """Whether this tag is accepted, None when it does not stand here."""
        info = self.tags.get(id_tag.lower()) if self.is_used else None
        return None if info is None else info.get("status") == "Accepted"

    def change(self, payload: dict[str, Any]) -> str:
        """SendLocalList's status."""
        entries, version = payload.get("localAuthorizationList", []), payload["listVersion"]
        if not self.is_used:
            return "NotSupported"
        named = [entry["idTag"].lower() for entry in entries]
        if version <= 0 or len(set(named)) != len(named) or len(entries) > MAX_ENTRIES:
            return "Failed"
        is_full = payload["updateType"] == "Full"
        if not is_full and version <= self.version:
            return "VersionMismatch"
        if is_full and any("idTagInfo" not in entry for entry in entries):
            return "Failed"
        held = {} if is_full else dict(self.tags)
        for entry in entries:
            if "idTagInfo" in entry:
                held[entry["idTag"].lower()] = entry["idTagInfo"]
            else:
                held.pop(entry["idTag"].lower(), None)
        if len(held) > MAX_ENTRIES:
            return "Failed"
        self.tags, self.version = held, version
        return "Accepted"
