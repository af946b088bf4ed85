"""S27: local lists in words."""

from typing import Final

from csms.wording import DONE, Ask, Level, Payload, Words, count_of, said


def _send(request: Payload) -> str:
    kind = "changes to its card list" if request.get("updateType") == "Differential" else "a whole card list"
    version = request.get("listVersion", request.get("versionNumber", ""))
    return f"take {kind} (version {said(version)}, {count_of(request, 'localAuthorizationList')} cards)"


def _told_version(answer: Payload) -> Words:
    version = answer.get("listVersion", answer.get("versionNumber"))
    # OCPP 1.6, 5.10: 0 is an empty list, -1 no support
    text = {0: "it is empty", -1: "it has no card list"}.get(version) if isinstance(version, int) else None
    return Words(text or f"version {said(version)}")


_MISMATCH: Final = Words(
    "its list is of another version",
    Level.WARNING,
    "Changes fit only the version that comes just before.",
    "Send the whole list.",
)

WORDS = (
    Ask("GetLocalListVersion", "tell the version of its card list", told=_told_version),
    Ask("SendLocalList", _send, {"Accepted": DONE, "VersionMismatch": _MISMATCH}),
)
