"""S10: one OCPP exchange in words that an operator understands; never with a whole id tag."""

from csms.station.logs.rules.commands import commanded
from csms.station.logs.rules.failures import FAILURES, failed, unusable
from csms.station.logs.rules.messages import FROM_STATION
from csms.station.logs.rules.words import SHOWN_TAG_CHARS, Exchange, Level, Words, masked_tag, tags_in, without

__all__ = ["Exchange", "Level", "Words", "describe", "masked_tag"]


def describe(exchange: Exchange) -> Words:
    """The exchange in words. Never raises, whatever the payloads hold."""
    words = _described(exchange)
    for tag in set(tags_in(exchange.request, 0)) | set(tags_in(exchange.answer, 0)):
        if len(tag) > SHOWN_TAG_CHARS:
            words = without(words, tag)
    return words


def _described(exchange: Exchange) -> Words:
    request, answer = exchange.request or {}, exchange.answer or {}
    if exchange.action is None or exchange.outcome not in FAILURES | {"answered", "sent"}:
        return unusable(exchange)
    if exchange.outcome not in {"answered", "sent"}:
        return failed(exchange, request)
    if exchange.from_station:
        tell = FROM_STATION.get(exchange.action)
        return tell(request, answer) if tell else Words(f"The station sent {exchange.action}.")
    return commanded(exchange.action, request, answer)
