"""The command line: start the system or its parts, and look after an installation."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any

import structlog
import typer
import uvloop
from pydantic import SecretStr
from rich.console import Console
from rich.table import Table as RichTable

from csms.config import Settings, UnknownStations, WrongSettings, load_settings, unknown_variables
from csms.exceptions import CsmsError
from csms.rights import Role
from simulators.cli import simulate

# Hosts and features are imported inside the commands that need them: `csms --help` answers at once.
# ruff: noqa: PLC0415

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="An OCPP charging station management system.",
)
db_app = typer.Typer(no_args_is_help=True, help="The database.")
key_app = typer.Typer(no_args_is_help=True, help="API keys.")
user_app = typer.Typer(no_args_is_help=True, help="People who may log in.")
bench_app = typer.Typer(no_args_is_help=True, help="Measurements that anybody can repeat.")
ca_app = typer.Typer(no_args_is_help=True, help="The authority that signs stations' certificates.")
for name, group in (("db", db_app), ("key", key_app), ("user", user_app), ("bench", bench_app), ("ca", ca_app)):
    app.add_typer(group, name=name)

app.command("simulate")(simulate)

TERMINATED = 128 + signal.SIGTERM
"""The exit code of a process that a signal ended before it was ready."""

out = Console(soft_wrap=True, highlight=False)


def main() -> None:
    """Run the command line; expected refusals are one line and exit code 1."""
    os.umask(os.umask(0o077) | 0o007)  # database, files and logs are no business of other users of the machine
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))  # output is for what was asked for
    try:
        app()
    except CsmsError as error:
        raise SystemExit(f"csms: {error.detail}") from None
    except Exception as error:
        from csms.launch.faults import in_words

        text = in_words(error, _settings_or_none())
        if text is None:
            raise
        raise SystemExit(f"csms: {text}") from None


def _settings() -> Settings:
    """Those in force; a name that is none of ours is told, because it does nothing."""
    try:
        settings = load_settings()
    except WrongSettings as wrong:
        raise SystemExit(
            "\n".join(["These settings are not right:", *(f"  {fault}" for fault in wrong.faults)])
        ) from None
    for name, meant in unknown_variables().items():
        hint = f"; do you mean {meant}?" if meant else ""
        typer.echo(f"csms: {name} is no setting and does nothing{hint}", err=True)
    return settings


def _settings_or_none() -> Settings | None:
    try:
        return load_settings()
    except WrongSettings:
        return None


def _run(work: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(work)


# --- the system and its parts ---------------------------------------------------------------------------------


@app.command()
def run(
    demo: Annotated[
        bool, typer.Option(help="Accept unregistered stations and add simulated ones that charge.")
    ] = False,
) -> None:
    """Start everything in one process: broker, API, jobs, and FTP where CSMS_FTP_PORT is set."""
    from csms.launch.process import ALL_PARTS

    _start(ALL_PARTS, demo=demo)


@app.command()
def broker() -> None:
    """Start only the broker: stations connect here. Needs CSMS_BUS_URL to be reached by other processes."""
    from csms.launch.process import Part

    _start({Part.BROKER})


@app.command()
def api() -> None:
    """Start only the API."""
    from csms.launch.process import Part

    _start({Part.API})


@app.command()
def worker() -> None:
    """Start only the jobs: escalation, windows, retention and what else is due."""
    from csms.launch.process import Part

    _start({Part.WORKER})


@app.command()
def ftp() -> None:
    """Start only the FTP server for stations' files. It shares CSMS_DATA_DIR with API and worker."""
    from csms.launch.process import Part

    if _settings().ftp_port is None:
        raise SystemExit("set CSMS_FTP_PORT, and CSMS_FTP_URL to what stations reach it by")
    _start({Part.FTP})


def _start(parts: Any, *, demo: bool = False) -> None:
    from csms.platform.operations.logs import configure_logs

    settings = _settings()
    configure_logs(settings)
    try:
        _run(_serve(settings, parts, demo=demo))
    except asyncio.CancelledError:
        raise SystemExit(TERMINATED) from None


