"""S17, S24: how far a transfer is, in words; the features that ask for transfers say what of."""

from collections.abc import Callable, Mapping

from csms.wording import Level, Payload, Words, status_of


def progress_told(
    subject: str, task: str, known: Mapping[str, tuple[str, Level]]
) -> Callable[[Payload, Payload], Words]:
    """Words for a station's report of progress: of what, what to do when it fails, what each status means."""

    def tell(request: Payload, _answer: Payload) -> Words:
        status = status_of(request)
        what, level = known.get(status, (f"«{status}»", Level.WARNING))
        if level is Level.INFO:
            return Words(f"{subject}: {what}.")
        return Words(f"{subject}: {what}.", level, f"The station says {status}.", task)

    return tell
