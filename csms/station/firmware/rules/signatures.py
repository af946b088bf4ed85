"""S24: signed images (OCPP 1.6 security whitepaper, 5.17; 2.0.1 L01): SHA-256 with RSA-PSS or ECDSA."""

import base64
import binascii
from datetime import datetime
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256

RSA_BITS_MIN: Final = 2048
_SHA256: Final = Prehashed(SHA256())  # type: ignore[no-untyped-call,unused-ignore]  # typed since cryptography 45


class SignatureFault(ValueError):
    """Why a certificate or signature cannot be used, in words."""


def signature_bytes(text: str) -> bytes:
    """Raises SignatureFault for what is no Base64."""
    try:
        found = base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise SignatureFault("the signature is no Base64") from error
    if not found:
        raise SignatureFault("the signature is empty")
    return found


def check_certificate(pem: str, now: datetime) -> x509.Certificate:
    """The signing certificate (of a chain the first one). Raises SignatureFault for one that is of no use."""
    try:
        certificate = x509.load_pem_x509_certificates(pem.encode())[0]
        key = certificate.public_key()
    except (ValueError, IndexError, UnsupportedAlgorithm) as error:
        raise SignatureFault(
            "the signing certificate is no X.509 certificate in PEM (-----BEGIN CERTIFICATE-----)"
        ) from error
    if now >= certificate.not_valid_after_utc:
        raise SignatureFault(f"the signing certificate ended at {certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC")
    if now < certificate.not_valid_before_utc:
        raise SignatureFault(f"the signing certificate begins at {certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC")
    if isinstance(key, rsa.RSAPublicKey):
        if key.key_size < RSA_BITS_MIN:
            raise SignatureFault(
                f"the signing certificate's RSA key has {key.key_size} bits; OCPP needs {RSA_BITS_MIN}"
            )
    elif not isinstance(key, ec.EllipticCurvePublicKey):
        raise SignatureFault("the signing certificate has neither an RSA nor an elliptic-curve key")
    return certificate


def check_signature(certificate: x509.Certificate, signature: bytes, sha256: str) -> None:
    """Raises SignatureFault unless the signature is that key's over an image with that SHA-256 (hexadecimal)."""
    digest = bytes.fromhex(sha256)
    key = certificate.public_key()
    try:
        if isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature, digest, ec.ECDSA(_SHA256))
            return
        assert isinstance(key, rsa.RSAPublicKey)  # noqa: S101  # check_certificate lets no other pass
        key.verify(signature, digest, padding.PSS(padding.MGF1(SHA256()), padding.PSS.AUTO), _SHA256)
    except InvalidSignature:
        hint = "; it is PKCS#1 v1.5, but OCPP demands RSA-PSS" if _is_old_style(key, signature, digest) else ""
        raise SignatureFault(f"the signature does not fit the image and the certificate{hint}") from None


def _is_old_style(key: object, signature: bytes, digest: bytes) -> bool:
    if not isinstance(key, rsa.RSAPublicKey):
        return False
    try:
        key.verify(signature, digest, padding.PKCS1v15(), _SHA256)
    except InvalidSignature:
        return False
    return True
