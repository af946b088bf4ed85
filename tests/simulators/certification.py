"""A certification authority for tests: a root that signs stations' requests and makers' firmware certificates."""

import base64
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import NameOID

STARTS = datetime(2026, 1, 1, tzinfo=UTC)


def name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


class Authority:
    def __init__(self, title: str = "Test Root", days: int = 3_650) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.certificate = self._sign(name(title), name(title), self.key.public_key(), days, is_ca=True)

    @property
    def pem(self) -> str:
        return pem(self.certificate)

    def issue(self, csr: str, days: int = 365) -> str:
        request = x509.load_pem_x509_csr(csr.encode())
        assert request.is_signature_valid
        subject = self.certificate.subject
        return pem(self._sign(request.subject, subject, request.public_key(), days, is_ca=False))

    def firmware_signer(self, kind: str = "ec") -> tuple[str, "Signer"]:
        key = rsa.generate_private_key(65_537, 2_048) if kind != "ec" else ec.generate_private_key(ec.SECP256R1())
        certificate = self._sign(name("Maker"), self.certificate.subject, key.public_key(), 365, is_ca=False)
        return pem(certificate), Signer(key, kind)

    def _sign(self, subject: x509.Name, issuer: x509.Name, key: object, days: int, *, is_ca: bool) -> x509.Certificate:
        builder = x509.CertificateBuilder(
            issuer_name=issuer,
            subject_name=subject,
            public_key=key,  # type: ignore[arg-type]
            serial_number=x509.random_serial_number(),
            not_valid_before=STARTS,
            not_valid_after=STARTS + timedelta(days=days),
        ).add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
        return builder.sign(self.key, hashes.SHA256())


class Signer:
    def __init__(self, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, kind: str) -> None:
        self._key = key
        self._kind = kind

    def sign(self, body: bytes) -> str:
        if isinstance(self._key, ec.EllipticCurvePrivateKey):
            return base64.b64encode(self._key.sign(body, ec.ECDSA(hashes.SHA256()))).decode()
        pss = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.MAX_LENGTH)
        way = pss if self._kind == "pss" else padding.PKCS1v15()
        return base64.b64encode(self._key.sign(body, way, hashes.SHA256())).decode()


def pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()
