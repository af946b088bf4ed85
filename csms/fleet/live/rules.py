"""F1: server-sent events as text (WHATWG HTML, 9.2)."""


def event_text(event_id: int | str, kind: str, data: str) -> str:
    """One event; `data` is JSON, which has no line breaks of its own."""
    return f"id: {event_id}\nevent: {_line(kind)}\ndata: {_line(data)}\n\n"


def comment_text(text: str) -> str:
    """What clients ignore; keeps proxies from closing a silent connection."""
    return f": {_line(text)}\n\n"


def retry_text(after_ms: int) -> str:
    """How long a client waits before it connects again."""
    return f"retry: {after_ms}\n\n"


def _line(text: str) -> str:
    """A line break would end the field, and whoever wrote it could forge events."""
    return text.replace("\r", " ").replace("\n", " ")
