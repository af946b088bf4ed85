"""F5: firmware that a simulated station really fetches, checks and starts (1.6, 6.19; 2.0.1, L01, L02)."""

import base64
import binascii
import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from simulators import transfers
from simulators.certificates import MANUFACTURER_ROOT, CertificateStore, read
from simulators.clock import Clock

INSTALL_S: Final = 20.0
WAIT_FOR_IDLE_S: Final = 60.0
MAX_RETRIES: Final = 10
STATUSES_16: Final = frozenset(
    {"Downloading", "Downloaded", "DownloadFailed", "Installing", "Installed", "InstallationFailed"}
)
"""What 1.6 has words for without the security extension (OCPP 1.6, 7.25)."""
_VERSION: Final = re.compile(rb"version[\"']?\s*[:=]?\s*[\"']?([0-9A-Za-z][0-9A-Za-z._+-]{0,48})", re.IGNORECASE)
_IN_NAME: Final = re.compile(r"([0-9]+(?:[._-][0-9]+)+)")


@dataclass(frozen=True, slots=True)
class Order:
    """What the CSMS wants: fetch this, then, and start it, then. Without a signature nothing is checked."""

    location: str
    retrieve_at: datetime
    install_at: datetime | None = None
    retries: int = 0
    retry_interval_s: float = 0.0
    certificate: str | None = None
    signature: str | None = None
    request_id: int | None = None


class Host(Protocol):
    """What a station lends to the update."""

    clock: Clock
    certificates: CertificateStore

    def on_network(self) -> Any: ...

    def note(self, what: str) -> None: ...

    def tell_security(self, kind: str, info: str = "") -> None: ...

    def is_busy_charging(self) -> bool: ...

    def start_firmware(self, version: str) -> None:
        """Reboot with it; `Installed` is told after the boot."""


@dataclass(slots=True)
class Update:
    """One update under way; `report` tells the CSMS a FirmwareStatus of 2.x."""

    order: Order
    host: Host
    report: Callable[[str], None]
    status: str = "Idle"

    async def run(self) -> None:
        """Everything from the download to the reboot."""
        order, host = self.order, self.host
        await self._wait_until(order.retrieve_at, "DownloadScheduled")
        body = await self._fetch()
        if body is None:
            self._tell("DownloadFailed")
            return
        self._tell("Downloaded")
        if order.signature is not None:
            if not is_signed(body, order.signature, order.certificate or ""):
                self._tell("InvalidSignature")
                host.tell_security("InvalidFirmwareSignature", order.location.rpartition("/")[2])
                return
            self._tell("SignatureVerified")
        if order.install_at is not None:
            await self._wait_until(order.install_at, "InstallScheduled")
        await self._wait_for_idle()
        await self._install(body)

    async def _install(self, body: bytes) -> None:
        host = self.host
        self._tell("Installing")
        await host.clock.sleep(INSTALL_S)
        if is_broken(body):
            self._tell("InstallationFailed")
            return
        version = version_of(body, self.order.location.rpartition("/")[2])
        host.note(f"firmware {version} is installed, sha256 {hashlib.sha256(body).hexdigest()}")
        self._tell("InstallRebooting")
        host.start_firmware(version)

    async def _wait_until(self, at: datetime, status: str) -> None:
        wait_s = (at - self.host.clock.now()).total_seconds()
        if wait_s > 0:
            self._tell(status)
            await self.host.clock.sleep(wait_s)

    async def _wait_for_idle(self) -> None:
        """Nobody's charge is ended for new firmware (L01.FR.06)."""
        while self.host.is_busy_charging():
            if self.status != "InstallScheduled":
                self._tell("InstallScheduled")
            await self.host.clock.sleep(WAIT_FOR_IDLE_S)

    async def _fetch(self) -> bytes | None:
        for attempt in range(min(self.order.retries, MAX_RETRIES) + 1):
            if attempt:
                await self.host.clock.sleep(self.order.retry_interval_s)
            self._tell("Downloading")
            try:
                with self.host.on_network():
                    return await transfers.download(self.order.location)
            except transfers.TransferError as error:
                self.host.note(f"download failed: {error}")
        return None

    def _tell(self, status: str) -> None:
        self.status = status
        self.host.note(f"firmware update: {status}")
        self.report(status)


def certificate_fault(store: CertificateStore, pem: str, now: datetime) -> str | None:
    """Why a signing certificate is not trusted, None when it is (L01.FR.02)."""
    certificates = read(pem)
    return store.doubt(certificates, now, MANUFACTURER_ROOT) if certificates else "NoCertificate"


def is_signed(body: bytes, signature: str, pem: str) -> bool:
    """Whether the maker signed this file: SHA-256 with RSA (PSS, or the older padding) or ECDSA (L01.FR.11)."""
    certificates = read(pem)
    try:
        raw = base64.b64decode(signature, validate=True)
    except binascii.Error:
        return False
    return bool(certificates) and _verifies(certificates[0], raw, body)


def _verifies(certificate: x509.Certificate, signature: bytes, body: bytes) -> bool:
    key = certificate.public_key()
    if isinstance(key, ec.EllipticCurvePublicKey):
        return _holds(lambda: key.verify(signature, body, ec.ECDSA(hashes.SHA256())))
    if not isinstance(key, rsa.RSAPublicKey):
        return False
    pss = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.AUTO)
    return any(
        _holds(lambda way=way: key.verify(signature, body, way, hashes.SHA256()))  # type: ignore[misc]
        for way in (pss, padding.PKCS1v15())
    )


def _holds(verify: Callable[[], None]) -> bool:
    try:
        verify()
    except InvalidSignature:
        return False
    return True


def is_broken(body: bytes) -> bool:
    """Whether an image cannot be started: it is empty, or says of itself that it is corrupt (for tests and demos)."""
    return not body or body.startswith(b"CORRUPT")


def version_of(body: bytes, name: str) -> str:
    """The version that an image tells near its beginning, that of its name, or one made of its hash."""
    told = _VERSION.search(body[:500])
    if told is not None:
        return told[1].decode("ascii")
    named = _IN_NAME.search(name)
    return named[1] if named is not None else f"build-{hashlib.sha256(body).hexdigest()[:8]}"
