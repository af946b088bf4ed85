"""F2, M14, S13: send e-mail; the outcome of each try is a value, never an exception."""

import asyncio
import re
import ssl
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.utils import format_datetime
from typing import Literal, Protocol
from uuid import uuid4

from aiosmtplib import (
    SMTP,
    SMTPDataError,
    SMTPException,
    SMTPNotSupported,
    SMTPRecipientRefused,
    SMTPRecipientsRefused,
    SMTPResponseException,
)

from csms.clock import Clock, system_clock
from csms.config import Settings

MAIL_LIMIT_BYTES = 5 * 1024 * 1024
SUBJECT_LIMIT_CHARACTERS = 200
REASON_LIMIT_CHARACTERS = 300
QUIT_TIMEOUT_S = 2.0

# RFC 5321 4.1.2 and RFC 6531 3.3, without quoted local parts and address literals: nothing that needs escaping.
_ADDRESS = re.compile(
    r"(?=[^@]{1,64}@[^@]{1,253}$)"
    r"(?P<local>[\w!#$%&'*+/=?^`{|}~-]+(\.[\w!#$%&'*+/=?^`{|}~-]+)*)"
    r"@(?P<domain>[\w-]+(\.[\w-]+)*)"
)
_HEADER_NAME = re.compile(r"[A-Za-z0-9-]{1,60}")  # RFC 5322 2.2 allows more; nobody needs it
_MESSAGE_ID = re.compile(r"<[A-Za-z0-9._=+-]{1,100}@[A-Za-z0-9.-]{1,100}>")
_OURS = re.compile(
    r"from|to|cc|bcc|sender|subject|date|message-id|auto-submitted|mime-version|return-path|received|(content|resent)-.*",
    re.IGNORECASE,
)
_LOGIN_CODES = frozenset({530, 534, 535, 538})  # RFC 4954 6: our login or encryption is wrong, not the mail


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail to one address. Give a `message_id` (`<local@domain>`) to make a repeated delivery recognisable."""

    to: str
    subject: str
    text: str
    html: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    message_id: str | None = None


@dataclass(frozen=True, slots=True)
class Sent:
    """The server took the mail over."""

    message_id: str


@dataclass(frozen=True, slots=True)
class Failed:
    """The mail is not sent; `permanent` means that trying the same again is useless."""

    reason: str
    permanent: bool


class Mailer(Protocol):
    async def send(self, mail: Mail) -> Sent | Failed:
        """Try once, within a limited time."""


@dataclass(frozen=True, slots=True)
class SmtpSettings:
    """Where and how to send. `security`: `starttls` and `tls` never fall back to plain text."""

    host: str
    sender: str
    port: int = 587
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    security: Literal["starttls", "tls", "none"] = "starttls"
    timeout_s: float = 30.0


def open_mailer(settings: Settings, clock: Clock = system_clock) -> Mailer | None:
    """The mailer of the settings; None where no SMTP server is set."""
    if settings.smtp_host is None:
        return None
    password = settings.smtp_password.get_secret_value() if settings.smtp_password else None
    smtp = SmtpSettings(
        host=settings.smtp_host,
        port=settings.smtp_port,
        username=settings.smtp_username,
        password=password,
        security=settings.smtp_security,
        sender=settings.mail_sender,
    )
    return SmtpMailer(smtp, clock)


def one_line(text: str, limit: int = SUBJECT_LIMIT_CHARACTERS) -> str:
    """Foreign text (a station's, say) made fit for a subject: one line, printable, not too long."""
    clean = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return clean if len(clean) <= limit else clean[: limit - 1] + "…"


def compose(mail: Mail, *, sender: str, clock: Clock) -> EmailMessage:
    """The message as it goes out; ValueError when an address or header is wrong, so that nothing can be injected."""
    domain = _address(sender).domain
    message = EmailMessage(policy=SMTP_POLICY)
    message["From"] = _address(sender)
    message["To"] = _address(mail.to)
    message["Subject"] = _line("subject", mail.subject)
    message["Date"] = format_datetime(clock())
    message["Message-ID"] = _message_id(mail.message_id or f"<{uuid4().hex}@{domain}>")
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834 5: no holiday notices in return
    for name, value in mail.headers.items():
        message[_header_name(name)] = _line(name, value)
    message.set_content(mail.text)
    if mail.html is not None:
        message.add_alternative(mail.html, subtype="html")
    return message


def is_address(text: str) -> bool:
    """Whether mail can be sent there, as far as can be seen."""
    return _ADDRESS.fullmatch(text) is not None


def _address(text: str) -> Address:
    match = _ADDRESS.fullmatch(text)
    if match is None:
        raise ValueError(f"not one e-mail address: {text[:80]!r}")
    return Address(username=match["local"], domain=match["domain"])


def _line(name: str, value: str) -> str:
    if not value.isprintable():
        raise ValueError(f"{name} must be one line of printable text")
    return value


def _header_name(name: str) -> str:
    if not _HEADER_NAME.fullmatch(name) or _OURS.fullmatch(name):
        raise ValueError(f"header {name[:60]!r} cannot be set")
    return name


def _message_id(text: str) -> str:
    if not _MESSAGE_ID.fullmatch(text):
        raise ValueError("the message id must be <local@domain>")
    return text


class SmtpMailer:
    """Sends each mail over a connection of its own."""

    def __init__(self, settings: SmtpSettings, clock: Clock = system_clock) -> None:
        _address(settings.sender)  # wrong settings fail at the start, not at the first alarm
        self._settings = settings
        self._clock = clock

    def __repr__(self) -> str:
        return f"SmtpMailer({self._settings})"

    async def send(self, mail: Mail) -> Sent | Failed:
        try:
            message = compose(mail, sender=self._settings.sender, clock=self._clock)
            size = len(message.as_bytes())
        except ValueError as error:
            return Failed(str(error), permanent=True)
        if size > MAIL_LIMIT_BYTES:
            return Failed(f"the mail has {size} bytes, over the limit of {MAIL_LIMIT_BYTES}", permanent=True)
        return await self._send(message, mail.to)

    async def _send(self, message: EmailMessage, to: str) -> Sent | Failed:
        client = self._client()
        try:
            async with asyncio.timeout(self._settings.timeout_s):
                await client.connect()
                await client.send_message(message, recipients=[to])
            await _say_goodbye(client)
        except (SMTPException, OSError, ValueError) as error:
            return self._failed(error)
        finally:
            client.close()
        return Sent(str(message["Message-ID"]))

    def _client(self) -> SMTP:
        settings = self._settings
        return SMTP(
            hostname=settings.host,
            port=settings.port,
            username=settings.username,
            password=settings.password,
            use_tls=settings.security == "tls",
            start_tls=settings.security == "starttls",
            tls_context=ssl.create_default_context() if settings.security != "none" else None,
            timeout=settings.timeout_s,
        )

    def _failed(self, error: Exception) -> Failed:
        """Permanent only where the server refused this very mail for good; its own troubles pass."""
        cause = error.recipients[0] if isinstance(error, SMTPRecipientsRefused) else error
        reason = f"{cause.code} {cause.message}" if isinstance(cause, SMTPResponseException) else str(cause)
        if self._settings.password:  # a server may echo it
            reason = reason.replace(self._settings.password, "***")
        reason = reason or f"no answer within {self._settings.timeout_s:g} s"  # a TimeoutError has no text
        return Failed(one_line(reason, REASON_LIMIT_CHARACTERS), _is_permanent(cause))


def _is_permanent(error: Exception) -> bool:
    if isinstance(error, (SMTPRecipientRefused, SMTPDataError)):  # a refused sender is a wrong CSMS_MAIL_SENDER
        return 500 <= error.code < 600 and error.code not in _LOGIN_CODES  # noqa: PLR2004  RFC 5321 4.2.1
    return isinstance(error, SMTPNotSupported)  # an address outside ASCII, which this server cannot take (RFC 6531 3.2)


async def _say_goodbye(client: SMTP) -> None:
    """QUIT. The mail is the server's by now, so trouble here must not make it look unsent."""
    with suppress(SMTPException, OSError):
        await client.quit(timeout=QUIT_TIMEOUT_S)


class MemoryMail:
    """A mailer that keeps what it would send, for tests and for installations that try things out."""

    def __init__(self, clock: Clock = system_clock) -> None:
        self.mails: list[Mail] = []
        self._clock = clock
        self._outcomes: deque[Failed] = deque()

    def fail_next(self, *outcomes: Failed) -> None:
        """Answer the next mails with these outcomes instead of keeping them."""
        self._outcomes.extend(outcomes)

    async def send(self, mail: Mail) -> Sent | Failed:
        try:
            message = compose(mail, sender="csms@localhost", clock=self._clock)
        except ValueError as error:
            return Failed(str(error), permanent=True)
        if self._outcomes:
            return self._outcomes.popleft()
        self.mails.append(mail)
        return Sent(str(message["Message-ID"]))
