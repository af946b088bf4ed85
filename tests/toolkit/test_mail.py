"""F2: mails over a real SMTP server: their form, their security, and what becomes of refusals."""

import asyncio
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from csms.clock import FixedClock
from csms.config import Settings
from csms.mail import (
    MAIL_LIMIT_BYTES,
    Failed,
    Mail,
    Mailer,
    MemoryMail,
    Sent,
    SmtpMailer,
    SmtpSettings,
    compose,
    one_line,
    open_mailer,
)
from tests.servers import SmtpServer, free_port, self_signed, smtp_server

pytestmark = pytest.mark.feature("F2")

SENDER = "alarms@cpo.example"
ALARM = Mail("anna@cpo.example", "Station CS-1 is offline", "Since 12:00.\n")


def settings_for(server: SmtpServer, **fields: object) -> SmtpSettings:
    return SmtpSettings(**{"host": server.host, "port": server.port, "sender": SENDER, "security": "none", **fields})  # type: ignore[arg-type]  # a test names its fields


def read(content: bytes) -> EmailMessage:
    message = message_from_bytes(content, policy=default)
    assert isinstance(message, EmailMessage)
    return message


# --- the form ---------------------------------------------------------------------------------------------------


async def test_a_mail_arrives_with_the_headers_of_an_automatic_one() -> None:
    clock = FixedClock(datetime(2026, 11, 21, 12, 30, tzinfo=UTC))
    with smtp_server() as server:
        outcome = await SmtpMailer(settings_for(server), clock).send(ALARM)
        [received] = await server.received(1)
    message = read(received.content)
    assert isinstance(outcome, Sent)
    assert (received.sender, received.recipients) == (SENDER, ["anna@cpo.example"])
    assert message["Message-ID"] == outcome.message_id
    assert outcome.message_id.endswith("@cpo.example>")
    assert message["Date"] == "Sat, 21 Nov 2026 12:30:00 +0000"
    assert message["Auto-Submitted"] == "auto-generated"
    assert (message["From"], message["To"], message["Subject"]) == (SENDER, ALARM.to, ALARM.subject)
    assert message.get_content().replace("\r\n", "\n") == ALARM.text


async def test_text_of_any_language_and_html_arrive_as_written() -> None:
    mail = Mail(
        "anna@cpo.example", "Störung, «Ø» 充电", "Grüße " * 300, html="<p>Grüße</p>", headers={"Reply-To": SENDER}
    )
    with smtp_server() as server:
        await SmtpMailer(settings_for(server)).send(mail)
        [received] = await server.received(1)
    message = read(received.content)
    plain, html = message.get_body(("plain",)), message.get_body(("html",))
    assert plain is not None
    assert html is not None
    assert (message["Subject"], message["Reply-To"]) == (mail.subject, SENDER)
    assert (plain.get_content().rstrip(), html.get_content().rstrip()) == (mail.text.rstrip(), mail.html)


async def test_a_repeated_delivery_can_carry_the_same_message_id() -> None:
    mail = Mail(ALARM.to, "x", "x", message_id="<alarm-17@cpo.example>")
    with smtp_server() as server:
        assert await SmtpMailer(settings_for(server)).send(mail) == Sent("<alarm-17@cpo.example>")
        [received] = await server.received(1)
    assert read(received.content)["Message-ID"] == "<alarm-17@cpo.example>"


async def test_two_mails_have_two_message_ids() -> None:
    mailer = MemoryMail()
    assert await mailer.send(ALARM) != await mailer.send(ALARM)


INJECTIONS = {
    "line feed in the subject": Mail(ALARM.to, "x\nBcc: eve@evil.example", "x"),
    "carriage return in the subject": Mail(ALARM.to, "x\rBcc: eve@evil.example", "x"),
    "line separator in the subject": Mail(ALARM.to, "x\u2028y", "x"),
    "NUL in the subject": Mail(ALARM.to, "x\x00y", "x"),
    "line feed in the address": Mail("anna@cpo.example\nBcc: eve@evil.example", "x", "x"),
    "two addresses": Mail("anna@cpo.example, eve@evil.example", "x", "x"),
    "a parameter after the address": Mail("anna@cpo.example> NOTIFY=NEVER", "x", "x"),
    "a name with the address": Mail("Anna <anna@cpo.example>", "x", "x"),
    "no domain": Mail("anna", "x", "x"),
    "no address": Mail("", "x", "x"),
    "line feed in a header": Mail(ALARM.to, "x", "x", headers={"X-Station": "a\nBcc: eve@evil.example"}),
    "line feed in a header's name": Mail(ALARM.to, "x", "x", headers={"X-A\nBcc": "eve@evil.example"}),
    "a header that is ours": Mail(ALARM.to, "x", "x", headers={"bCC": "eve@evil.example"}),
    "a header of the body": Mail(ALARM.to, "x", "x", headers={"Content-Type": "text/html"}),
    "line feed in the message id": Mail(ALARM.to, "x", "x", message_id="<a@b>\nBcc: eve@evil.example"),
    "lone surrogate in the text": Mail(ALARM.to, "x", "\ud800"),
    "too large": Mail(ALARM.to, "x", "x" * (MAIL_LIMIT_BYTES + 1)),
}


