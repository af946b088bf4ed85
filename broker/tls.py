"""B10: TLS in front of the WebSocket: contexts that are renewed while running, and handshakes that fail with a reason.

Connections are accepted here and not by the event loop's server, each handshake with the context of that moment:
new certificates need no restart, and why a handshake failed is known, with the certificate that a station showed.
"""

import _ssl
import asyncio
import socket
import ssl
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Any

import structlog
from cryptography import x509

from broker.certificates import first_certificate, read_certificate, served_certificate
from broker.limits import TokenBucket
from broker.metrics import SERVER_CERTIFICATE_ENDS, TLS_FAILURES, TLS_RELOADS
from broker.socket import Socket
from csms.config import Settings
from csms.station.connections import ShownCertificate
from csms.trust import PresentedCertificate

log = structlog.get_logger(__name__)

SUITES = "ECDHE+AESGCM"
RSA_SUITES = "AES128-GCM-SHA256:AES256-GCM-SHA384"
"""TLS_RSA_WITH_AES_…_GCM_…, which A00.FR.317 demands and which have no forward secrecy."""
BACKLOG = 1024
ACCEPT_PAUSE_S = 1.0
LOGGED_FAILURES_PER_MINUTE = 60
_CERTIFICATE_MESSAGE = 11


class TlsFailure(StrEnum):
    """Why a TLS handshake failed."""

    VERSION = "version"
    """The station speaks only versions older than 1.2."""
    CIPHER = "cipher"
    CERTIFICATE = "certificate"
    """The station's certificate is from an unknown authority, expired or broken."""
    REJECTED = "rejected"
    """The station does not trust this system's certificate."""
    PLAIN = "plain"
    """It spoke without TLS."""
    MISPLACED = "misplaced"
    """It spoke TLS to the plain port."""
    TIMEOUT = "timeout"
    LIMIT = "limit"
    ABORTED = "aborted"


@dataclass(frozen=True, slots=True)
class FailedHandshake:
    kind: TlsFailure
    reason: str
    address: str
    claimed: PresentedCertificate | None
    """The certificate that was shown and not accepted: what it says is only a claim."""

    @property
    def words(self) -> str:
        """What happened, for an operator."""
        return f"{_WORDS[self.kind]} ({self.reason})"


_WORDS = {
    TlsFailure.VERSION: "it speaks no TLS 1.2 or newer",
    TlsFailure.CIPHER: "it has no cipher suite in common with this system",
    TlsFailure.CERTIFICATE: "the certificate that it showed is not trusted here",
    TlsFailure.REJECTED: "it does not trust this system's certificate: look at its root, its clock and the host's name",
    TlsFailure.PLAIN: "it spoke without TLS to the TLS port",
    TlsFailure.MISPLACED: "it spoke TLS (wss://) to the port without TLS; the other one is CSMS_BROKER_TLS_PORT",
    TlsFailure.TIMEOUT: "it did not finish the TLS handshake",
    TlsFailure.LIMIT: "too many TLS handshakes of its address are unfinished",
    TlsFailure.ABORTED: "it broke the TLS handshake off; many do so that do not trust this system's certificate",
}


_REASONS = {
    "UNSUPPORTED_PROTOCOL": TlsFailure.VERSION,
    "VERSION_TOO_LOW": TlsFailure.VERSION,
    "WRONG_VERSION_NUMBER": TlsFailure.PLAIN,
    "HTTP_REQUEST": TlsFailure.PLAIN,
    "NO_SHARED_CIPHER": TlsFailure.CIPHER,
    "NO_SHARED_SIGNATURE_ALGORITHMS": TlsFailure.CIPHER,
    "CERTIFICATE_VERIFY_FAILED": TlsFailure.CERTIFICATE,
    "BAD_SIGNATURE": TlsFailure.CERTIFICATE,
    "TLSV1_ALERT_PROTOCOL_VERSION": TlsFailure.VERSION,
    "TLSV1_ALERT_UNKNOWN_CA": TlsFailure.REJECTED,
    "SSLV3_ALERT_BAD_CERTIFICATE": TlsFailure.REJECTED,
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": TlsFailure.REJECTED,
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": TlsFailure.REJECTED,
    "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE": TlsFailure.REJECTED,
}


