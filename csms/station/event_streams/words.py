"""B2: streams of values in words."""

from csms.wording import Ask, Example, Level, Payload, Tell, Words, count_of, said, within


def _opened(request: Payload, answer: Payload) -> Words:
    number = said(within(request, "constantStreamData").get("id", ""))
    if answer.get("status") == "Accepted":
        return Words(f"The station opened stream {number} of values.")
    return Words(f"The station wanted to open stream {number} of values and was refused.", Level.WARNING)


def _closed(request: Payload, _answer: Payload) -> Words:
    return Words(f"The station closed stream {said(request.get('id', ''))} of values.")


def _values(request: Payload, _answer: Payload) -> Words:
    return Words(f"{count_of(request, 'data')} values came through stream {said(request.get('id', ''))}.")


WORDS = (
    Tell("ClosePeriodicEventStream", _closed),
    Tell("NotifyPeriodicEventStream", _values),
    Tell("OpenPeriodicEventStream", _opened),
    Ask("AdjustPeriodicEventStream", "send a stream of values at another pace"),
    Ask("GetPeriodicEventStream", "tell its streams of values"),
)

EXAMPLES = (
    Example(
        "AdjustPeriodicEventStream",
        "Change how often a stream of values is sent",
        v2={"id": 1, "params": {"interval": 10, "values": 5}},
    ),
    Example("GetPeriodicEventStream", "List the streams of values", v2={}),
)