@pytest.mark.parametrize("mail", INJECTIONS.values(), ids=INJECTIONS.keys())
async def test_what_could_inject_or_overflow_is_refused_before_it_leaves(mail: Mail) -> None:
    with smtp_server() as server:
        outcome = await SmtpMailer(settings_for(server)).send(mail)
        assert isinstance(outcome, Failed)
        assert outcome.permanent
        assert server.mails == []


@given(st.text(), st.text())
def test_no_subject_or_address_adds_a_header(subject: str, to: str) -> None:
    try:
        message = compose(Mail(to, subject, "x"), sender=SENDER, clock=FixedClock())
    except ValueError:
        return
    names = [name.lower() for name in read(message.as_bytes())]
    assert sorted(names) == sorted({*names})
    assert "bcc" not in names


@given(st.text(st.characters()))
def test_one_line_makes_any_text_fit_for_a_subject(text: str) -> None:
    line = one_line(text)
    compose(Mail(ALARM.to, line, "x"), sender=SENDER, clock=FixedClock())
    assert len(line) <= 200
    assert one_line(line) == line


def test_a_wrong_sender_fails_at_the_start() -> None:
    with pytest.raises(ValueError, match="not one e-mail address"):
        SmtpMailer(SmtpSettings(host="localhost", sender="nobody"))


# --- refusals ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "answer", "is_permanent"),
    [
        *((command, "451 try later", False) for command in ("MAIL", "RCPT", "DATA")),
        *((command, "550 not here", True) for command in ("RCPT", "DATA")),
        ("MAIL", "550 not you", False),  # our setting is wrong, not the mail
    ],
)
async def test_refusals_are_told_apart(command: str, answer: str, is_permanent: bool) -> None:
    with smtp_server() as server:
        server.refuse[command] = answer
        assert await SmtpMailer(settings_for(server)).send(ALARM) == Failed(answer, is_permanent)
        server.refuse.clear()
        assert isinstance(await SmtpMailer(settings_for(server)).send(ALARM), Sent)


async def test_nobody_listening_is_a_temporary_failure() -> None:
    settings = SmtpSettings(host="127.0.0.1", port=free_port(), sender=SENDER, security="none")
    outcome = await SmtpMailer(settings).send(ALARM)
    assert isinstance(outcome, Failed)
    assert not outcome.permanent


