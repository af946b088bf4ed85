"""S3: messages on displays in words."""

from csms.wording import Ask, Example, Payload, Tell, Words, count_of


def _told(request: Payload, _answer: Payload) -> Words:
    return Words(f"The station told {count_of(request, 'messageInfo')} of the messages on its displays.")


WORDS = (
    Tell("NotifyDisplayMessages", _told),
    Ask("ClearDisplayMessage", "take a message off its display"),
    Ask("GetDisplayMessages", "tell the messages on its displays"),
    Ask("SetDisplayMessage", "show a message"),
)

EXAMPLES = (
    Example("ClearDisplayMessage", "Remove a message from the display", v2={"id": 1}),
    Example("GetDisplayMessages", "Have the messages of the display reported", v2={"requestId": 1}),
    Example(
        "SetDisplayMessage",
        "Put a message on the display",
        v2={"message": {"id": 1, "priority": "NormalCycle", "message": {"format": "UTF8", "content": "Welcome"}}},
    ),
)