async def _serve(settings: Settings, parts: Any, *, demo: bool) -> None:
    from csms.launch.demo import demo_stations
    from csms.launch.process import prepare, running

    # Until everything is up, SIGTERM ends what has begun as Ctrl-C does: what was opened is closed.
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, asyncio.current_task().cancel)  # type: ignore[union-attr]
    if not demo:
        await prepare(settings)
        async with running(settings, parts) as started:
            await _until_stopped(started, is_demo=False)
    else:
        async with demo_stations(settings) as shown:
            if shown.past_s:
                out.print(f"Five simulated stations live through their last {shown.past_s / 3600:.0f} hours first …")
            await prepare(settings, shown.clock)
            unknown = UnknownStations.ACCEPT
            async with running(
                settings, parts, unknown=unknown, is_demo=True, clock=shown.clock, first=shown.begin
            ) as started:
                await _until_stopped(started, is_demo=True)
    out.print("Stopped.")


async def _until_stopped(started: Any, *, is_demo: bool) -> None:
    from csms.launch.process import until_stopped
    from csms.launch.welcome import welcome

    out.print(welcome(started, is_demo=is_demo))
    await until_stopped(started.broker)
    out.print("Stopping: stations are told, what was begun is finished …")


@app.command()
def features() -> None:
    """Show what is built in: every feature, its rows of the feature list, and what it offers."""
    from csms.features import features as all_features

    table = RichTable(box=None)
    for heading in ("feature", "rows", "offers", "what"):
        table.add_column(heading, no_wrap=not out.is_terminal)  # cut off for nobody: lines may be long in a file
    for feature in all_features():
        table.add_row(feature.path, " ".join(feature.rows), " ".join(feature.parts), feature.title)
    Console(width=out.width if out.is_terminal else 400, highlight=False).print(table)


@app.command()
def config() -> None:
    """Print the settings in force; secrets are hidden."""
    from csms.platform.operations.redaction import redacted_text

    settings = _settings()
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        shown = "(hidden)" if isinstance(value, SecretStr) and name != "database_url" else value
        if name == "database_url":
            from sqlalchemy.engine import make_url

            shown = make_url(value.get_secret_value()).render_as_string(hide_password=True)
        if isinstance(shown, list):  # as it is written in the environment
            shown = json.dumps([str(one) for one in shown])
        text = "" if shown is None else redacted_text(str(shown))
        out.print(f"CSMS_{name.upper()}={text}", markup=False)


# --- looking after an installation ----------------------------------------------------------------------------


@db_app.command("upgrade")
def db_upgrade() -> None:
    """Bring the database to the newest schema; safe to repeat."""
    from csms.launch.process import prepare

    settings = _settings()

    async def act() -> None:
        made = await prepare(settings)
        out.print("The database is up to date.")
        if made is not None:
            out.print(f"The first administrator's key, also in {settings.data_dir}/admin.key: {made}", markup=False)

    _run(act())


@db_app.command("verify-audit")
def db_verify_audit() -> None:
    """Check the hash chain of the audit log; exit code 1 if a row was changed."""
    from csms.platform.audit import verify_all

    async def act() -> None:
        store = await _store()
        try:
            async with store.reading() as work:
                broken = await verify_all(work)
        finally:
            await store.close()
        if broken:
            raise SystemExit("\n".join(broken))
        out.print("The audit log is whole.")

    _run(act())


@key_app.command("create")
def key_create(
    name: Annotated[str, typer.Argument(help="What the key is for; shown in the audit log.")],
    role: Annotated[Role, typer.Option(help="What it may do.")] = Role.USER,
    organisation: Annotated[str | None, typer.Option(help="Whose it is; the default one if left out.")] = None,
    days: Annotated[int | None, typer.Option(help="After how many days it ends.", min=1)] = None,
) -> None:
    """Make an API key; it is shown once."""
    from datetime import timedelta

    from csms.platform.access import create_key

    async def act() -> None:
        store = await _store()
        try:
            async with store.writing() as work:
                owner = await _organisation(work, organisation)
                expires_at = work.now + timedelta(days=days) if days else None
                _row, secret = await create_key(work, owner.id, name, role, expires_at=expires_at)
        finally:
            await store.close()
        out.print(secret, markup=False)

    _run(act())


