"""S15: sending several messages for one purpose, and what to say when one of them has no answer."""

from csms.station.commands import Command, CommandOutcome

UNSENT = frozenset({CommandOutcome.OFFLINE, CommandOutcome.EXPIRED})


def why_unanswered(command: Command) -> str:
    """In words, why a command has no answer of the station's own."""
    if command.outcome is CommandOutcome.REFUSED:
        error = command.error or {}
        code, description = error.get("code", "no reason"), error.get("description") or ""
        return f"the station refused {command.action}: {code} {description}".strip()
    return command.reason or f"{command.action} has no answer"
