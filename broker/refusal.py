"""B1, B10: a refused handshake: the status, the reason in words, and the cause in the history."""

from http import HTTPStatus

from csms.station.connections import Cause


class Refusal(Exception):
    """The handshake is refused with that status and reason."""

    def __init__(self, status: HTTPStatus, reason: str, cause: Cause) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.cause = cause


def wrong_credentials(cause: Cause = Cause.REFUSED_CREDENTIALS) -> Refusal:
    """The same for a wrong password, another's name, and an identity that is unknown (ROBUSTNESS 2)."""
    return Refusal(HTTPStatus.UNAUTHORIZED, "wrong or missing credentials", cause)
