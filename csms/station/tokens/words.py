"""S27: cards and other tokens that ask whether they may charge, in words."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from csms.wording import Level, Payload, Tell, Words, card_of, sentence, status_of

_REFUSALS: Final[Mapping[str, tuple[str, str, str]]] = {
    "Blocked": (
        "it is blocked",
        "The card is blocked in the list of tokens.",
        "Unblock it if its holder may charge.",
    ),
    "Expired": ("it has expired", "The card's last day has passed.", "Prolong it if its holder may charge."),
    "Invalid": (
        "it is unknown",
        "The card is not in the list of tokens, or may not charge here.",
        "Add the card if its holder may charge.",
    ),
    "ConcurrentTx": (
        "it is charging elsewhere",
        "The card may charge at one place at a time, and another charge of it is running.",
        "Stop the other charge if it was forgotten.",
    ),
    "Unknown": ("it is unknown", "The token is not in the list of tokens.", "Add it if its holder may charge."),
    "NoCredit": ("it has no credit", "There is nothing left to pay with.", "Mark it when credit is there again."),
    "NotAllowedTypeEVSE": (
        "it may not charge at this charge point",
        "The token is tied to other charge points of the station.",
        "Change where it may charge if its holder may charge here.",
    ),
    "NotAtThisLocation": (
        "it may not charge here",
        "The token is tied to other stations.",
        "Change where it may charge if its holder may charge here.",
    ),
    "NotAtThisTime": (
        "it may not charge now",
        "The token is not valid yet, or the charge point is reserved for somebody else.",
        "Look at the token's first day and the station's reservations.",
    ),
}
_CHAINS: Final[Mapping[str, str]] = {
    "CertificateExpired": "the vehicle's contract certificate has expired",
    "CertificateRevoked": "the vehicle's contract certificate was revoked",
    "CertChainError": "the vehicle's contract certificate could not be verified",
    "ContractCancelled": "the vehicle's contract is not accepted any more",
}


def refusal_of(answer: Payload) -> Words | None:
    """Why the card that a station asked about may not charge; None if it may."""
    info = answer.get("idTagInfo") or answer.get("idTokenInfo")
    status = status_of(info) if isinstance(info, Mapping) else "Accepted"
    if status == "Accepted":
        return None
    unknown = f"«{status}»", "The answer is not one that OCPP knows.", "Look at the raw frame."
    short, why, what = _REFUSALS.get(status, unknown)
    return Words(short, Level.WARNING, why, what)


def _authorize(request: Payload, answer: Payload) -> Words:
    refusal = refusal_of(answer)
    if refusal is None:
        return Words(sentence(f"{card_of(request)} was accepted."))
    short, why = refusal.text, refusal.why
    chain = _CHAINS.get(str(answer.get("certificateStatus")))
    if chain is not None:
        short, why = chain, f"{sentence(chain)}."
    return replace(refusal, text=sentence(f"{card_of(request)} was refused: {short}."), why=why)


WORDS = (Tell("Authorize", _authorize),)
