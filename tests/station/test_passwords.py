"""B10: stations' passwords are stored as hashes, accepted in both forms of a 1.6 key, and cheap to check."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from csms.station.information.passwords import PasswordChecker, hashes_for, new_password
from csms.station.information.rules import are_coordinates, identity_fault, password_fault

pytestmark = pytest.mark.feature("B10")
PEPPER = b"pepper for tests"


async def is_right(hashes: list[str], presented: bytes, pepper: bytes = PEPPER) -> bool:
    return await PasswordChecker().check(hashes, presented, pepper)


@pytest.mark.robustness(6)
@pytest.mark.parametrize("is_generated", [True, False])
async def test_the_bytes_and_the_hexadecimal_text_of_a_key_are_the_same_key(is_generated: bool) -> None:
    password = "00ff3a" + "c1" * 17
    hashes = hashes_for(password, PEPPER, is_generated=is_generated)
    assert await is_right(hashes, bytes.fromhex(password))
    assert await is_right(hashes, password.encode())
    assert await is_right(hashes, password.upper().encode())
    assert not await is_right(hashes, bytes.fromhex(password)[:-1])
    assert not await is_right(hashes, bytes.fromhex(password), b"another pepper")


@pytest.mark.robustness(6)
async def test_a_key_given_as_text_may_come_as_hexadecimal_text() -> None:
    hashes = hashes_for("sixteen chars ok", PEPPER, is_generated=False)
    assert await is_right(hashes, b"sixteen chars ok")
    assert await is_right(hashes, b"sixteen chars ok".hex().encode())
    assert not await is_right(hashes, b"sixteen chars oK")


@given(st.binary(min_size=0, max_size=60))
def test_any_bytes_can_be_hashed(key: bytes) -> None:
    [stored] = hashes_for(key, PEPPER, is_generated=True)
    assert stored.startswith("hmac-sha256$")


async def test_hashes_are_salted_and_hide_the_password() -> None:
    password = new_password()
    first, second = (hashes_for(password, PEPPER, is_generated=True) for _ in range(2))
    assert first != second
    assert password not in first[0]


async def test_without_hashes_nothing_is_right() -> None:
    assert not await is_right([], b"")


@pytest.mark.robustness(12)
async def test_a_reconnect_storm_computes_argon2_once() -> None:
    checker = PasswordChecker()
    hashes = await checker.hashes("sixteen chars ok", PEPPER)
    for _ in range(100):
        assert await checker.check(hashes, b"sixteen chars ok", PEPPER)
        assert not await checker.check(hashes, b"a wrong password", PEPPER)
    assert checker.computed == 2


@pytest.mark.robustness(3)
async def test_guesses_do_not_push_out_the_right_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("csms.station.information.passwords._WRONG_VERDICTS_MAX", 2)
    checker = PasswordChecker()
    hashes = await checker.hashes("sixteen chars ok", PEPPER)
    assert await checker.check(hashes, b"sixteen chars ok", PEPPER)
    for number in range(4):
        assert not await checker.check(hashes, b"wrong %d" % number, PEPPER)
    computed = checker.computed
    assert await checker.check(hashes, b"sixteen chars ok", PEPPER)
    assert checker.computed == computed


@pytest.mark.robustness(6)
@pytest.mark.parametrize(
    ("password", "protocol", "is_legal"),
    [
        ("a" * 15, "ocpp1.6", False),
        ("g" * 16, "ocpp1.6", True),
        ("g" * 20, "ocpp1.6", True),
        ("g" * 21, "ocpp1.6", False),
        ("é" * 11, "ocpp1.6", False),
        ("ab" * 15, "ocpp1.6", False),
        ("ab" * 16, "ocpp1.6", True),
        ("ab" * 20, "ocpp1.6", True),
        ("ab" * 21, "ocpp1.6", False),
        ("sixteen\tchars ok", "ocpp1.6", False),
        ("g" * 15, "ocpp2.0.1", False),
        ("g" * 21, "ocpp2.0.1", True),
        ("g" * 64, "ocpp2.1", True),
        ("g" * 65, "ocpp2.1", False),
        ("g" * 41, "ocpp2.0.1", False),
        pytest.param(new_password(), "ocpp1.6", True, id="generated for 1.6"),
        pytest.param(new_password(), "ocpp2.0.1", True, id="generated for 2.x"),
    ],
)
def test_which_passwords_are_legal(password: str, protocol: str, is_legal: bool) -> None:
    assert (password_fault(password, protocol) is None) is is_legal


@pytest.mark.parametrize(
    ("identity", "profile", "is_legal"),
    [
        ("CP-0001", 0, True),
        ("RDAM 123", 1, True),
        ("RDAM|123", 1, True),
        ("A:B", 0, True),
        ("A:B", 1, False),
        ("x" * 48, 0, True),
        ("x" * 49, 0, False),
        ("", 0, False),
        (" x", 0, False),
        ("x ", 0, False),
        ("x\n", 0, False),
        ("..", 0, False),
        ("a/b", 0, False),
        ("ü", 0, False),
    ],
)
def test_which_identities_are_legal(identity: str, profile: int, is_legal: bool) -> None:
    assert (identity_fault(identity, profile) is None) is is_legal


@pytest.mark.parametrize(
    ("latitude", "longitude", "are"),
    [
        (48.1, 11.5, True),
        (-90, 180, True),
        (0, 11.5, True),
        (0, 0, False),
        (90.1, 0, False),
        (0, -180.1, False),
        (float("nan"), 1, False),
        (None, 1, False),
        (1, None, False),
    ],
)
def test_which_coordinates_are_a_place(latitude: float | None, longitude: float | None, are: bool) -> None:
    assert are_coordinates(latitude, longitude) is are
