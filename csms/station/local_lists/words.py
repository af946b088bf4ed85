"""S27: local lists in words."""

from typing import Final

from csms.wording import DONE, Ask, Example, Level, Payload, Words, count_of, said


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

EXAMPLES = (
    Example("GetLocalListVersion", "Read the version of the local authorisation list", v16={}, v2={}),
    Example(
        "SendLocalList",
        "Send the local authorisation list, or changes to it",
        v16={
            "listVersion": 2,
            "updateType": "Differential",
            "localAuthorizationList": [{"idTag": "04A2B3C4D5", "idTagInfo": {"status": "Accepted"}}],
        },
        v2={
            "versionNumber": 2,
            "updateType": "Differential",
            "localAuthorizationList": [
                {"idToken": {"idToken": "04A2B3C4D5", "type": "ISO14443"}, "idTokenInfo": {"status": "Accepted"}}
            ],
        },
    ),
)
