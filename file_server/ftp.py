"""S17, S24: an FTP server whose every login is one transfer: one file to put or to fetch, and nothing else to see.

No path of a station ever reaches the disk: `cwd` and `mkd` only please it, and whatever name it stores or fetches, it
is the file of its transfer. Passive connections only: PORT would let anybody aim our data at others (FTP bounce).
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import PurePosixPath
from typing import Any, Final, TypeVar, cast

import aioftp
import structlog
from aioftp.server import ConnectionConditions, worker

from csms.exceptions import Conflict, CsmsError, Invalid, NotFound, TooLarge, Unavailable
from csms.runtime import Runtime
from csms.station.file_transfers import Ticket, begin_download, identify, note_download, receive

log = structlog.get_logger(__name__)

BLOCK_BYTES: Final = 64 * 1024
LOGINS_MAX: Final = 3
"""Wrong passwords on one connection."""
DATA_CONNECTION_TIMEOUT_S: Final = 15.0
PATH_CHARS_MAX: Final = 500
CONTROL_GRACE_S: Final = 0.1
"""In FTP the end of the data is the end of the file. A station that died closes both its connections, so the other one
is given this time to be closed too before the file counts as whole."""
_FORGOTTEN: Final = "forgotten"
"""What a closed control connection is read as: a command that ends the dialogue."""

_ANSWERS: Final[tuple[tuple[type[BaseException], str], ...]] = (
    (TooLarge, "552"),
    (Unavailable, "452"),
    (Conflict, "553"),
    (Invalid, "551"),
    (NotFound, "550"),
)


Method = TypeVar("Method", bound=Callable[..., Awaitable[Any]])


def _needs(*fields: tuple[str, str], waits: bool = False) -> Callable[[Method], Method]:
    """Aioftp's decorator for what must have happened before a command; `waits`: for the data connection to come."""
    if not waits:
        return cast("Any", ConnectionConditions(*fields))  # type: ignore[no-any-return]  # it keeps the signature
    conditions = ConnectionConditions(*fields, wait=True, fail_code="425", fail_info="no data connection came")
    return cast("Any", conditions)  # type: ignore[no-any-return]  # as above


_LOGGED_IN: Final = ConnectionConditions.login_required
_PASSIVE: Final = ConnectionConditions.passive_server_started
_DATA: Final = ConnectionConditions.data_connection_made


def _mover(method: Method) -> Method:
    """What moves data: waits for the data connection, may be aborted."""
    return _needs(_DATA, waits=True)(cast("Method", worker(cast("Any", method))))


class _Station(aioftp.User):
    """Who is logging in; `ticket` says which file it is about once the password was right."""

    ticket: Ticket | None = None
    tries: int = 0


class _Stations(aioftp.AbstractUserManager):
    """Asks the transfers. A name that does not exist is told apart from a wrong password by nobody."""

    def __init__(self, runtime: Runtime) -> None:
        super().__init__()
        self._runtime = runtime

    async def get_user(self, login: str) -> tuple[aioftp.AbstractUserManager.GetUserResponse, aioftp.User, str]:
        return self.GetUserResponse.PASSWORD_REQUIRED, _Station(login), "password, please"

    async def authenticate(self, user: aioftp.User, password: str) -> bool:
        assert isinstance(user, _Station)  # noqa: S101  # get_user makes no other
        try:
            user.ticket = await identify(self._runtime, user.login or "", password)
        except CsmsError:
            user.tries += 1
            return False
        return True


