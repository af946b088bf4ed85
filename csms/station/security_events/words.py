"""B10: security events in words."""

from typing import Final

from csms.wording import Level, Payload, Tell, Words, said

_USUAL_EVENTS: Final = frozenset({"FirmwareUpdated", "ResetOrReboot", "SettingSystemTime", "StartupOfTheDevice"})
"""Security events that belong to a station's everyday life, although the standard calls them critical."""


def _security_event(request: Payload, _answer: Payload) -> Words:
    kind = said(request.get("type", "unknown"))
    why = said(request["techInfo"]) if request.get("techInfo") else None
    if kind in _USUAL_EVENTS:
        return Words(f"Security event: {kind}.", Level.INFO, why)
    what = "Check whether somebody tampers with the station; its security events have all of them."
    return Words(f"Security event: {kind}.", Level.WARNING, why, what)


WORDS = (Tell("SecurityEventNotification", _security_event),)
