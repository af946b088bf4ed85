"""Settings: from `CSMS_…` environment variables or a file named by `CSMS_CONFIG_FILE` (KEY=value lines)."""

import os
from collections.abc import Sequence
from difflib import get_close_matches
from enum import StrEnum
from ipaddress import IPv4Address
from pathlib import Path
from typing import Final, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

API_PORT: Final = 8000
PREFIX: Final = "CSMS_"
CONFIG_FILE: Final = "CSMS_CONFIG_FILE"
SIMULATOR_PASSWORD: Final = "CSMS_SIM_PASSWORD"  # noqa: S105  # a name; `csms simulate` reads it
_FOLLOWS: Final = "default_factory_not_called"
"""A default that is made of another setting, which is wrong: that one is told."""


class UnknownStations(StrEnum):
    """B9: what becomes of a station that nobody registered."""

    REFUSE = "refuse"
    HOLD = "hold"
    ACCEPT = "accept"


class Settings(BaseSettings):
    """Everything that an operator can set; every limit has its unit in its name."""

    # NAME= is as if it were not there: an empty secret would be one that everybody knows
    model_config = SettingsConfigDict(env_prefix="CSMS_", env_ignore_empty=True, extra="forbid", frozen=True)

    # Storage
    database_url: SecretStr = Field(
        SecretStr("sqlite:///var/csms.db"), description="sqlite:///path or postgresql://user:password@host/name"
    )
    bus_url: SecretStr | None = Field(None, description="nats://host:4222 for several processes; empty: one process")
    data_dir: Path = Field(Path("var"), description="where files of this installation lie")

    # Secrets; none has a default value, they are made at the first start
    admin_key: SecretStr | None = Field(None, description="the first administrator's API key; made if empty")
    secret_key: SecretStr | None = Field(None, description="pepper for stored hashes; kept in data_dir if empty")

    # The certificate authority that signs stations' certificates; left empty, it is made over the API or by `csms ca`
    ca_certificate_file: Path | None = Field(None, description="PEM: its certificate, then its issuers")
    ca_key_file: Path | None = Field(None, description="PEM: its private key")
    ca_key_password: SecretStr | None = None
    ocsp_allowed_hosts: list[str] = Field(
        default_factory=list,
        description='hosts of OCSP responders and CRLs that stations may have asked: ["ocsp.example"]',
    )
    contract_provider_url: str | None = Field(
        None, pattern=r"^https?://[^\s]+$", description="where contract certificates of cars come from (ISO 15118)"
    )
    contract_provider_token: SecretStr | None = Field(None, description="sent there as a Bearer token")

    # Broker
    node_name: str = Field("node-1", pattern=r"^[A-Za-z0-9_.-]{1,64}$", description="unique among the brokers")
    protocols: list[str] = Field(
        default_factory=lambda: ["ocpp1.6", "ocpp2.0.1", "ocpp2.1"], description="subprotocols that are accepted"
    )
    broker_host: str = "127.0.0.1"
    broker_port: int = Field(9000, ge=0, le=65535)
    unknown_stations: UnknownStations = UnknownStations.HOLD
    pending_stations_max: int = Field(1000, ge=0, description="stations held until an operator accepts them")
    heartbeat_interval_s: int = Field(300, ge=10, le=86400)
    ping_interval_s: float = Field(20.0, gt=0, le=3600)
    ping_timeout_s: float = Field(20.0, gt=0, le=3600)
    probe_timeout_s: float = Field(
        5.0, gt=0, le=60, description="a live connection without password is kept if it answers a ping within this"
    )
    close_timeout_s: float = Field(5.0, gt=0, le=60)
    open_timeout_s: float = Field(10.0, gt=0, le=60)
    frame_bytes_max: int = Field(256 * 1024, ge=1024, le=16 * 1024 * 1024)
    calls_per_second_max: float = Field(
        50.0,
        gt=0,
        description="sustained calls a second from one station; 4096 characters of a frame count as one more",
    )
    calls_burst_max: int = Field(100, ge=1)
    calls_waiting_max: int = Field(32, ge=1, description="calls of one station not yet answered; then reading pauses")
    connects_per_second_max: float = Field(500.0, gt=0, description="handshakes admitted a second; others get 503")
    connections_per_address_max: int = Field(20000, ge=1)
    password_tries_per_minute_max: int = Field(30, ge=1, description="failed logins per address and per identity")
    login_refusal_s: float = Field(
        0.25, ge=0, le=5, description="how long a refused login takes at least, whatever was wrong with it"
    )
    reconnects_per_minute_max: int = Field(30, ge=1, description="connections of one identity a minute")
    call_timeout_s: float = Field(30.0, gt=0, le=600)
    commands_waiting_max: int = Field(16, ge=1, description="commands queued towards one station")
    deflate: bool = Field(default=False, description="offer permessage-deflate to stations that ask")
    drain_timeout_s: float = Field(10.0, gt=0, le=120)

    # TLS of the broker (security profiles 2 and 3); lists are JSON, as in ["/etc/csms/ecdsa.pem", "/etc/csms/rsa.pem"]
    broker_tls_port: int | None = Field(
        None, ge=0, le=65535, description="wss:// port beside the plain one; empty: none"
    )
    broker_tls_url: str | None = Field(
        None,
        pattern=r"^wss://[^\s]+$",
        description="how stations reach that port, as in wss://csms.example.com:9443/ocpp",
    )
    tls_chain_files: list[Path] = Field(
        default_factory=list,
        description="PEM: the server's certificate, then its issuers; one file a key type (ECDSA, RSA)",
    )
    tls_key_files: list[Path] = Field(
        default_factory=list, description="PEM keys in the same order; empty: the keys are in the chain files"
    )
    tls_client_ca_files: list[Path] = Field(
        default_factory=list, description="PEM bundles: who may have issued stations' certificates (profile 3)"
    )
    tls_rsa_key_exchange: bool = Field(
        default=False, description="also offer the two TLS_RSA suites of OCPP (no forward secrecy)"
    )
    tls_reload_s: float = Field(30.0, gt=0, le=3600, description="how often certificate files are looked at; or SIGHUP")
    broker_port_behind_tls: bool = Field(
        default=False, description="a proxy ends TLS in front of the plain port: who comes there uses profile 2"
    )
    tls_handshakes_per_address_max: int = Field(200, ge=1, description="unfinished TLS handshakes of one address")
    operator_name: str | None = Field(
        None, min_length=1, max_length=64, description="O that stations' certificates must have (profile 3, A00.FR.404)"
    )
    offline_after_s: int = Field(300, ge=1, description="a shorter drop and return is no error")

    # API
    api_host: str = "127.0.0.1"
    api_port: int = Field(API_PORT, ge=0, le=65535)
    public_url: str = Field(
        default_factory=lambda before: f"http://127.0.0.1:{before['api_port'] or API_PORT}",
        description="how users reach the API; used in links; this machine if empty",
    )
    requests_per_minute_max: int = Field(3000, ge=1, description="API requests per key")
    body_bytes_max: int = Field(1024 * 1024, ge=1024)

    # Health, readiness and metrics of every process, also of one without the API
    metrics_host: str = "127.0.0.1"
    metrics_port: int | None = Field(
        None, ge=0, le=65535, description="/health, /ready and /metrics on a port of their own; empty: none"
    )

    # Messages to people
    smtp_host: str | None = None
    smtp_port: int = 587
    smtp_username: str | None = None
    smtp_password: SecretStr | None = None
    smtp_security: Literal["starttls", "tls", "none"] = "starttls"
    mail_sender: str = "csms@localhost"
    webhook_allowed_hosts: list[str] = Field(
        default_factory=list, description='private hosts that webhooks may reach, as JSON: ["10.0.0.5"]'
    )

    # Files that stations upload and fetch
    files_url: str | None = Field(
        None,
        pattern=r"^https?://[^/?#@\s]+(/[^?#@\s]*)?$",
        description="how stations reach the API; public_url if empty",
    )
    ftp_host: str = "127.0.0.1"
    ftp_port: int | None = Field(None, ge=0, le=65535, description="an FTP server for stations; empty: none")
    ftp_url: str | None = Field(
        None,
        pattern=r"^ftp://[^/?#@\s]+$",
        description="how stations reach the FTP server, as ftp://files.example.com:2121; by host and port if empty",
    )
    ftp_passive_ports: str | None = Field(
        None,
        pattern=r"^[0-9]{1,5}-[0-9]{1,5}$",
        description="ports of FTP's data connections, as 50000-50099; empty: any",
    )
    ftp_passive_address: IPv4Address | None = Field(
        None, description="the public IPv4 address of the FTP server, where it stands behind NAT"
    )
    ftp_connections_max: int = Field(50, ge=1, le=10_000)
    file_protocol: Literal["http", "ftp"] = Field(
        "http", description="what stations use that have no choice of their own"
    )
    file_transfer_hours: int = Field(24, ge=1, le=720, description="how long a one-time URL is valid")
    file_transfers_max: int = Field(100, ge=1, description="files under way at a time in one process")
    file_idle_timeout_s: float = Field(60.0, gt=0, le=3600, description="a transfer that stands still so long is cut")
    file_allowed_hosts: list[str] = Field(
        default_factory=list,
        description="hosts besides our own that stations may be told to upload to or fetch from, as JSON: "
        '["files.example.com", "*.vendor.example"]; "*" allows every public host',
    )
    diagnosis_bytes_max: int = Field(256 * 1024 * 1024, ge=1024, description="one uploaded log")
    firmware_bytes_max: int = Field(1024 * 1024 * 1024, ge=1024, description="one firmware image")
    files_bytes_max: int = Field(20 * 1024 * 1024 * 1024, ge=1024, description="all files of the installation together")
    files_kept_days: int = Field(90, ge=1, description="what stations uploaded")

    # Retention
    frames_kept_days: int = Field(90, ge=1)
    customer_information_kept_days: int = Field(30, ge=1, description="what stations told of customers")
    samples_kept_days: int = Field(400, ge=1)
    events_kept_days: int = Field(30, ge=1, description="how far back live clients may resume")
    history_kept_days: int = Field(800, ge=1)

    # Logs
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["text", "json"] = "text"

    @field_validator("database_url")
    @classmethod
    def _check_database(cls, url: SecretStr) -> SecretStr:
        if url.get_secret_value().partition(":")[0].partition("+")[0] not in {"sqlite", "postgresql"}:
            raise ValueError("write sqlite:///path or postgresql://user:password@host/name")
        return url

    @field_validator("ftp_passive_ports")
    @classmethod
    def _check_ports(cls, text: str | None) -> str | None:
        if text is not None:
            first, _, last = text.partition("-")
            if not 0 < int(first) <= int(last) <= 65535:  # noqa: PLR2004  # TCP's ports
                raise ValueError("write the first and the last port, as 50000-50099")
        return text


