"""S10: one OCPP exchange in words that an operator understands; never with a whole id tag."""

from dataclasses import replace

from csms.station.logs.rules.exchange import Exchange
from csms.station.logs.rules.failures import FAILURES, failed, unusable
from csms.station.logs.rules.vocabulary import Vocabulary
from csms.wording import SHOWN_TAG_CHARS, Words, masked_tag

__all__ = ["Exchange", "Vocabulary", "describe"]


def describe(exchange: Exchange, vocabulary: Vocabulary) -> Words:
    """The exchange in words. Never raises, whatever the payloads hold."""
    words = _described(exchange, vocabulary)
    for tag in exchange.tags:
        if len(tag) > SHOWN_TAG_CHARS:
            words = _without(words, tag)
    return words


def _described(exchange: Exchange, vocabulary: Vocabulary) -> Words:
    if exchange.action is None or exchange.outcome not in FAILURES | {"answered", "sent"}:
        return unusable(exchange)
    if exchange.outcome not in {"answered", "sent"}:
        return failed(exchange, vocabulary)
    tell = vocabulary.told if exchange.from_station else vocabulary.answered
    return tell(exchange.action, exchange.request or {}, exchange.answer or {})


def _without(words: Words, tag: str) -> Words:
    """A station may repeat the tag in its own texts."""
    parts = {name: getattr(words, name) for name in ("text", "why", "what_to_do")}
    shown = masked_tag(tag)
    return replace(words, **{name: text.replace(tag, shown) for name, text in parts.items() if text})