@user_app.command("create")
def user_create(
    email: str,
    name: Annotated[str, typer.Option(prompt=True)],
    password: Annotated[str, typer.Option(prompt=True, hide_input=True, confirmation_prompt=True)],
    role: Annotated[Role, typer.Option(help="What the person may do.")] = Role.USER,
    organisation: Annotated[str | None, typer.Option(help="Whose; the default one if left out.")] = None,
) -> None:
    """Add a person who may log in."""
    from csms.platform.access import check_password, create_user, hash_password, read_email

    email = read_email(email)
    check_password(password, email)
    password_hash = hash_password(password)

    async def act() -> None:
        store = await _store()
        try:
            async with store.writing() as work:
                owner = await _organisation(work, organisation)
                await create_user(work, owner.id, email=email, name=name, role=role, password_hash=password_hash)
        finally:
            await store.close()
        out.print(f"{email} may log in now.", markup=False)

    _run(act())


@app.command()
def backup(
    target: Annotated[Path, typer.Argument(help="The archive to write, as in backup.tar.gz")],
    without_files: Annotated[
        bool, typer.Option("--without-files", help="Leave out CSMS_DATA_DIR/files; copy that folder afterwards.")
    ] = False,
    without_keys: Annotated[
        bool, typer.Option("--without-keys", help="Leave out secret.key and CSMS_CA_KEY_FILE; keep them elsewhere.")
    ] = False,
) -> None:
    """Write database, files and keys into one archive; safe while the system runs. Exit code 3: files are lost."""
    from csms.platform.operations.backup import backup as write_backup

    settings = _settings()
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(TERMINATED))  # an end that still cleans up
    saved = write_backup(settings, target, with_files=not without_files, with_keys=not without_keys, tell=_tell)
    _tell(f"Wrote {target}, {saved.size_text}. It holds secrets: keep it where only you read it.")
    if not saved.manifest.has_secret_key:
        _tell("The secret key is not in it: keep it elsewhere; without it stations cannot log in after a restore.")
    if without_files:
        _tell(f"Files are not in it: copy {settings.data_dir}/files now, not before.")
    if saved.faults:
        for fault in saved.faults:
            typer.echo(f"csms: {fault}", err=True)
        raise SystemExit(3)


@app.command()
def restore(
    source: Annotated[Path, typer.Argument(help="An archive of `csms backup`")],
    force: Annotated[bool, typer.Option(help="Overwrite the database, keys and files that are there.")] = False,
) -> None:
    """Bring a backup back; stop the system first."""
    from csms.platform.operations.backup import restore as read_backup

    settings = _settings()
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(TERMINATED))
    done = read_backup(settings, source, force=force, tell=_tell)
    _tell(f"Restored: {done.text}.")
    for line in done.to_set:
        _tell(f"Set {line}")
    if done.missing:
        _tell(f"{done.missing} files that the database names are not in {settings.data_dir}/files: copy them there.")
    _tell("Start with `csms run`.")


def _tell(line: str) -> None:
    out.print(line, markup=False)


@bench_app.command("broker")
def bench_broker(
    connections: Annotated[int, typer.Option(help="Stations at once.", min=1, max=5000)] = 200,
    seconds: Annotated[float, typer.Option(help="How long each server is measured.", min=1, max=600)] = 10,
    rounds: Annotated[int, typer.Option(help="How often, in turn; medians are printed.", min=1, max=20)] = 3,
    database: Annotated[
        str | None, typer.Option(help="A scratch database's URL; a new SQLite file if left out.")
    ] = None,
    version: Annotated[str, typer.Option(help="What the stations speak: 1.6 or 2.0.1.")] = "1.6",
) -> None:
    """Messages a second: the broker, validating and storing durably, against a bare WebSocket echo."""
    from csms.launch.bench import bench_broker as measure

    measure(connections=connections, seconds=seconds, rounds=rounds, database=database, out=out, version=version)


# --- the certificate authority ----------------------------------------------------------------------------------

Owner = Annotated[str | None, typer.Option("--organisation", help="Whose; the default one if left out.")]
Replace = Annotated[bool, typer.Option(help="Put it in the place of the present one, which stays trusted.")]


@ca_app.command("create")
def ca_create(
    operator_name: Annotated[str | None, typer.Option(help="O in every certificate; the organisation's name.")] = None,
    days: Annotated[int, typer.Option(help="How long its root is valid.", min=30, max=36500)] = 3650,
    key_kind: Annotated[str, typer.Option(help="ec_p256 or rsa_3072.")] = "ec_p256",
    organisation: Owner = None,
    replace: Replace = False,
) -> None:
    """Make an authority; its key is stored encrypted with the secret key of the installation."""
    from csms.platform import certificate_authority as ca

    kind = _key_kind(key_kind)

    async def act(work: Any, owner: Any, settings: Settings, secret_key: bytes) -> None:
        name = operator_name or await ca.operator_name_of(work, owner.id, settings)
        issuer = ca.new_root(name, kind, days, work.now)
        row = await ca.create_authority(work, owner.id, issuer, secret_key=secret_key, replaces=replace)
        out.print(f"{row.name}, valid until {row.not_after:%Y-%m-%d}", markup=False)

    _with_authority(act, organisation)


