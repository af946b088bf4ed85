"""F2: matching, grouping, deciding, limiting and retrying, as pure rules; and the words of the messages."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from csms.fleet.escalation.rules import (
    ATTEMPTS_MAX,
    Conditions,
    EscalationState,
    GroupBy,
    Language,
    Subject,
    decide,
    group_key,
    matches,
    next_attempt,
    pause_s,
    share_out,
)
from csms.fleet.escalation.texts import Entry, Letter, subject_of, text_of, trial_letter

pytestmark = pytest.mark.feature("F2")

NOW = datetime(2026, 1, 10, 2, 30, tzinfo=UTC)
SUBJECT = Subject("OtherError", "E7", "hardware", "error", "Harbour", ("fast", "public"), "CP-0001")


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        (Conditions(), True),
        (Conditions(codes=["OtherError"]), True),
        (Conditions(codes=["GroundFailure", "E7"]), True),
        (Conditions(codes=["GroundFailure"]), False),
        (Conditions(sources=["offline"]), False),
        (Conditions(severities=["error", "critical"]), True),
        (Conditions(sites=["Harbour"]), True),
        (Conditions(sites=["Airport"]), False),
        (Conditions(tags=["public"]), True),
        (Conditions(tags=["private"]), False),
        (Conditions(stations=["CP-0001"]), True),
        (Conditions(stations=["CP-0002"], sites=["Harbour"]), False),
        (Conditions(severities=["error"], sites=["Harbour"], tags=["fast"]), True),
    ],
)
def test_every_part_of_the_conditions_must_fit(conditions: Conditions, expected: bool) -> None:
    assert matches(conditions, SUBJECT) is expected


def test_a_station_without_site_or_tags_matches_no_condition_on_them() -> None:
    bare = replace(SUBJECT, site=None, tags=(), vendor_code=None)
    assert not matches(Conditions(sites=["Harbour"]), bare)
    assert not matches(Conditions(tags=["fast"]), bare)
    assert matches(Conditions(), bare)


@pytest.mark.parametrize(
    ("group_by", "site", "imsi", "iccid", "expected"),
    [
        (GroupBy.ALL, "Harbour", None, None, "all"),
        (GroupBy.NONE, "Harbour", None, None, "error:1"),
        (GroupBy.STATION, "Harbour", None, None, "station:2"),
        (GroupBy.SITE, "Harbour", None, None, "site:Harbour"),
        (GroupBy.SITE, None, None, None, "station:2"),
        (GroupBy.CARRIER, None, "262011234567890", "8949", "carrier:26201"),
        (GroupBy.CARRIER, None, None, "89490200001234567890", "issuer:8949020"),
        (GroupBy.CARRIER, "Harbour", None, None, "station:2"),
    ],
)
def test_errors_share_a_message_by_what_they_have_in_common(
    group_by: GroupBy, site: str | None, imsi: str | None, iccid: str | None, expected: str
) -> None:
    assert group_key(group_by, error_id=1, station_id=2, site=site, imsi=imsi, iccid=iccid) == expected


@pytest.mark.feature("S16")
@pytest.mark.parametrize(
    ("window_ends_in_s", "escalates", "state", "due_in_s"),
    [
        (None, False, EscalationState.WAITING, 300),
        (None, True, EscalationState.WAITING, 300),
        (3600, False, EscalationState.SUPPRESSED, 300),
        (3600, True, EscalationState.WAITING, 3600),
        (60, True, EscalationState.WAITING, 300),
    ],
    ids=["no window", "no window, either way", "inside: never", "inside: at its end", "hold-off outlasts the window"],
)
def test_an_error_inside_a_window_is_never_told_unless_the_rule_says_so(
    window_ends_in_s: int | None, escalates: bool, state: EscalationState, due_in_s: int
) -> None:
    ends_at = None if window_ends_in_s is None else NOW + timedelta(seconds=window_ends_in_s)
    decision = decide(
        hold_off_until=NOW + timedelta(seconds=300), window_ends_at=ends_at, escalates_open_after_window=escalates
    )
    assert (decision.state, decision.due_at) == (state, NOW + timedelta(seconds=due_in_s))
    assert (decision.reason is None) == (ends_at is None)


@pytest.mark.parametrize(
    ("groups", "messages_max", "expected"),
    [
        (["a", "b"], 2, [["a"], ["b"]]),
        (["a", "b", "c", "d"], 2, [["a"], ["b", "c", "d"]]),
        (["a", "b"], 1, [["a", "b"]]),
        (["a"], 0, []),
        (["a"], -3, []),
        ([], 5, []),
    ],
)
def test_what_goes_over_the_limit_shares_the_last_message(
    groups: list[str], messages_max: int, expected: list[list[str]]
) -> None:
    assert share_out(groups, messages_max) == expected


def test_pauses_double_up_to_half_an_hour_and_end_after_a_day() -> None:
    assert [pause_s(number) for number in (1, 2, 3, 6, 7, 5000)] == [30, 60, 120, 960, 1800, 1800]
    assert 22 * 3600 < sum(map(pause_s, range(1, ATTEMPTS_MAX))) < 24 * 3600
    assert next_attempt(1, NOW, is_final=False) == NOW + timedelta(seconds=30)
    assert next_attempt(1, NOW, is_final=True) is None
    assert next_attempt(ATTEMPTS_MAX, NOW, is_final=False) is None


ENTRY = Entry(
    error_id=1,
    station="CP-0001",
    station_name="Quay 3",
    site="Harbour",
    place="Kai 3, 20457 Hamburg",
    charge_point_number=2,
    code="GroundFailure",
    vendor_code="E7",
    info="leak",
    severity="critical",
    source="hardware",
    since=NOW - timedelta(minutes=12),
    resolved_at=None,
    repeat_count=3,
    url="http://127.0.0.1:8000/api/v1/stations/CP-0001/errors/1",
)
LETTER = Letter(
    rule_name="Night shift",
    is_all_clear=False,
    entries=[ENTRY],
    error_count=1,
    station_count=1,
    hold_off_s=300,
    now=NOW,
)


def test_a_mail_says_what_where_since_when_what_was_done_and_where_to_look() -> None:
    assert subject_of(LETTER, Language.ENGLISH) == "Critical: CP-0001 Quay 3, charge point 2: GroundFailure"
    assert text_of(LETTER, Language.ENGLISH, "Europe/Berlin") == (
        "What:        Critical: ground fault: the residual current protection has tripped "
        "(GroundFailure, maker's code E7, «leak»)\n"
        "Where:       CP-0001 Quay 3, charge point 2, Harbour, Kai 3, 20457 Hamburg\n"
        "Since:       2026-01-10 03:18 (Europe/Berlin) (12 min)\n"
        "To do:       keep it out of use until an electrician has looked at it\n"
        "Done so far: waited 5 min whether it ends by itself; no maintenance window is active; "
        "repeats by the station: 3\n"
        "More:        http://127.0.0.1:8000/api/v1/stations/CP-0001/errors/1\n"
        "\n"
        "You get this because of the escalation rule «Night shift».\n"
    )


def test_many_errors_are_one_mail_with_the_worst_first_and_the_rest_counted() -> None:
    offline = replace(ENTRY, code="Offline", severity="error", charge_point_number=0, station="CP-0002")
    letter = replace(LETTER, entries=[offline, offline, ENTRY], error_count=90, station_count=80, limit_free_at=NOW)
    assert subject_of(letter, Language.ENGLISH) == "Critical: 90 errors at 80 stations at Harbour: Offline"
    text = text_of(letter, Language.ENGLISH, "UTC")
    assert text.count("What:") == 3
    assert "… and 87 more." in text
    assert "hourly limit" in text


def test_an_all_clear_says_when_it_ended() -> None:
    letter = replace(LETTER, is_all_clear=True, entries=[replace(ENTRY, resolved_at=NOW)], now=NOW + timedelta(hours=1))
    assert subject_of(letter, Language.GERMAN) == "Entwarnung: CP-0001 Quay 3, Ladepunkt 2: GroundFailure"
    text = text_of(letter, Language.GERMAN, "UTC")
    assert "Beendet: 2026-01-10 02:30 (UTC)" in text
    assert "(12 min)" in text
    assert "Bisher getan" not in text
    assert "Zu tun" not in text


def test_what_a_component_tells_is_said_in_words() -> None:
    told = replace(ENTRY, code="ElectricalFeed.Problem", vendor_code=None, info=None)
    text = text_of(replace(LETTER, entries=[told]), Language.ENGLISH, "UTC")
    assert "the component ElectricalFeed tells Problem (ElectricalFeed.Problem)\n" in text


@pytest.mark.robustness(41)
def test_texts_of_stations_stay_on_their_line() -> None:
    nasty = replace(ENTRY, station_name="x\r\nBcc: all@example.com", info="a\nMore: http://bad\x1b[31m" + "y" * 2000)
    letter = replace(LETTER, entries=[nasty], rule_name="a\nb")
    for language in Language:
        assert subject_of(letter, language).isprintable()
        lines = text_of(letter, language, "UTC").splitlines()
        assert len(lines) == 8
        assert max(map(len, lines)) < 700
    assert trial_letter("a\r\nb", Language.ENGLISH)[0] == "Test of the escalation rule «a b»"


def test_every_language_has_words_for_the_same_codes() -> None:
    for code in ("GroundFailure", "Offline", "Faulted", "OtherError", "SomethingNew"):
        english, german = (
            text_of(replace(LETTER, entries=[replace(ENTRY, code=code)]), language, "UTC") for language in Language
        )
        assert code in english
        assert code in german
        assert english != german