def failure_of(error: Exception) -> tuple[TlsFailure, str]:
    """What kind of failure the error is, and its reason in OpenSSL's words."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return TlsFailure.CERTIFICATE, error.verify_message
    if isinstance(error, ssl.SSLError):
        return _REASONS.get(error.reason or "", TlsFailure.ABORTED), error.reason or str(error)
    if isinstance(error, TimeoutError | ConnectionAbortedError):
        return TlsFailure.TIMEOUT, "the handshake was not finished in time"
    return TlsFailure.ABORTED, str(error) or type(error).__name__


# --- contexts -----------------------------------------------------------------------------------------------------


class _Handshake(ssl.SSLObject):
    """Remembers the certificate that is shown, so that a failure can say whose it claims to be."""

    shown: bytes | None = None

    def do_handshake(self) -> None:
        try:
            super().do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except ssl.SSLError as error:
            error.shown = self.shown  # type: ignore[attr-defined]  # read by `TlsListener`
            raise
        quiet = getattr(self.context, "quiet", None)
        if quiet is not None:
            self.context = quiet  # watching ends here: it would cost time for every frame


class _Context(ssl.SSLContext):
    quiet: ssl.SSLContext | None = None
    """The same without watching, for after the handshake."""


def server_context(settings: Settings, roots: Sequence[str]) -> ssl.SSLContext:
    """A context of the certificate files and trusted roots as they are now.

    Raises OSError or ValueError for files that cannot be used.
    """
    context = _configured(settings, roots)
    context.quiet = _configured(settings, roots)
    context.sslobject_class = _Handshake
    if hasattr(context, "_msg_callback"):  # CPython's hook for looking at handshakes; without it no claim is known
        context._msg_callback = _watch  # noqa: SLF001
    return context


def _configured(settings: Settings, roots: Sequence[str]) -> _Context:
    context = _Context(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(f"{SUITES}:{RSA_SUITES}" if settings.tls_rsa_key_exchange else SUITES)
    context.options |= ssl.OP_NO_TICKET | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    context.num_tickets = 0  # a resumed session would skip the check of the station's certificate
    for chain, key in _chains(settings):
        _load_chain(context, chain, key)
    texts = [*(_roots_in(path) for path in settings.tls_client_ca_files), *roots]
    if texts:
        context.load_verify_locations(cadata="\n".join(texts))
        context.verify_mode = ssl.CERT_OPTIONAL
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def _chains(settings: Settings) -> list[tuple[Path, Path | None]]:
    chains, keys = settings.tls_chain_files, settings.tls_key_files
    if not chains:
        raise ValueError("CSMS_BROKER_TLS_PORT is set; name the certificate in CSMS_TLS_CHAIN_FILES too")
    if keys and len(keys) != len(chains):
        raise ValueError("CSMS_TLS_KEY_FILES must have one key for each of CSMS_TLS_CHAIN_FILES, in the same order")
    return [(chain, keys[index] if keys else None) for index, chain in enumerate(chains)]


def _load_chain(context: ssl.SSLContext, chain: Path, key: Path | None) -> None:
    """Raises OSError or ValueError that name the file: OpenSSL's own words do not."""
    certificates_in(chain)

    def ask() -> bytes:
        raise ValueError(f"the key in {key or chain} is encrypted: nobody is there to type its password")

    try:
        context.load_cert_chain(chain, key, password=ask)
    except ssl.SSLError as error:
        wrong = "is not that of the certificate in" if error.reason == "KEY_VALUES_MISMATCH" else "cannot be used with"
        raise ValueError(f"the key in {key or chain} {wrong} {chain} ({error.reason or error})") from error


