from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from csms.ocpp.timestamps import Flag, read, write

pytestmark = pytest.mark.feature("B8")

EARLIEST, LATEST = datetime(2, 1, 1), datetime(9998, 1, 1)  # noqa: DTZ001 hypothesis adds the zones itself
NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "at", "flags"),
    [
        ("2026-01-01T00:00:00Z", NEW_YEAR, set()),
        ("2026-01-01T00:00:00.000Z", NEW_YEAR, set()),
        ("2026-01-01T01:30:00.250+01:30", NEW_YEAR + timedelta(milliseconds=250), set()),
        ("2025-12-31T23:00:00-01:00", NEW_YEAR, set()),
        ("2026-01-01T00:00:00", NEW_YEAR, {Flag.NO_ZONE}),
        ("2026-01-01T00:00:00.5", NEW_YEAR + timedelta(milliseconds=500), {Flag.NO_ZONE}),
        ("2026-01-01T00:00Z", NEW_YEAR, {Flag.NO_SECONDS}),
        ("2026-01-01T01:00:00+0100", NEW_YEAR, {Flag.SHORT_ZONE}),
        ("2026-01-01T01:00:00+01", NEW_YEAR, {Flag.SHORT_ZONE}),
        ("2026-01-01T00:00:00,5Z", NEW_YEAR + timedelta(milliseconds=500), {Flag.COMMA}),
        ("2026-01-01T00:00:00.123456789Z", NEW_YEAR + timedelta(microseconds=123456), {Flag.LONG_FRACTION}),
        ("2025-12-31T24:00:00Z", NEW_YEAR, {Flag.END_OF_DAY}),
        ("2025-12-31T23:59:60Z", NEW_YEAR, {Flag.LEAP_SECOND}),
        ("2026-01-01 00:00:00Z", NEW_YEAR, {Flag.LOOSE}),
        (" 2026-1-1T0:00:00z ", NEW_YEAR, {Flag.LOOSE}),
        ("2026-01-01T00:00:00.Z", NEW_YEAR, {Flag.LOOSE}),
        ("2026-01-01 00:00 UTC", NEW_YEAR, {Flag.LOOSE, Flag.NO_SECONDS}),
    ],
)
def test_a_time_is_read_and_what_was_odd_is_flagged(text: str, at: datetime, flags: set[Flag]) -> None:
    reading = read(text)
    assert reading is not None
    assert reading.at == at
    assert reading.at.tzinfo is UTC
    assert reading.flags == flags


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2026-01-01",
        "12:00:00",
        "2026-02-30T00:00:00Z",
        "0000-00-00T00:00:00Z",
        "2026-01-01T25:00:00Z",
        "2026-01-01T24:00:01Z",
        "2026-01-01T00:61:00Z",
        "2026-01-01T00:00:61Z",
        "2026-01-01T00:00:00+24:00",
        "2026-01-01T00:00:00+01:60",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T24:00:00Z",
        "٢٠٢٦-01-01T00:00:00Z",
        "2026-01-01T00:00:00Z" + " " * 100,
        None,
        1767225600,
    ],
)
def test_what_is_no_time_reads_as_none(text: object) -> None:
    assert read(text) is None


@given(st.datetimes(timezones=st.timezones() | st.just(UTC), min_value=EARLIEST, max_value=LATEST))
def test_a_written_time_reads_back_to_the_millisecond(at: datetime) -> None:
    text = write(at)
    reading = read(text)
    assert len(text) == 24
    assert text.endswith("Z")
    assert reading is not None
    assert timedelta(0) <= at - reading.at < timedelta(milliseconds=1)
    assert reading.flags == frozenset()


@given(st.datetimes(), st.integers(-14 * 60, 14 * 60))
def test_iso_texts_of_any_offset_are_read(naive: datetime, minutes: int) -> None:
    at = naive.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    reading = read(at.isoformat())
    try:
        expected = at.astimezone(UTC)
    except OverflowError:
        assert reading is None
    else:
        assert reading is not None
        assert reading.at == expected


@given(st.text(max_size=80) | st.from_regex(r"\A\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d([.,]\d*)?)?([+-]\d\d:?\d\d|Z)?\Z"))
def test_no_text_makes_reading_raise(text: str) -> None:
    reading = read(text)
    assert reading is None or reading.at.tzinfo is UTC


def test_a_time_without_zone_is_not_written() -> None:
    with pytest.raises(ValueError, match="zone"):
        write(datetime(2026, 1, 1))  # noqa: DTZ001 the mistake under test
