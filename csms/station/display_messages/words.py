"""S3: messages on displays in words."""

from csms.wording import Ask, Payload, Tell, Words, count_of


def _told(request: Payload, _answer: Payload) -> Words:
    return Words(f"The station told {count_of(request, 'messageInfo')} of the messages on its displays.")


WORDS = (
    Tell("NotifyDisplayMessages", _told),
    Ask("ClearDisplayMessage", "take a message off its display"),
    Ask("GetDisplayMessages", "tell the messages on its displays"),
    Ask("SetDisplayMessage", "show a message"),
)