def certificates_in(path: Path) -> list[x509.Certificate]:
    """The certificates of a PEM file. Raises OSError or ValueError, which name it."""
    text = path.read_bytes()
    try:
        return x509.load_pem_x509_certificates(text)
    except ValueError as error:
        raise ValueError(f"{path} holds no certificate that can be read") from error


def _roots_in(path: Path) -> str:
    certificates_in(path)
    return path.read_text()


def _watch(  # CPython's signature
    connection: Any, direction: str, _version: Any, _content: Any, message: Any, data: bytes
) -> None:
    if direction == "read" and message == _CERTIFICATE_MESSAGE:
        connection.shown = data


class TlsContexts:
    """The context in force; read anew when a file, the roots or an operator says so."""

    def __init__(self, settings: Settings, roots: Callable[[], Awaitable[Sequence[str]]]) -> None:
        self._settings = settings
        self._roots = roots
        self.served: list[ShownCertificate] = []
        """What this system shows to stations: the first certificate of each chain."""
        self._state: object = None
        self._context: ssl.SSLContext | None = None

    @property
    def current(self) -> ssl.SSLContext:
        if self._context is None:
            raise RuntimeError("load the certificates first")
        return self._context

    async def load(self) -> None:
        """Read everything for the first time. Raises SystemExit, with what to do, for what cannot be used."""
        try:
            await self._read()
        except (OSError, ValueError) as error:
            raise SystemExit(f"TLS cannot start: {_said(error)}") from error

    async def reload(self, *, is_asked: bool = False) -> bool:
        """Take over what has changed; what is broken is logged, and the old stays in force."""
        try:
            has_changed = await self._read(is_asked=is_asked)
        except Exception as error:  # noqa: BLE001  # whatever it is: stations must still get in
            TLS_RELOADS.labels("failed").inc()
            log.error("new certificates cannot be used; the old ones stay", error=_said(error))  # noqa: TRY400
            return False
        if has_changed:
            TLS_RELOADS.labels("done").inc()
            log.info("certificates read anew")
        return has_changed

    async def _read(self, *, is_asked: bool = False) -> bool:
        roots = sorted(await self._roots())
        state = (_stamps(self._settings), roots)
        if state == self._state and not is_asked:
            return False
        self._context = server_context(self._settings, roots)
        self._state = state
        self.served = [served_certificate(certificates_in(path)[0], path.name) for path, _ in _chains(self._settings)]
        SERVER_CERTIFICATE_ENDS.clear()
        for one in self.served:
            SERVER_CERTIFICATE_ENDS.labels(one.file).set(one.not_after.timestamp())
        return True


def _stamps(settings: Settings) -> list[tuple[int, int, int]]:
    files = [*settings.tls_chain_files, *settings.tls_key_files, *settings.tls_client_ca_files]
    stats = [path.stat() for path in files]
    return [(one.st_ino, one.st_mtime_ns, one.st_size) for one in stats]


def _said(error: Exception) -> str:
    return str(error) or type(error).__name__


# --- handshakes ---------------------------------------------------------------------------------------------------


