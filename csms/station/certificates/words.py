"""B10: certificates of stations and cars in words."""

from collections import Counter

from csms.wording import DONE, Ask, Example, Level, Payload, Tell, Words, items_of, said, status_of, within


def _why(answer: Payload) -> str | None:
    """The reason that an answer of 2.x gives."""
    info = within(answer, "statusInfo")
    return said(info.get("additionalInfo") or info.get("reasonCode") or "") or None


def _sign(request: Payload, answer: Payload) -> Words:
    is_v2g = str(request.get("certificateType", "")).startswith("V2G")
    what = "a new certificate for cars (V2G)" if is_v2g else "a new certificate"
    if answer.get("status") == "Accepted":
        return Words(f"The station asked for {what}; it will get one.")
    why = _why(answer) or "The list of certificate requests says why."
    text = f"The station asked for {what} and was refused."
    return Words(text, Level.WARNING, why, "Look at the station's certificate requests.")


def _status(_request: Payload, answer: Payload) -> Words:
    text = "The station asked whether a car's certificate is still valid"
    if answer.get("status") == "Accepted":
        return Words(f"{text}; it got the answer of the certificate's issuer.")
    what = "Allow the issuer's host in the settings if cars of that issuer charge here."
    return Words(f"{text}; nobody could tell.", Level.WARNING, _why(answer), what)


def _chain_status(_request: Payload, answer: Payload) -> Words:
    words = Counter(status_of(one) for one in items_of(answer, "certificateStatus"))
    told = ", ".join(f"{count} {word.lower()}" for word, count in sorted(words.items()))
    level = Level.INFO if set(words) <= {"Good"} else Level.WARNING
    return Words(f"The station asked whether a car's certificates are still valid: {told or 'no answer'}.", level)


def _contract(request: Payload, answer: Payload) -> Words:
    wish = "to renew its contract certificate" if request.get("action") == "Update" else "for its contract certificate"
    if answer.get("status") == "Accepted":
        return Words(f"A car asked {wish} and got one.")
    what = "Name a provider of contract certificates in the settings, or let the driver use a card."
    return Words(f"A car asked {wish} and got none.", Level.WARNING, _why(answer), what)


WORDS = (
    Tell("Get15118EVCertificate", _contract),
    Tell("GetCertificateChainStatus", _chain_status),
    Tell("GetCertificateStatus", _status),
    Tell("SignCertificate", _sign),
    Ask("CertificateSigned", "use its new certificate", {"Accepted": DONE}),
    Ask("DeleteCertificate", "delete a certificate", {"Accepted": DONE}),
    Ask("GetInstalledCertificateIds", "list its certificates", {"Accepted": DONE}),
    Ask("InstallCertificate", "install a root certificate", {"Accepted": DONE}),
)

EXAMPLES = (
    Example(
        "CertificateSigned",
        "Hand over the signed certificate that the station asked for",
        v16={"certificateChain": "-----BEGIN CERTIFICATE-----\nMIIB…\n-----END CERTIFICATE-----"},
        v2={
            "certificateChain": "-----BEGIN CERTIFICATE-----\nMIIB…\n-----END CERTIFICATE-----",
            "certificateType": "ChargingStationCertificate",
        },
    ),
    Example(
        "DeleteCertificate",
        "Delete an installed certificate",
        v16={
            "certificateHashData": {
                "hashAlgorithm": "SHA256",
                "issuerNameHash": "a3f1",
                "issuerKeyHash": "77c2",
                "serialNumber": "0123",
            }
        },
        v2={
            "certificateHashData": {
                "hashAlgorithm": "SHA256",
                "issuerNameHash": "2c1f6b2ee7a0c7e7d8b0d5c3c6bb1a3c64c6b8a6f94f3f5f1a64d7fbb44d8e11",
                "issuerKeyHash": "77c2a9f33e62bd1e6b1d3b8f5a6c1de93f2b7c4d5e6f708192a3b4c5d6e7f809",
                "serialNumber": "4a3f",
            }
        },
    ),
    Example(
        "GetInstalledCertificateIds",
        "List the installed certificates",
        v16={"certificateType": "CentralSystemRootCertificate"},
        v2={"certificateType": ["CSMSRootCertificate"]},
    ),
    Example(
        "InstallCertificate",
        "Install a root certificate",
        v16={
            "certificateType": "CentralSystemRootCertificate",
            "certificate": "-----BEGIN CERTIFICATE-----\nMIIB…\n-----END CERTIFICATE-----",
        },
        v2={
            "certificateType": "CSMSRootCertificate",
            "certificate": "-----BEGIN CERTIFICATE-----\nMIIB…\n-----END CERTIFICATE-----",
        },
    ),
)