class WrongSettings(Exception):
    """Settings that cannot be used, a line each."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = faults


def load_settings(**overrides: object) -> Settings:
    """The settings in force: overrides, then environment, then the file of `CSMS_CONFIG_FILE`. Raises WrongSettings."""
    path = os.environ.get(CONFIG_FILE)
    if path is not None:
        _check_file(Path(path))
    try:
        return Settings(_env_file=path, **overrides)  # type: ignore[arg-type]  # checked by pydantic
    except ValidationError as error:
        raise WrongSettings([_fault(one) for one in error.errors() if one["type"] != _FOLLOWS]) from None
    except SettingsError as error:
        name = str(error).partition('"')[2].partition('"')[0]
        raise WrongSettings([f'{PREFIX}{name.upper()}: write a JSON list, as in ["one", "two"]']) from None


def unknown_variables() -> dict[str, str | None]:
    """Variables of the environment that look like settings and are none, each with the one that may be meant."""
    known = [f"{PREFIX}{name.upper()}" for name in Settings.model_fields]
    given = {name.upper(): name for name in os.environ if name.upper().startswith(PREFIX)}
    return {
        name: next(iter(get_close_matches(upper, known, n=1, cutoff=0.8)), None)
        for upper, name in sorted(given.items())
        if upper not in known and upper not in {CONFIG_FILE, SIMULATOR_PASSWORD}
    }


def _check_file(path: Path) -> None:
    try:
        path.read_text(encoding="utf-8")
    except FileNotFoundError:
        reason = "does not exist; create it or unset the variable"
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text in UTF-8"
        reason = f"cannot be read: {why}; it should hold lines like CSMS_API_PORT=8000"
    else:
        return
    raise SystemExit(f"{CONFIG_FILE} names {path}, which {reason}")


def _fault(error: ErrorDetails) -> str:
    name = f"{PREFIX}{'_'.join(map(str, error['loc'])).upper().removeprefix(PREFIX)}"
    if error["type"] == "extra_forbidden":
        return f"{name}: there is no such setting"
    return f"{name}: {error['msg'].removeprefix('Value error, ')}"
