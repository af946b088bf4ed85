import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.v16.configuration import RULES, Configuration

pytestmark = pytest.mark.feature("F5")

KEY = "0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize(
    ("key", "value", "status"),
    [
        pytest.param("HeartbeatInterval", "30", "Accepted", id="a number"),
        pytest.param("heartbeatinterval", "30", "Accepted", id="keys have no case"),
        pytest.param("HeartbeatInterval", "-1", "Rejected", id="negative"),
        pytest.param("HeartbeatInterval", "99999999999999", "Rejected", id="too large"),
        pytest.param("HeartbeatInterval", "\u0663", "Rejected", id="digits of another script"),
        pytest.param("LocalPreAuthorize", "TRUE", "Accepted", id="a flag"),
        pytest.param("LocalPreAuthorize", "yes", "Rejected", id="no flag"),
        pytest.param("MeterValuesSampledData", "Voltage, SoC", "Accepted", id="measurands"),
        pytest.param("MeterValuesSampledData", "Voltage,RPM", "Rejected", id="a measurand it cannot measure"),
        pytest.param("NumberOfConnectors", "9", "Rejected", id="read only"),
        pytest.param("WebSocketPingInterval", "10", "RebootRequired", id="needs a reboot"),
        pytest.param("AuthorizationKey", KEY, "Accepted", id="a key of 16 bytes"),
        pytest.param("AuthorizationKey", "0123", "Rejected", id="a short key"),
        pytest.param("AuthorizationKey", KEY + "0011223344", "Rejected", id="a key of 21 bytes"),
        pytest.param("AuthorizationKey", "no hex at all, really", "Rejected", id="no hex"),
        pytest.param("Colour", "red", "NotSupported", id="unknown"),
    ],
)
def test_changes_are_answered_by_what_the_key_may_hold(key: str, value: str, status: str) -> None:
    configuration = Configuration()
    before = dict(configuration._stored)
    assert configuration.change(key, value) == status
    if status in ("Rejected", "NotSupported"):
        assert configuration._stored == before


def test_what_needs_a_reboot_is_shown_at_once_and_used_after_it() -> None:
    configuration = Configuration()
    configuration.change("WebSocketPingInterval", "10")
    assert configuration.read(["WebSocketPingInterval"])[0][0]["value"] == "10"
    assert configuration.integer("WebSocketPingInterval") == 60
    configuration.reboot()
    assert configuration.integer("WebSocketPingInterval") == 10


def test_reading_names_known_and_unknown_keys_and_never_a_secret() -> None:
    configuration = Configuration()
    configuration.change("AuthorizationKey", KEY)
    known, unknown = configuration.read(["AUTHORIZATIONKEY", "NumberOfConnectors", "Colour"])
    assert known == [
        {"key": "AuthorizationKey", "readonly": False},
        {"key": "NumberOfConnectors", "readonly": True, "value": "1"},
    ]
    assert unknown == ["Colour"]
    assert KEY not in str(configuration.read([]))
    assert len(configuration.read([])[0]) == len(RULES)


@given(st.sampled_from(sorted(RULES)), st.text(max_size=60))
def test_no_value_breaks_what_reads_it(key: str, value: str) -> None:
    configuration = Configuration()
    configuration.change(key, value)
    configuration.reboot()
    default = RULES[key].default
    if default.isdigit():
        assert configuration.integer(key) >= 0
    if default in ("true", "false"):
        assert configuration.flag(key) in (True, False)


def test_a_key_that_does_not_exist_cannot_be_built_in() -> None:
    with pytest.raises(KeyError):
        Configuration({"Colour": "red"})
