"""S10: the words of all features, looked up by action, and what holds for messages that have none of their own."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final, TypeVar

from csms.wording import Ask, Level, Payload, Tell, Words, status_of

_VERDICTS: Final[Mapping[str, Words]] = {
    "Accepted": Words("it will"),
    "Rejected": Words("it will not", Level.WARNING, "The station gives no reason.", "Look at its state and try again."),
    "NotSupported": Words(
        "it cannot", Level.WARNING, "The station does not support this.", "A newer firmware may support it."
    ),
    "NotImplemented": Words(
        "it cannot", Level.WARNING, "The station does not have this message.", "A newer firmware may have it."
    ),
    "Failed": Words("it failed", Level.ERROR, "The station gives no reason.", "Try again; look at its errors."),
    "NotFound": Words("there is none", Level.WARNING),
    "Scheduled": Words(
        "it will when the charge that is running has ended", what_to_do="Stop the charge if it cannot wait."
    ),
    "RebootRequired": Words(
        "it will after a restart", Level.WARNING, "The change is stored but not in force.", "Restart the station."
    ),
}
"""What an answer's status means, whatever was asked."""

T = TypeVar("T", Tell, Ask)


class Vocabulary:
    """How each message is worded. Raises ValueError for two wordings of one."""

    def __init__(self, words: Sequence[Tell | Ask]) -> None:
        self._tells = _by_action(one for one in words if isinstance(one, Tell))
        self._asks = _by_action(one for one in words if isinstance(one, Ask))

    def told(self, action: str, request: Payload, answer: Payload) -> Words:
        """A message of the station, and what it was answered."""
        tell = self._tells.get(action)
        return tell.words(request, answer) if tell else Words(f"The station sent {action}.")

    def asked(self, action: str, request: Payload) -> str:
        """What we asked: `Asked to restart`."""
        doing = self._ask(action).doing
        return f"Asked to {doing if isinstance(doing, str) else doing(request)}"

    def answered(self, action: str, request: Payload, answer: Payload) -> Words:
        """What we asked, and what the station answered."""
        verdict = _verdict(self._ask(action), answer)
        return replace(verdict, text=f"{self.asked(action, request)}: {verdict.text}.")

    def _ask(self, action: str) -> Ask:
        return self._asks.get(action) or Ask(action, f"do {action}")


def _verdict(ask: Ask, answer: Payload) -> Words:
    if "status" not in answer:
        return ask.told(answer)
    status = status_of(answer)
    unknown = Words(f"it answered «{status}»", Level.WARNING, "The standard has no such answer here.")
    return ask.verdicts.get(status) or _VERDICTS.get(status) or unknown


def _by_action(words: Iterable[T]) -> Mapping[str, T]:
    found: dict[str, T] = {}
    for one in words:
        if one.action in found:
            raise ValueError(f"{one.action} has words twice; the feature that owns it has them once")
        found[one.action] = one
    return found
