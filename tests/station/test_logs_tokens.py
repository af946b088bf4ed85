"""S10: tokens, lists and reservations of every version in the operator's words, never with a whole token."""

from typing import Any

import pytest

from csms.station.logs import Exchange, describe
from csms.wording import Level

pytestmark = pytest.mark.feature("S10", "S27", "S9")
UID = "04A2B3C41234"
CARD = {"idToken": {"idToken": UID, "type": "ISO14443"}}


def _told(action: str, request: dict[str, Any], answer: dict[str, Any] | None = None) -> tuple[str, Level]:
    words = describe(Exchange(action, from_station=True, outcome="answered", request=request, answer=answer or {}))
    assert UID not in str(words)
    return words.text, words.level


def _asked(action: str, request: dict[str, Any], answer: dict[str, Any]) -> str:
    words = describe(Exchange(action, from_station=False, outcome="answered", request=request, answer=answer))
    assert UID not in str(words)
    return words.text


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"idTokenInfo": {"status": "Accepted"}}, ("Card …1234 was accepted.", Level.INFO)),
        ({"idTokenInfo": {"status": "Unknown"}}, ("Card …1234 was refused: it is unknown.", Level.WARNING)),
        ({"idTokenInfo": {"status": "NoCredit"}}, ("Card …1234 was refused: it has no credit.", Level.WARNING)),
        (
            {"idTokenInfo": {"status": "NotAtThisTime"}},
            ("Card …1234 was refused: it may not charge now.", Level.WARNING),
        ),
        (
            {"idTokenInfo": {"status": "NotAtThisLocation"}},
            ("Card …1234 was refused: it may not charge here.", Level.WARNING),
        ),
    ],
)
def test_a_verdict_of_2_x(answer: dict[str, Any], expected: tuple[str, Level]) -> None:
    assert _told("Authorize", CARD, answer) == expected


def test_a_contract_whose_certificate_is_no_good() -> None:
    contract = {"idToken": {"idToken": UID, "type": "eMAID"}}
    answer = {"idTokenInfo": {"status": "Invalid"}, "certificateStatus": "CertificateRevoked"}
    expected = "Contract …1234 was refused: the vehicle's contract certificate was revoked."
    assert _told("Authorize", contract, answer) == (expected, Level.WARNING)


@pytest.mark.parametrize(
    ("request_", "text"),
    [
        (
            {"connectorId": 2, "expiryDate": "2027-01-01T12:00:00Z", "idTag": UID, "reservationId": 7},
            "Asked to reserve charge point 2 for card …1234 until 2027-01-01T12:00:00Z",
        ),
        (
            {"id": 7, "expiryDateTime": "2027-01-01T12:00:00Z", "evseId": 2, **CARD},
            "Asked to reserve charge point 2 for card …1234 until 2027-01-01T12:00:00Z",
        ),
        (
            {"id": 7, "expiryDateTime": "2027-01-01T12:00:00Z", "connectorType": "cCCS2", **CARD},
            "Asked to reserve any charge point with the plug cCCS2 for card …1234 until 2027-01-01T12:00:00Z",
        ),
    ],
)
def test_a_reservation_that_is_asked_for(request_: dict[str, Any], text: str) -> None:
    assert _asked("ReserveNow", request_, {"status": "Accepted"}).startswith(text)


def test_a_reservation_that_the_station_gave_up() -> None:
    update = {"reservationId": 7, "reservationUpdateStatus": "Removed"}
    text, level = _told("ReservationStatusUpdate", update)
    assert text.startswith("Reservation 7 was given up by the station")
    assert level is Level.WARNING
    assert _told("ReservationStatusUpdate", update | {"reservationUpdateStatus": "Expired"})[1] is Level.INFO


def test_a_list_of_either_version() -> None:
    item = {**CARD, "idTokenInfo": {"status": "Accepted"}}
    request = {"localAuthorizationList": [item], "versionNumber": 4, "updateType": "Differential"}
    text = _asked("SendLocalList", request, {"status": "Accepted"})
    assert text.startswith("Asked to take changes to its card list (version 4, 1 cards)")
    assert _asked("GetLocalListVersion", {}, {"versionNumber": 4}).endswith("version 4.")
    assert _asked("GetLocalListVersion", {}, {"listVersion": -1}).endswith("it has no card list.")
