"""S15: messages that are asked for, in words."""

from csms.wording import Ask, Payload, at_place, said


def _trigger(request: Payload) -> str:
    return f"send {said(request.get('requestedMessage', 'a message'))}{at_place(request)}"


WORDS = (Ask("ExtendedTriggerMessage", _trigger), Ask("TriggerMessage", _trigger))
