"""P2: the installation's secret key: never a known one, never half of one; settings that are empty are none."""

import threading
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from csms.cli import app
from csms.config import Settings, load_settings
from csms.exceptions import Invalid
from csms.runtime import read_secret_key

pytestmark = pytest.mark.feature("P2")


def installed(folder: Path, **values: Any) -> Settings:
    return Settings.model_validate({"data_dir": folder, **values})


def test_processes_that_start_together_have_the_same_key(tmp_path: Path) -> None:
    found: list[bytes] = []
    threads = [
        threading.Thread(target=lambda: found.append(read_secret_key(installed(tmp_path / "data")))) for _ in range(8)
    ]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert len(found) == 8
    assert len(set(found)) == 1
    assert len(found[0]) == 64
    [file] = (tmp_path / "data").iterdir()
    assert (file.name, file.stat().st_mode & 0o777) == ("secret.key", 0o600)


def test_an_empty_file_is_no_key(tmp_path: Path) -> None:
    (tmp_path / "secret.key").touch()
    with pytest.raises(Invalid, match=r"secret\.key needs at least 16 characters"):
        read_secret_key(installed(tmp_path))


def test_a_short_key_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="CSMS_SECRET_KEY needs at least 16 characters"):
        read_secret_key(installed(tmp_path, secret_key="(hidden)"))
    assert list(tmp_path.iterdir()) == []


def test_an_empty_setting_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CSMS_SECRET_KEY", "")
    monkeypatch.setenv("CSMS_DATA_DIR", str(tmp_path))
    settings = load_settings()
    assert settings.secret_key is None
    assert len(read_secret_key(settings)) == 64


def test_what_is_printed_can_be_read_again_and_has_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = {"CSMS_CONTRACT_PROVIDER_URL": "https://user:hunter2@pki.example/", "CSMS_SECRET_KEY": "hunter2" * 4}
    printed = CliRunner().invoke(app, ["config"], env=given).output
    assert "hunter2" not in printed
    assert "CSMS_CONTRACT_PROVIDER_URL=https://user:(hidden)@pki.example/" in printed
    (tmp_path / "csms.env").write_text(printed)
    monkeypatch.setenv("CSMS_CONFIG_FILE", str(tmp_path / "csms.env"))
    assert load_settings().model_dump(exclude={"secret_key", "contract_provider_url"}) == Settings().model_dump(
        exclude={"secret_key", "contract_provider_url"}
    )
