"""B1, B10: a refused handshake: the status, what the station hears, and what an operator reads in the history."""

from http import HTTPStatus

from csms.station.connections import Cause


class Refusal(Exception):
    """The handshake is refused with that status and reason; `detail` is for the operator, if that may know more."""

    def __init__(self, status: HTTPStatus, reason: str, cause: Cause, detail: str | None = None) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.cause = cause
        self.detail = detail or reason


def wrong_credentials(detail: str, cause: Cause = Cause.REFUSED_CREDENTIALS) -> Refusal:
    """The station hears the same of a wrong password, another's name, and an unknown identity (ROBUSTNESS 2)."""
    return Refusal(HTTPStatus.UNAUTHORIZED, "wrong or missing credentials", cause, detail)
