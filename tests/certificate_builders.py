"""Keys and certificate signing requests as stations make them."""

from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID

NOW = datetime(2026, 1, 1, tzinfo=UTC)
Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey


def ec_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def name(common_name: str | None, organisation: str | None = None) -> x509.Name:
    parts = []
    if common_name is not None:
        parts.append(x509.NameAttribute(NameOID.COMMON_NAME, common_name))
    if organisation is not None:
        parts.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation))
    return x509.Name(parts)


def csr_pem(common_name: str | None, organisation: str | None = None, key: Key | None = None) -> str:
    """A request as a station sends it."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(name(common_name, organisation))
    chosen = key or ec_key()
    csr = builder.sign(chosen, None if isinstance(chosen, ed25519.Ed25519PrivateKey) else hashes.SHA256())
    return csr.public_bytes(serialization.Encoding.PEM).decode()


def pem_of(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def root_certificate(common_name: str = "Some Root", *, days: int = 365, now: datetime = NOW) -> x509.Certificate:
    """A self-signed root of somebody else."""
    return root_with_key(common_name, days=days, now=now)[0]


def root_with_key(
    common_name: str = "Some Root", *, days: int = 365, now: datetime = NOW
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key = ec_key()
    return certificate_of(key, name(common_name), key, name(common_name), days=days, now=now, is_ca=True), key


def certificate_of(
    key: Key,
    subject: x509.Name,
    issuer_key: ec.EllipticCurvePrivateKey,
    issuer: x509.Name,
    *,
    days: int = 365,
    now: datetime = NOW,
    is_ca: bool = False,
) -> x509.Certificate:
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
    )
    return builder.sign(issuer_key, hashes.SHA256())
