"""S5: what a StatusNotification opens, repeats and resolves; how bad it is; whose clock is believed."""

from datetime import UTC, datetime, timedelta

import pytest

from csms.station.errors.rules import (
    OPEN_ERRORS_MAX,
    Consequences,
    OpenError,
    Report,
    Severity,
    Source,
    began_at,
    believed_time,
    code_to_store,
    consequences,
    read_report,
    severity_of,
)

pytestmark = pytest.mark.feature("S5")

NOW = datetime(2026, 1, 10, 12, tzinfo=UTC)
HOT = OpenError(1, "HighTemperature", None, Severity.CRITICAL)
E7 = OpenError(2, "OtherError", "E7", Severity.WARNING)
VAGUE = OpenError(3, "Faulted", None, Severity.ERROR)


def again(error: OpenError, severity: Severity | None = None) -> OpenError:
    return OpenError(error.id, error.code, error.vendor_code, severity or error.severity, error.repeat_count + 1)


@pytest.mark.parametrize(
    ("report", "open_errors", "expected"),
    [
        pytest.param(Report("NoError"), [], Consequences(), id="all is well at start-up"),
        pytest.param(Report("HighTemperature"), [], Consequences(is_new=True), id="a code opens"),
        pytest.param(Report("HighTemperature"), [HOT], Consequences(repeated=(again(HOT),)), id="the same repeats"),
        pytest.param(Report("GroundFailure"), [HOT], Consequences(is_new=True), id="another one is open beside it"),
        pytest.param(Report("OtherError", "E8"), [E7], Consequences(is_new=True), id="another vendor code is another"),
        pytest.param(Report("NoError"), [HOT, E7], Consequences(ended=(HOT, E7)), id="NoError ends all"),
        pytest.param(Report("NoError", is_faulted=True), [], Consequences(is_new=True), id="a fault without a code"),
        pytest.param(
            Report("NoError", is_faulted=True),
            [HOT, E7],
            Consequences(repeated=(again(HOT), again(E7))),
            id="a fault whose code was told before",
        ),
        pytest.param(
            Report("HighTemperature", is_faulted=True),
            [VAGUE],
            Consequences(is_new=True, displaced=(VAGUE,)),
            id="the code of a fault comes later",
        ),
        pytest.param(
            Report("NoError", is_faulted=True), [E7], Consequences(is_new=True), id="a warning explains no fault"
        ),
        pytest.param(
            Report("OtherError", "E7", is_faulted=True),
            [E7, VAGUE],
            Consequences(repeated=(again(E7, Severity.ERROR),), displaced=(VAGUE,)),
            id="a fault was what a warning had told",
        ),
        pytest.param(
            Report("OtherError", "E7"),
            [E7, VAGUE],
            Consequences(repeated=(again(E7),), ended=(VAGUE,)),
            id="a fault is over, a warning is not",
        ),
        pytest.param(
            Report("OtherError", "E7", is_faulted=True),
            [E7],
            Consequences(repeated=(again(E7, Severity.ERROR),)),
            id="a warning becomes a fault",
        ),
        pytest.param(
            Report("HighTemperature", "E7", info="Error E7 resolved", is_faulted=True),
            [HOT, E7],
            Consequences(repeated=(again(HOT),), ended=(E7,)),
            id="the end of one error told with the code of another",
        ),
        pytest.param(
            Report("NoError", "INFO", info="door opened"), [HOT], Consequences(ended=(HOT,)), id="news without error"
        ),
    ],
)
def test_a_report_opens_repeats_and_ends_errors(
    report: Report, open_errors: list[OpenError], expected: Consequences
) -> None:
    assert consequences(report, open_errors) == expected


def test_a_station_that_counts_up_vendor_codes_displaces_its_oldest_errors() -> None:
    full = [OpenError(number, "OtherError", f"E{number}", Severity.WARNING) for number in range(OPEN_ERRORS_MAX)]
    assert consequences(Report("OtherError", "new"), full) == Consequences(is_new=True, displaced=(full[0],))


@pytest.mark.parametrize(
    ("code", "is_faulted", "expected"),
    [
        ("GroundFailure", False, Severity.CRITICAL),
        ("GroundFailure", True, Severity.CRITICAL),
        ("WeakSignal", False, Severity.WARNING),
        ("WeakSignal", True, Severity.ERROR),
        ("OtherError", False, Severity.WARNING),
        ("Faulted", True, Severity.ERROR),
        ("Offline", False, Severity.ERROR),
        ("SomethingNew", False, Severity.WARNING),
    ],
)
def test_a_charge_point_out_of_order_is_at_least_an_error(code: str, is_faulted: bool, expected: Severity) -> None:
    assert severity_of(code, is_faulted=is_faulted) is expected


@pytest.mark.robustness(34)
@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (None, NOW),
        (NOW - timedelta(hours=3), NOW - timedelta(hours=3)),
        (NOW + timedelta(seconds=1), NOW),
        (NOW - timedelta(days=400), NOW),
        (datetime(1970, 1, 1, tzinfo=UTC), NOW),
    ],
    ids=["no time", "hours ago", "future", "a year ago", "1970"],
)
def test_a_time_that_cannot_be_is_the_time_received(told: datetime | None, expected: datetime) -> None:
    assert believed_time(told, NOW) == expected


def test_our_clock_says_when_an_error_began() -> None:
    earlier = NOW - timedelta(hours=1)
    assert began_at(Source.HARDWARE, earlier, NOW) == NOW
    assert began_at(Source.OFFLINE, earlier, NOW) == earlier


def test_a_report_is_read_from_the_payload_with_empty_texts_left_out() -> None:
    payload = {
        "connectorId": 1,
        "errorCode": "OtherError",
        "status": "Faulted",
        "vendorErrorCode": " ",
        "vendorId": "acme",
        "info": "pump ",
    }
    assert read_report(payload) == Report("OtherError", None, "acme", "pump", is_faulted=True)
    assert code_to_store(Report("NoError", is_faulted=True)) == "Faulted"
