"""Certificate authorities, certificates and TLS clients for tests, made by trustme."""

import ssl
import warnings
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import trustme

from csms.config import Settings

OPERATOR = "Example Charging"


KINDS = (trustme.KeyType.ECDSA, trustme.KeyType.RSA)


@cache
def _authorities() -> tuple[trustme.CA, trustme.CA, dict[str, bytes]]:
    """Both authorities and the first certificates, made once: RSA keys take their time."""
    servers = trustme.CA()
    return servers, trustme.CA(organization_name="Example Charging Station CA"), _issued(servers)


def _issued(servers: trustme.CA) -> dict[str, bytes]:
    certificates = {kind.name: servers.issue_cert("127.0.0.1", key_type=kind) for kind in KINDS}
    return {name: one.private_key_and_cert_chain_pem.bytes() for name, one in certificates.items()}


class Authorities:
    """An operator's two authorities: one for this system's certificates, one for the stations'."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.servers, self.stations, certificates = _authorities()
        self._write(certificates)
        self.stations.cert_pem.write_to_path(str(folder / "stations.pem"))

    def renew_server(self) -> None:
        """Put new certificates, an ECDSA and an RSA one, in the place of the old."""
        self._write(_issued(self.servers))

    def _write(self, certificates: dict[str, bytes]) -> None:
        for name, pem in certificates.items():
            (self.folder / f"{name}.pem").write_bytes(pem)

    def settings(self, settings: Settings, **more: object) -> Settings:
        """The settings with a TLS port on these authorities."""
        return settings.model_copy(
            update={
                "broker_tls_port": 0,
                "tls_chain_files": [self.folder / "ECDSA.pem", self.folder / "RSA.pem"],
                "tls_client_ca_files": [self.folder / "stations.pem"],
                "operator_name": OPERATOR,
                "login_refusal_s": 0.0,
                "probe_timeout_s": 0.2,
                **more,
            }
        )

    def client(
        self, common_name: str | None = None, *, by: trustme.CA | None = None, organisation: str = OPERATOR
    ) -> ssl.SSLContext:
        """A station's context, with a client certificate of that name if one is given."""
        context = ssl.create_default_context()
        self.servers.configure_trust(context)
        if common_name is not None:
            issuer = by or self.stations
            issuer.issue_cert(common_name=common_name, organization_name=organisation).configure_cert(context)
        return context

    def expired_client(self, common_name: str) -> ssl.SSLContext:
        """A station's context with a certificate that was valid until 2020."""
        context = self.client()
        certificate = self.stations.issue_cert(
            common_name=common_name,
            organization_name=OPERATOR,
            not_before=datetime(2019, 1, 1, tzinfo=UTC),
            not_after=datetime(2020, 1, 1, tzinfo=UTC),
        )
        certificate.configure_cert(context)
        return context


def only_tls_1_1(context: ssl.SSLContext) -> ssl.SSLContext:
    """The context of a station that is ten years old."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # that is the point
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    return context


def only_suite(context: ssl.SSLContext, suite: str) -> ssl.SSLContext:
    """A station that speaks TLS 1.2 with that one suite."""
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(suite)
    return context
