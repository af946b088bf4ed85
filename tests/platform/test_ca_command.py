"""B10: `csms ca` on a real installation."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography import x509
from typer.testing import CliRunner

from csms.cli import app
from csms.platform.certificate_authority.rules import key_text
from tests.certificate_builders import pem_of, root_with_key

pytestmark = pytest.mark.feature("B10")


class Csms:
    """The command line on an installation of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.env = {
            "CSMS_DATABASE_URL": f"sqlite:///{folder}/csms.db",
            "CSMS_DATA_DIR": str(folder / "data"),
            "CSMS_ADMIN_KEY": "csms_" + "a" * 40,
        }

    def __call__(self, *arguments: str, is_refused: bool = False) -> str:
        done = CliRunner().invoke(app, arguments, env=self.env)
        assert (done.exit_code != 0) == is_refused, (done.output, done.exception)
        return str(done.exception) if is_refused else done.output


@pytest.fixture
def csms(tmp_path: Path, sqlite_template: Path) -> Csms:
    shutil.copy(sqlite_template, tmp_path / "csms.db")
    made = Csms(tmp_path)
    made("db", "upgrade")
    return made


def test_it_may_come_before_the_first_start(tmp_path: Path) -> None:
    csms = Csms(tmp_path)
    assert "O=Fjord" in csms("ca", "create", "--operator-name", "Fjord")
    csms("ca", "sign-server", "localhost", "--folder", str(tmp_path))
    leaf = x509.load_pem_x509_certificate((tmp_path / "server.pem").read_bytes())
    leaf.verify_directly_issued_by(x509.load_pem_x509_certificate(csms("ca", "show").encode()))


def test_an_authority_is_made_shown_and_signs_for_the_broker(csms: Csms) -> None:
    assert "no certificate authority yet" in csms("ca", "show", is_refused=True)
    assert "O=Fjord" in csms("ca", "create", "--operator-name", "Fjord", "--days", "400")
    assert "there is a certificate authority already" in csms("ca", "create", is_refused=True)
    root = x509.load_pem_x509_certificate(csms("ca", "show").encode())
    csms("ca", "sign-server", "csms.example.com", "192.0.2.7", "--folder", str(csms.folder / "tls"))
    leaf = x509.load_pem_x509_certificate((csms.folder / "tls/server.pem").read_bytes())
    leaf.verify_directly_issued_by(root)
    assert (csms.folder / "tls/server.key").stat().st_mode & 0o777 == 0o600
    assert "use ec_p256 or rsa_3072" in csms("ca", "create", "--replace", "--key-kind", "dsa", is_refused=True)
    other, key = root_with_key("Corporate CA", days=4000)
    (csms.folder / "ca.pem").write_text(pem_of(other))
    (csms.folder / "ca.key").write_text(key_text(key))
    files = str(csms.folder / "ca.pem"), str(csms.folder / "ca.key")
    csms("ca", "import", *files, "--replace")
    assert x509.load_pem_x509_certificate(csms("ca", "show").encode()) == other
    assert b"PRIVATE KEY-----" in (csms.folder / "csms.db").read_bytes()
    assert b"BEGIN PRIVATE KEY-----" not in (csms.folder / "csms.db").read_bytes()


def test_other_users_of_the_machine_read_nothing(tmp_path: Path) -> None:
    """As a shell starts it, whose files everybody may read."""
    script = 'umask 022; exec "$0" -m csms "$@"'
    for arguments in (("db", "upgrade"), ("ca", "create", "--operator-name", "Fjord")):
        subprocess.run(
            ["/bin/sh", "-c", script, sys.executable, *arguments], env=os.environ | Csms(tmp_path).env, check=True
        )
    made = [tmp_path / "csms.db", *(tmp_path / "data").rglob("*")]
    assert {path.name for path in made} >= {"csms.db", "secret.key"}
    assert [path for path in made if path.stat().st_mode & 0o007] == []
