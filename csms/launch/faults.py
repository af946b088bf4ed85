"""What keeps the command line from its work, in words an operator can use: one line, and what to do next."""

import errno
import os
import socket
import sqlite3
from collections.abc import Iterator

import asyncpg
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

from csms.bus import BusError
from csms.config import Settings

_UNREACHABLE = (
    ConnectionError,
    TimeoutError,
    socket.gaierror,
    asyncpg.CannotConnectNowError,
    asyncpg.TooManyConnectionsError,
)
_REFUSED = (asyncpg.InvalidAuthorizationSpecificationError, asyncpg.InsufficientPrivilegeError)


def in_words(error: BaseException, settings: Settings | None) -> str | None:
    """One line for what is no fault of the program: paths, databases, networks; None for everything else."""
    for one in _chain(error):
        if isinstance(one, BusError):
            return f"{one}; is CSMS_BUS_URL right, and does NATS run?"
        if isinstance(one, OSError) and one.filename is not None:
            return _about_path(one)
        about_database = _about_database(one)
        if about_database is not None:
            name = "" if settings is None else f" {_shown(settings)}"
            return f"the database{name} {about_database}; see CSMS_DATABASE_URL"
    return None


def _about_database(error: BaseException) -> str | None:
    if isinstance(error, sqlite3.Error):
        return f"cannot be used: {error}"
    if isinstance(error, asyncpg.InvalidCatalogNameError):
        return f"must be created first: {error}"
    if isinstance(error, _REFUSED):
        return f"refuses this user: {error}"
    if isinstance(error, _UNREACHABLE):
        return f"cannot be reached: {_said(error)}"
    return None


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and what it was raised from, the innermost last."""
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        inner = seen.orig if isinstance(seen, DBAPIError) else None
        seen = inner or seen.__cause__


def _about_path(error: OSError) -> str:
    files = " to ".join(str(name) for name in (error.filename, error.filename2) if name is not None)
    if isinstance(error, FileExistsError):
        return f"{files} is there already, and is no folder"
    hint = "; see who may write there" if isinstance(error, PermissionError) or error.errno == errno.EROFS else ""
    return f"{files}: {error.strerror}{hint}"


def _shown(settings: Settings) -> str:
    return make_url(settings.database_url.get_secret_value()).render_as_string(hide_password=True)


def _said(error: BaseException) -> str:
    is_system = isinstance(error, OSError) and error.errno is not None and error.errno > 0
    return (os.strerror(error.errno) if is_system else str(error)) or "it does not answer"  # type: ignore[attr-defined]