class _Server(aioftp.Server):
    """aioftp's dialogue, with its own file commands replaced."""

    def __init__(self, runtime: Runtime) -> None:
        settings = runtime.settings
        super().__init__(
            _Stations(runtime),
            block_size=BLOCK_BYTES,
            socket_timeout=settings.file_idle_timeout_s,
            idle_timeout=settings.file_idle_timeout_s,
            wait_future_timeout=DATA_CONNECTION_TIMEOUT_S,
            maximum_connections=settings.ftp_connections_max,
            ipv4_pasv_forced_response_address=str(settings.ftp_passive_address or "") or None,
            data_ports=_ports(settings.ftp_passive_ports),
            welcome_message="csms",
        )
        self._runtime = runtime
        commands: dict[str, Callable[[Any, Any], Awaitable[bool]]] = {
            "abor": self.abor,
            "allo": self.nothing,
            "cdup": self.to_root,
            "cwd": self.cwd,
            "epsv": self.epsv,
            "feat": self.feat,
            "list": self.list,
            "mkd": self.mkd,
            "mode": self.nothing,
            "nlst": self.list,
            "noop": self.nothing,
            "opts": self.nothing,
            "pass": self.pass_,
            "pasv": self.pasv,
            "pwd": self.pwd,
            "quit": self.quit,
            "rest": self.rest,
            "retr": self.retr,
            "size": self.size,
            "stor": self.stor,
            "stru": self.nothing,
            "syst": self.syst,
            "type": self.type,
            "user": self.user,
            "xcwd": self.cwd,
            "xmkd": self.mkd,
            "xpwd": self.pwd,
            _FORGOTTEN: self.forget,
        }
        self.commands_mapping = commands

    async def parse_command(self, stream: Any, censor_commands: Any = ("pass",)) -> tuple[str, str]:  # noqa: ARG002  # aioftp's signature
        """The next command. A control connection is silent while its file moves: that is no idleness."""
        while True:
            try:
                line: bytes = await stream.readline()
            except TimeoutError:
                if self.connections[stream].extra_workers:
                    continue
                return _FORGOTTEN, ""
            except (OSError, ValueError):
                return _FORGOTTEN, ""
            if not line:
                return _FORGOTTEN, ""
            command, _, rest = line.decode("utf-8", "replace").rstrip("\r\n").partition(" ")
            return command.lower(), rest[:PATH_CHARS_MAX]

    async def forget(self, _connection: Any, _rest: Any) -> bool:
        return False

    async def user(self, connection: Any, rest: str) -> bool:
        done = await super().user(connection, rest)
        self.throttle_per_user.clear()  # aioftp keeps one for each user for ever, and ours are never the same
        return done

    @_needs(ConnectionConditions.user_required)
    async def pass_(self, connection: Any, rest: Any) -> bool:
        if connection.future.logged.done():
            connection.response("503", "already logged in")
        elif await self.user_manager.authenticate(connection.user, rest):
            connection.logged = True
            connection.response("230", "welcome; one file, please")
        else:
            connection.response("530", "wrong, used or expired; ask the operator to request it again")
            return bool(connection.user.tries < LOGINS_MAX)
        return True

    # --- what only pleases the client

    async def nothing(self, connection: Any, _rest: Any) -> bool:
        connection.response("200", "fine")
        return True

    async def feat(self, connection: Any, _rest: Any) -> bool:
        connection.response("211", ["Features", "EPSV", "REST STREAM", "SIZE", "UTF8", "End"], True)
        return True

    @_needs(_LOGGED_IN)
    async def cwd(self, connection: Any, rest: Any) -> bool:
        _, connection.current_directory = self.get_paths(connection, rest)
        connection.response("250", "as you wish")
        return True

    @_needs(_LOGGED_IN)
    async def to_root(self, connection: Any, _rest: Any) -> bool:
        connection.current_directory = PurePosixPath("/")
        connection.response("250", "as you wish")
        return True

    @_needs(_LOGGED_IN)
    async def mkd(self, connection: Any, _rest: Any) -> bool:
        connection.response("257", '"/"')
        return True

    @_needs(_LOGGED_IN)
    async def size(self, connection: Any, _rest: Any) -> bool:
        ticket: Ticket = connection.user.ticket
        if ticket.is_upload:
            connection.response("550", "not yet")
        else:
            connection.response("213", str(ticket.bytes_max))
        return True

    # --- the one file

    @_needs(_LOGGED_IN, _PASSIVE)
    async def list(self, connection: Any, rest: Any) -> bool:
        return self._begin(connection, self._show_nothing, rest)

    @_needs(_LOGGED_IN, _PASSIVE)
    async def stor(self, connection: Any, rest: Any, mode: str = "wb") -> bool:  # noqa: ARG002  # aioftp's signature
        if not connection.user.ticket.is_upload:
            connection.response("550", "this login fetches a file; it cannot store one")
            return True
        if connection.restart_offset:
            connection.response("551", "what broke off is not kept; send the whole file")
            return True
        return self._begin(connection, self._take, rest)

    @_needs(_LOGGED_IN, _PASSIVE)
    async def retr(self, connection: Any, rest: Any) -> bool:
        ticket: Ticket = connection.user.ticket
        if ticket.is_upload:
            connection.response("550", "this login stores a file; there is none to fetch")
            return True
        if connection.restart_offset > ticket.bytes_max:
            connection.response("554", "the file is shorter than that")
            return True
        return self._begin(connection, self._give, rest)

    def _begin(self, connection: Any, move: Callable[[Any, Any], Awaitable[Any]], rest: Any) -> bool:
        if connection.extra_workers:
            connection.response("450", "one thing at a time")
            return True
        connection.extra_workers.add(asyncio.ensure_future(move(connection, rest)))
        connection.response("150", "go on")
        return True

    @_mover
    async def _show_nothing(self, connection: Any, _rest: Any) -> None:
        async with _data_stream(connection):
            pass
        connection.response("226", "nothing to see")

    @_mover
    async def _take(self, connection: Any, rest: Any) -> None:
        stream = _data_stream(connection)
        async with stream:
            code, words = await self._moved(connection, stream, partial(self._take_all, connection, stream, rest))
        connection.response(code, words)

    async def _take_all(self, connection: Any, stream: Any, rest: Any) -> str:
        file = await receive(
            self._runtime,
            connection.user.ticket,
            _blocks(connection, stream),
            name=lambda: str(rest),
            remote_address=connection.client_host,
        )
        return f"{file.size_bytes} bytes, SHA-256 {file.sha256}"

    @_mover
    async def _give(self, connection: Any, _rest: Any) -> None:
        stream = _data_stream(connection)
        async with stream:
            code, words = await self._moved(connection, stream, partial(self._give_all, connection, stream))
        connection.response(code, words)

    async def _give_all(self, connection: Any, stream: Any) -> str:
        ticket: Ticket = connection.user.ticket
        offset, connection.restart_offset = connection.restart_offset, 0
        file = await begin_download(self._runtime, ticket, remote_address=connection.client_host)
        sent_bytes = 0
        with self._runtime.files.transfer(), file.path.open("rb") as opened:
            opened.seek(offset)
            while block := await asyncio.to_thread(opened.read, BLOCK_BYTES):
                await stream.write(block)
                sent_bytes += len(block)
        await note_download(self._runtime, ticket, sent_bytes=sent_bytes, is_at_end=True)
        return f"{sent_bytes} bytes, SHA-256 of the whole file {file.sha256}"

    async def _moved(self, connection: Any, stream: Any, move: Callable[[], Awaitable[str]]) -> tuple[str, str]:
        """The answer to a file command; whatever happens to a file happens here."""
        peer = stream.writer.get_extra_info("peername") or ("",)
        if peer[0] != connection.client_host:
            return "425", "the data connection came from another address"
        try:
            return "226", await move()
        except (TimeoutError, OSError, EOFError):
            return "426", "the transfer broke off; try again"
        except CsmsError as error:
            code = next((code for kind, code in _ANSWERS if isinstance(error, kind)), "451")
            return code, error.detail
        except Exception:
            log.exception("file transfer failed", transfer_id=connection.user.ticket.transfer_id)
            return "451", "this is our fault; try again later"