async def test_a_server_that_says_nothing_is_given_up_in_time() -> None:
    async def say_nothing(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await silent.wait()
        writer.close()

    silent = asyncio.Event()
    server = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    async with server:
        host, port = server.sockets[0].getsockname()
        settings = SmtpSettings(host=host, port=port, sender=SENDER, security="none", timeout_s=0.1)
        async with asyncio.timeout(10):
            outcome = await SmtpMailer(settings).send(ALARM)
        silent.set()
    assert outcome == Failed("no answer within 0.1 s", permanent=False)


async def test_an_address_outside_ascii_is_delivered_where_the_server_can() -> None:
    with smtp_server() as server:
        assert isinstance(await SmtpMailer(settings_for(server)).send(Mail("jürgen@cpo.example", "x", "x")), Sent)
        [received] = await server.received(1)
    assert received.recipients == ["jürgen@cpo.example"]


async def test_an_address_that_the_server_cannot_take_is_a_permanent_failure() -> None:
    with smtp_server(utf8=False) as server:
        outcome = await SmtpMailer(settings_for(server)).send(Mail("jürgen@cpo.example", "x", "x"))
    assert isinstance(outcome, Failed)
    assert outcome.permanent


# --- security ---------------------------------------------------------------------------------------------------

PASSWORD = "s3cret-of-the-mailbox"


@pytest.mark.parametrize(("security", "is_implicit"), [("starttls", False), ("tls", True)])
async def test_mail_goes_encrypted_and_logged_in(
    security: str, is_implicit: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tls = self_signed(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(tls[0]))
    with smtp_server(tls=tls, implicit_tls=is_implicit, credentials=("csms", PASSWORD)) as server:
        settings = settings_for(server, security=security, username="csms", password=PASSWORD)
        outcome = await SmtpMailer(settings).send(ALARM)
        assert isinstance(outcome, Sent)
        [received] = await server.received(1)
    assert received.user == "csms"
    assert received.is_encrypted


@pytest.mark.parametrize(("security", "is_implicit"), [("starttls", False), ("tls", True)])
async def test_an_unknown_certificate_gets_no_mail(security: str, is_implicit: bool, tmp_path: Path) -> None:
    with smtp_server(tls=self_signed(tmp_path), implicit_tls=is_implicit) as server:
        outcome = await SmtpMailer(settings_for(server, security=security)).send(ALARM)
        assert isinstance(outcome, Failed)
        assert "CERTIFICATE_VERIFY_FAILED" in outcome.reason
        assert not outcome.permanent
        assert server.mails == []


async def test_a_server_without_starttls_gets_neither_mail_nor_password() -> None:
    with smtp_server(credentials=("csms", PASSWORD)) as server:
        settings = settings_for(server, security="starttls", username="csms", password=PASSWORD)
        outcome = await SmtpMailer(settings).send(ALARM)
        assert isinstance(outcome, Failed)
        assert not outcome.permanent
        assert server.logins == []
        assert server.mails == []


@pytest.mark.robustness(48)
async def test_a_wrong_password_is_our_trouble_and_is_never_shown() -> None:
    with smtp_server(credentials=("csms", "another")) as server, capture_logs() as logs:
        mailer = SmtpMailer(settings_for(server, username="csms", password=PASSWORD))
        outcome = await mailer.send(ALARM)
        assert isinstance(outcome, Failed)
        assert not outcome.permanent
        assert set(server.logins) == {"csms"}
    assert outcome.reason.startswith("535")
    assert PASSWORD not in f"{outcome} {mailer!r} {logs}"


@pytest.mark.robustness(48)
async def test_a_server_that_echoes_the_password_does_not_spread_it() -> None:
    with smtp_server(credentials=("csms", PASSWORD)) as server:
        server.refuse["RCPT"] = f"550 never heard of {PASSWORD}"
        outcome = await SmtpMailer(settings_for(server, username="csms", password=PASSWORD)).send(ALARM)
    assert outcome == Failed("550 never heard of ***", permanent=True)


# --- settings and the twin --------------------------------------------------------------------------------------


async def test_the_mailer_of_the_settings_sends() -> None:
    with smtp_server(credentials=("csms", PASSWORD)) as server:
        settings = Settings.model_validate(
            {
                "smtp_host": server.host,
                "smtp_port": server.port,
                "smtp_username": "csms",
                "smtp_password": PASSWORD,
                "smtp_security": "none",
                "mail_sender": SENDER,
            }
        )
        mailer = open_mailer(settings)
        assert mailer is not None
        assert isinstance(await mailer.send(ALARM), Sent)
        [received] = await server.received(1)
    assert (received.user, received.sender) == ("csms", SENDER)


def test_without_a_server_in_the_settings_there_is_no_mailer() -> None:
    assert open_mailer(Settings.model_validate({})) is None


async def test_the_mailer_in_memory_keeps_mails_and_fails_on_demand() -> None:
    memory = MemoryMail()
    mailer: Mailer = memory
    memory.fail_next(Failed("451 later", permanent=False))
    assert await mailer.send(ALARM) == Failed("451 later", permanent=False)
    assert isinstance(await mailer.send(ALARM), Sent)
    assert memory.mails == [ALARM]


@pytest.mark.parametrize("mail", [mail for name, mail in INJECTIONS.items() if name != "too large"])
async def test_the_mailer_in_memory_refuses_what_the_real_one_refuses(mail: Mail) -> None:
    memory = MemoryMail()
    outcome = await memory.send(mail)
    assert isinstance(outcome, Failed)
    assert outcome.permanent
    assert memory.mails == []
