"""What goes wrong again and again is told once: a database that is away must not fill the log."""

TROUBLE_CHARS = 200


def short(error: Exception) -> str:
    """The error in one line, bounded."""
    return repr(error)[:TROUBLE_CHARS]


class Troubles:
    """The last trouble of each thing that is tried on and on."""

    def __init__(self) -> None:
        self._last: dict[str, str] = {}

    def is_new(self, what: str, error: Exception) -> bool:
        """Note that it failed; whether in another way than last time."""
        before, self._last[what] = self._last.get(what), short(error)
        return self._last[what] != before

    def is_over(self, what: str) -> bool:
        """Note that it went well; whether it had failed last time."""
        return self._last.pop(what, None) is not None