def _data_stream(connection: Any) -> Any:
    stream = connection.data_connection
    del connection.data_connection
    return stream


async def _blocks(connection: Any, stream: Any) -> AsyncIterator[bytes]:
    async for block in stream.iter_by_block(BLOCK_BYTES):
        yield block
    await asyncio.sleep(CONTROL_GRACE_S)
    if connection.command_connection.reader.at_eof():
        raise ConnectionResetError("the station went away")


def _ports(text: str | None) -> range | None:
    if text is None:
        return None
    first, _, last = text.partition("-")
    return range(int(first), int(last) + 1)


class _Quiet(logging.Filter):
    """Stations break connections off all day: that is no error of ours."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        return not isinstance(error, OSError | TimeoutError | asyncio.IncompleteReadError)


class FtpServer:
    """One listening address for FTP."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._server = _Server(runtime)

    async def start(self) -> int:
        """Listen; returns the port. Raises Unavailable where the address is taken or not ours."""
        settings = self._runtime.settings
        logger = logging.getLogger("aioftp.server")
        if not any(isinstance(one, _Quiet) for one in logger.filters):
            logger.addFilter(_Quiet())
        try:
            await self._server.start(settings.ftp_host, settings.ftp_port or 0)
        except OSError as error:
            raise Unavailable(
                f"FTP cannot listen on {settings.ftp_host}:{settings.ftp_port} ({error.strerror}); set CSMS_FTP_PORT"
            ) from error
        port = self._server.address[1]
        log.info("FTP listens", host=settings.ftp_host, port=port)
        return port

    async def stop(self) -> None:
        """Cut what is under way: stations try again."""
        await self._server.close()
