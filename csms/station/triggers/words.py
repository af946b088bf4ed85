"""S15: messages that are asked for, in words."""

from csms.wording import Ask, Example, Payload, at_place, said


def _trigger(request: Payload) -> str:
    return f"send {said(request.get('requestedMessage', 'a message'))}{at_place(request)}"


WORDS = (Ask("ExtendedTriggerMessage", _trigger), Ask("TriggerMessage", _trigger))

EXAMPLES = (
    Example(
        "ExtendedTriggerMessage",
        "Ask for a message (security extension)",
        v16={"requestedMessage": "SignChargePointCertificate"},
    ),
    Example(
        "TriggerMessage",
        "Ask for a message",
        v16={"requestedMessage": "StatusNotification", "connectorId": 1},
        v2={"requestedMessage": "StatusNotification", "evse": {"id": 1, "connectorId": 1}},
    ),
)