class TlsListener:
    """Accepts TCP connections and makes TLS of them, a limited number at a time for each address."""

    def __init__(
        self,
        settings: Settings,
        contexts: TlsContexts,
        make_socket: Callable[[], "TlsSocket"],
        on_failure: Callable[[FailedHandshake], None],
    ) -> None:
        self._settings = settings
        self._contexts = contexts
        self._make_socket = make_socket
        self._on_failure = on_failure
        self._listening: list[socket.socket] = []
        self._acceptors: list[asyncio.Task[None]] = []
        self._handshakes: set[asyncio.Task[None]] = set()
        self._unfinished: Counter[str] = Counter()
        self._rate = TokenBucket(settings.connects_per_second_max, settings.connects_per_second_max)
        self._logged = TokenBucket(LOGGED_FAILURES_PER_MINUTE / 60, LOGGED_FAILURES_PER_MINUTE)

    async def start(self, host: str, port: int) -> int:
        """Listen on every address of that host; returns the port."""
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, _, _, _, address in dict.fromkeys(found):
            place: tuple[Any, ...] = (address[0], port, *address[2:])
            listening = socket.create_server(place, family=family, backlog=BACKLOG)
            listening.setblocking(False)
            port = listening.getsockname()[1]
            self._listening.append(listening)
            self._acceptors.append(asyncio.create_task(self._accept(listening), name="tls listener"))
        return port

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                accepted, peer = await loop.sock_accept(listening)
            except OSError:  # too many open files: others may end meanwhile
                log.exception("a connection could not be accepted")
                await asyncio.sleep(ACCEPT_PAUSE_S)
                continue
            self._begin(accepted, str(peer[0]))
            if not self._rate.take():  # a herd waits in the backlog: a handshake costs more than a 503
                await asyncio.sleep(self._rate.wait_s())

    def _begin(self, accepted: socket.socket, address: str) -> None:
        if self._unfinished[address] >= self._settings.tls_handshakes_per_address_max:
            accepted.close()
            self._failed(FailedHandshake(TlsFailure.LIMIT, "too many unfinished handshakes", address, None))
            return
        self._unfinished[address] += 1
        task = asyncio.get_running_loop().create_task(self._shake_hands(accepted, address))
        self._handshakes.add(task)
        task.add_done_callback(self._handshakes.discard)

    async def _shake_hands(self, accepted: socket.socket, address: str) -> None:
        """The WebSocket begins when this has succeeded."""
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                self._make_socket,
                accepted,
                ssl=self._contexts.current,
                ssl_handshake_timeout=self._settings.open_timeout_s,
                ssl_shutdown_timeout=self._settings.close_timeout_s,
            )
        except Exception as error:  # noqa: BLE001  # whatever a stranger sends must end here; the loop closes the socket
            kind, reason = failure_of(error)
            self._failed(FailedHandshake(kind, reason, address, _claimed(error)))
        finally:
            self._unfinished[address] -= 1
            if not self._unfinished[address]:
                del self._unfinished[address]

    def _failed(self, failed: FailedHandshake) -> None:
        TLS_FAILURES.labels(failed.kind).inc()
        if self._logged.take():
            claimed = failed.claimed.common_name if failed.claimed else None
            log.info("TLS handshake failed", kind=failed.kind, reason=failed.reason, peer=failed.address, shown=claimed)
        self._on_failure(failed)

    async def stop(self) -> None:
        """Accept no more, and end handshakes that are under way."""
        tasks = [*self._acceptors, *self._handshakes]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for listening in self._listening:
            listening.close()


def _claimed(error: Exception) -> PresentedCertificate | None:
    shown = getattr(error, "shown", None)
    der = first_certificate(shown) if shown else None
    return read_certificate(der) if der else None


class TlsSocket(Socket):
    """A station's WebSocket over TLS."""

    is_tls = True

    @cached_property
    def certificate(self) -> PresentedCertificate | None:  # type: ignore[override]  # read as an attribute
        """The station's certificate, whose chain was verified; None if it showed none."""
        tls = self.transport.get_extra_info("ssl_object")
        der = tls.getpeercert(binary_form=True) if tls is not None else None
        return read_certificate(der, _verified_chain(tls)[1:]) if der else None


def _verified_chain(tls: Any) -> list[bytes]:
    """The station's certificate and those above it, as they were verified (DER)."""
    if hasattr(tls, "get_verified_chain"):  # public since Python 3.13
        return [bytes(one) for one in tls.get_verified_chain()]
    chain = tls._sslobj.get_verified_chain()  # noqa: SLF001  # the same before
    return [one.public_bytes(_ssl.ENCODING_DER) for one in chain or ()]
