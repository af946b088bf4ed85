"""Makers of firmware for tests: keys, certificates and signatures of images."""

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

BEGIN = datetime(2025, 1, 1, tzinfo=UTC)


def certificate_of(key: Any, *, begin: datetime = BEGIN, days: int = 3650) -> str:
    """A self-signed signing certificate in PEM."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Acme Firmware")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(7).not_valid_before(begin).not_valid_after(begin + timedelta(days=days))
    algorithm = None if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) else SHA256()
    return builder.sign(key, algorithm).public_bytes(Encoding.PEM).decode()


def signature_of(key: Any, image: bytes, *, is_old_style: bool = False) -> str:
    """As makers sign: SHA-256 with RSA-PSS or ECDSA; old style is PKCS#1 v1.5."""
    if isinstance(key, rsa.RSAPrivateKey):
        pss = padding.PSS(padding.MGF1(SHA256()), padding.PSS.DIGEST_LENGTH)
        raw = key.sign(image, padding.PKCS1v15() if is_old_style else pss, SHA256())
    else:
        raw = key.sign(image, ec.ECDSA(SHA256()))
    return base64.b64encode(raw).decode()