@ca_app.command("import")
def ca_import(
    chain: Annotated[Path, typer.Argument(help="PEM: its certificate, then its issuers.")],
    key: Annotated[Path, typer.Argument(help="PEM: its private key.")],
    ask_password: Annotated[bool, typer.Option(help="The key is encrypted; ask for its password.")] = False,
    organisation: Owner = None,
    replace: Replace = False,
) -> None:
    """Take over an authority that was made elsewhere; its key is stored encrypted."""
    from csms.platform.certificate_authority import import_authority

    password = typer.prompt("Password of the key", hide_input=True).encode() if ask_password else None
    texts = chain.read_text(), key.read_bytes()

    async def act(work: Any, owner: Any, _settings: Settings, secret_key: bytes) -> None:
        row = await import_authority(work, owner.id, *texts, password=password, secret_key=secret_key, replaces=replace)
        out.print(f"{row.name}, valid until {row.not_after:%Y-%m-%d}", markup=False)

    _with_authority(act, organisation)


@ca_app.command("show")
def ca_show(organisation: Owner = None) -> None:
    """Print the root certificate, to be installed where the stations' certificates are checked."""
    from csms.platform.certificate_authority import chain_text, get_authority, read_chain

    async def act(work: Any, owner: Any, _settings: Settings, _secret_key: bytes) -> None:
        row = await get_authority(work, owner.id)
        out.print(chain_text(read_chain(row.chain)[-1:]), markup=False, end="")

    _with_authority(act, organisation)


@ca_app.command("sign-server")
def ca_sign_server(
    hosts: Annotated[list[str], typer.Argument(help="Names or addresses under which stations reach the TLS port.")],
    folder: Annotated[Path, typer.Option(help="Where server.pem and server.key are written.")] = Path(),
    days: Annotated[int, typer.Option(min=1, max=3650)] = 397,
    key_kind: Annotated[str, typer.Option(help="ec_p256 or rsa_3072.")] = "ec_p256",
    organisation: Owner = None,
) -> None:
    """Make a certificate for the broker's own TLS port (CSMS_TLS_CHAIN_FILES); stations must trust the root."""
    from csms.platform.certificate_authority import get_authority, issue_server

    kind = _key_kind(key_kind)

    async def act(work: Any, owner: Any, settings: Settings, secret_key: bytes) -> None:
        row = await get_authority(work, owner.id)
        chain, key = await issue_server(row, settings, secret_key, hosts, kind=kind, days=days, now=work.now)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "server.pem").write_text(chain)
        (folder / "server.key").touch(mode=0o600)
        (folder / "server.key").write_text(key)
        out.print(f"Wrote {folder / 'server.pem'} and {folder / 'server.key'}.", markup=False)

    _with_authority(act, organisation)


def _key_kind(word: str) -> Any:
    from csms.platform.certificate_authority import KeyKind

    try:
        return KeyKind(word)
    except ValueError:
        raise SystemExit(f"csms: there is no key kind {word}; use {' or '.join(KeyKind)}") from None


def _with_authority(act: Any, organisation: str | None) -> None:
    from csms.runtime import read_secret_key

    async def run_it() -> None:
        store, settings = await _store(), _settings()
        try:
            async with store.writing() as work:
                owner = await _organisation(work, organisation)
                await act(work, owner, settings, read_secret_key(settings))
        finally:
            await store.close()

    _run(run_it())


async def _store() -> Any:
    """The database; one that is still empty is made ready, as a first start does."""
    from csms.features import features as all_features
    from csms.launch.process import prepare
    from csms.store import open_store
    from csms.store.migrate import is_empty

    all_features()
    settings = _settings()
    store = open_store(settings.database_url.get_secret_value())
    if await is_empty(store.engine):
        await prepare(settings)
    return store


async def _organisation(work: Any, name: str | None) -> Any:
    from csms.platform.organisations import default_organisation, find_organisation

    return await (default_organisation(work) if name is None else find_organisation(work, name))
