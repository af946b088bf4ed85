"""B12: the rules of subjects, which are those of NATS, and tokens made of foreign text."""

import re

SUBJECT_LIMIT_CHARACTERS = 1000  # a NATS server takes 4096 for the whole control line

_SAFE = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
_TOKEN = re.compile(r"[^\s\x00-\x1f\x7f\ud800-\udfff.*>]+")


def subject_token(text: str) -> str:
    """One subject token that stands for this text and no other, whatever is in it.

    Letters, digits, `-` and `_` stay; every other UTF-8 byte becomes `=XX`; the empty text is a lone `=`.
    """
    # An identity in a URL may decode to lone surrogates; they must not raise, and must not collide.
    octets = text.encode("utf-8", "surrogatepass")
    return "".join(chr(octet) if octet in _SAFE else f"={octet:02X}" for octet in octets) or "="


def check_subject(subject: str, *, wildcards: bool = False) -> None:
    """Raise ValueError when it is no subject that one can publish to (or, with `wildcards`, subscribe to)."""
    tokens = subject.split(".")
    if wildcards:
        if tokens[-1] == ">":
            tokens.pop()
        tokens = [part for part in tokens if part != "*"]
    if len(subject) > SUBJECT_LIMIT_CHARACTERS or not all(_TOKEN.fullmatch(token) for token in tokens):
        raise ValueError(f"not a bus subject: {subject[:80]!r}; make tokens of foreign text with subject_token")


def has_wildcards(subject: str) -> bool:
    return "*" in subject or ">" in subject


def is_match(pattern: str, subject: str) -> bool:
    """Whether a subscription to the pattern gets what is published to the subject."""
    wanted, given = pattern.split("."), subject.split(".")
    if wanted[-1] == ">":
        wanted.pop()
        if len(given) <= len(wanted):
            return False
        given = given[: len(wanted)]
    return len(wanted) == len(given) and all(want in ("*", got) for want, got in zip(wanted, given, strict=True))
