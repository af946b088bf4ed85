"""The errors that a service may raise; each kind has one HTTP status and says what to do next.

CsmsError
├── NotFound      404  there is no such thing, or not for you
├── Conflict      409  the thing's state forbids it now
├── Forbidden     403  your role does not allow it
├── Unauthorized  401  who are you?
├── TooLarge      413  send less; the detail says how much may be sent
├── Invalid       422  the input is wrong; `place` says where
├── TooMany       429  slow down; `retry_after_s` says how long
└── Unavailable   503  try again later
"""

from http import HTTPStatus


class CsmsError(Exception):
    """An expected refusal, rendered once as `application/problem+json` (RFC 9457)."""

    status = HTTPStatus.INTERNAL_SERVER_ERROR

    def __init__(self, detail: str, *, place: str | None = None, **extra: object) -> None:
        super().__init__(detail)
        self.detail = detail
        self.place = place
        self.extra = extra


class NotFound(CsmsError):
    status = HTTPStatus.NOT_FOUND


class Conflict(CsmsError):
    status = HTTPStatus.CONFLICT


class Forbidden(CsmsError):
    status = HTTPStatus.FORBIDDEN


class Unauthorized(CsmsError):
    status = HTTPStatus.UNAUTHORIZED


class TooLarge(CsmsError):
    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE


class Invalid(CsmsError):
    status = HTTPStatus.UNPROCESSABLE_ENTITY


class TooMany(CsmsError):
    status = HTTPStatus.TOO_MANY_REQUESTS

    def __init__(self, detail: str, *, retry_after_s: int) -> None:
        super().__init__(detail, retry_after_s=retry_after_s)
        self.retry_after_s = retry_after_s


class Unavailable(CsmsError):
    status = HTTPStatus.SERVICE_UNAVAILABLE
