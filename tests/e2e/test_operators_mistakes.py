"""What an operator gets wrong on the first day is told in words, with what to do next, and without a traceback."""

import asyncio
import os
import socket
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.feature("P6", "P7")]

TIMEOUT_S = 120.0
AWAY = "127.0.0.1:9"
"""The discard port: nobody listens there."""


@dataclass(frozen=True)
class Said:
    """How a command ended and what it wrote."""

    code: int | None
    text: str


async def csms(folder: Path, *arguments: str, **settings: str) -> Said:
    """Run the real program in that folder."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CSMS_")}
    ports = {"CSMS_API_PORT": "0", "CSMS_BROKER_PORT": "0"}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "csms", *arguments),
        cwd=folder,
        env={**kept, **ports, "PYTHONPATH": os.pathsep.join(sys.path), **settings},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(TIMEOUT_S):
            written, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    return Said(process.returncode, written.decode())


@dataclass(frozen=True)
class Mistake:
    """A command line with its settings, and what must be read then."""

    arguments: str
    told: tuple[str, ...]
    settings: dict[str, str] = field(default_factory=dict)
    code: int = 1


MISTAKES = {
    "a list that is none": Mistake(
        "config", ("CSMS_TLS_CHAIN_FILES: write a JSON list",), {"CSMS_TLS_CHAIN_FILES": "/etc/csms/chain.pem"}
    ),
    "a number that is none": Mistake("config", ("  CSMS_API_PORT: ", "integer"), {"CSMS_API_PORT": "many"}),
    "a database of another kind": Mistake(
        "run",
        ("CSMS_DATABASE_URL: write sqlite:///path or postgresql://",),
        {"CSMS_DATABASE_URL": "mysql://u:geheim@h/x"},
    ),
    "a database without kind": Mistake(
        "config", ("CSMS_DATABASE_URL: write sqlite:///path",), {"CSMS_DATABASE_URL": "csms.db"}
    ),
    "settings that are a folder": Mistake(
        "config", ("CSMS_CONFIG_FILE names .", "cannot be read", "directory"), {"CSMS_CONFIG_FILE": "."}
    ),
    "settings in a binary file": Mistake(
        "config", ("CSMS_CONFIG_FILE names", "no text in UTF-8"), {"CSMS_CONFIG_FILE": sys.executable}
    ),
    "a misspelt variable": Mistake(
        "config",
        ("CSMS_BROKR_PORT is no setting and does nothing; do you mean CSMS_BROKER_PORT?",),
        {"CSMS_BROKR_PORT": "1"},
        code=0,
    ),
    "PostgreSQL away": Mistake(
        "run",
        (f"the database postgresql://csms:***@{AWAY}/csms cannot be reached", "refused", "CSMS_DATABASE_URL"),
        {"CSMS_DATABASE_URL": f"postgresql://csms:geheim@{AWAY}/csms"},
    ),
    "a database file that is none": Mistake(
        "db upgrade",
        ("cannot be used: file is not a database", "CSMS_DATABASE_URL"),
        {"CSMS_DATABASE_URL": f"sqlite:///{sys.executable}"},
    ),
    "a data folder that is a file": Mistake(
        "db upgrade",
        ("/dev/null is there already, and is no folder",),
        {"CSMS_DATABASE_URL": "sqlite:////dev/null/csms.db"},
    ),
    "a key that is not there": Mistake("ca import nope.pem nope.key", ("nope.pem: No such file or directory",)),
    "a host that is none": Mistake(
        "ca sign-server no_such*host", ("there is no certificate authority yet", "csms ca create")
    ),
    "a user without address": Mistake(
        "user create kari --name Kari --password gran1te-otter-plays", ("kari is no e-mail address",)
    ),
    "a report in no folder": Mistake("simulate --report nowhere/report.json", ("There is no folder nowhere",), code=2),
}


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES.keys())
async def test_a_mistake_is_told_in_words(mistake: Mistake, tmp_path: Path) -> None:
    said = await csms(tmp_path, *mistake.arguments.split(), **mistake.settings)
    assert said.code == mistake.code, said.text
    for words in mistake.told:
        assert words in said.text
    assert "Traceback" not in said.text, said.text
    assert "geheim" not in said.text
    assert "CSMS_CSMS" not in said.text
    assert "default factory" not in said.text


@pytest.mark.parametrize("setting", ["CSMS_BROKER_PORT", "CSMS_BROKER_TLS_PORT", "CSMS_API_PORT"])
async def test_a_port_that_is_taken_is_named_with_its_setting(setting: str, tmp_path: Path) -> None:
    tls: dict[str, str] = {}
    if setting == "CSMS_BROKER_TLS_PORT":
        assert (await csms(tmp_path, "ca", "create")).code == 0
        assert (await csms(tmp_path, "ca", "sign-server", "localhost")).code == 0
        tls = {"CSMS_TLS_CHAIN_FILES": '["server.pem"]', "CSMS_TLS_KEY_FILES": '["server.key"]'}
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        said = await csms(tmp_path, "run", **{setting: port}, **tls)
    assert said.code == 1
    assert f"cannot listen on 127.0.0.1:{port} (Address already in use); set {setting}" in said.text
    assert "Traceback" not in said.text, said.text


async def test_people_log_in_with_the_address_that_the_command_line_was_given(tmp_path: Path) -> None:
    """In small letters, as the login reads it: `Kari@Example.com` could never have come in."""
    made = await csms(
        tmp_path, "user", "create", "Kari@Example.com", "--name", "Kari", "--password", "gran1te-otter-plays"
    )
    assert made.code == 0, made.text
    assert "kari@example.com may log in now." in made.text
    again = await csms(
        tmp_path, "user", "create", "KARI@example.com", "--name", "K", "--password", "gran1te-otter-plays"
    )
    assert (again.code, "already" in again.text) == (1, True), again.text
