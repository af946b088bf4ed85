"""S27: what is sent to a station makes its list what it should be, whatever it was before."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from csms.station.local_lists.rules import (
    ITEMS_DEFAULT,
    ITEMS_MAX,
    VERSION_MAX,
    Entries,
    Update,
    UpdateType,
    difference,
    digest,
    fitted,
    items_a_message,
    plan,
    read_limit,
)

pytestmark = pytest.mark.feature("S27")

keys = st.text("ABCDEF", min_size=1, max_size=2)
statuses = st.sampled_from(["accepted", "blocked"])
lists = st.dictionaries(keys, statuses).map(
    lambda drawn: {key: {"uid": key, "status": status} for key, status in drawn.items()}
)


class Station:
    """A list as OCPP 1.6 (5.15) and 2.0.1 (D01) say that a station keeps it."""

    def __init__(self, entries: Entries, version: int, room: int | None = None) -> None:
        self.entries: dict[str, Mapping[str, Any]] = dict(entries)
        self.version = version
        self.room = room

    def take(self, update: Update) -> str:
        uids = [entry["uid"] for entry in (*update.put, *update.removed)]
        assert len(set(uids)) == len(uids), "no token twice in a message (D01.FR.16)"
        assert update.version > 0
        if update.kind is UpdateType.FULL:
            assert not update.removed
            self.entries = {}
        elif update.version <= self.version:
            return "VersionMismatch"
        for entry in update.removed:
            del self.entries[entry["uid"]]
        for entry in update.put:
            self.entries[entry["uid"]] = entry
        assert self.room is None or len(self.entries) <= self.room
        self.version = update.version
        return "Accepted"


@given(lists, lists, st.integers(0, 50), st.integers(1, 7))
def test_differences_and_a_whole_list_come_to_the_same(
    before: Entries, after: Entries, version: int, items_max: int
) -> None:
    by_differences, anew = Station(before, version), Station(before, version)
    for station, known in ((by_differences, before), (anew, None)):
        for update in plan(known, after, version=version, items_max=items_max):
            assert len(update.put) + len(update.removed) <= items_max
            assert station.take(update) == "Accepted"
        assert station.entries == after
    assert plan(after, after, version=version, items_max=items_max) == []


@given(lists, lists, st.integers(1, 3))
def test_a_station_with_just_enough_room_can_take_the_changes(before: Entries, after: Entries, items_max: int) -> None:
    station = Station(before, 1, room=max(len(before), len(after)))
    for update in plan(before, after, version=1, items_max=items_max):
        assert station.take(update) == "Accepted"
    assert station.entries == after


@given(lists, lists, st.integers(VERSION_MAX - 3, VERSION_MAX))
def test_versions_begin_anew_where_the_numbers_end(before: Entries, after: Entries, version: int) -> None:
    station = Station(before, version)
    for update in plan(before, after, version=version, items_max=1):
        assert update.version <= VERSION_MAX
        assert station.take(update) == "Accepted"
    assert station.entries == after


@given(lists, lists)
def test_a_difference_names_only_what_differs(before: Entries, after: Entries) -> None:
    found = difference(before, after)
    assert set(found.put).isdisjoint(found.removed)
    assert len(found) == sum(before.get(key) != after.get(key) for key in {*before, *after})


def test_a_list_that_changes_altogether_is_sent_whole() -> None:
    before = {key: {"uid": key, "status": "accepted"} for key in "ABC"}
    (update,) = plan(before, {"D": {"uid": "D", "status": "accepted"}}, version=4, items_max=50)
    assert (update.kind, update.version) == (UpdateType.FULL, 5)
    (empty,) = plan(before, {}, version=4, items_max=50)
    assert (empty.kind, empty.put) == (UpdateType.FULL, [])
    (first,) = plan(None, {}, version=0, items_max=50)
    assert (first.kind, first.version) == (UpdateType.FULL, 1)


@given(lists, st.integers(0, 10))
def test_who_may_charge_gets_the_room_first(entries: Entries, room: int) -> None:
    kept = fitted(entries, room)
    assert len(kept) == min(room, len(entries))
    may_charge = sum(one["status"] == "accepted" for one in entries.values())
    assert sum(one["status"] == "accepted" for one in kept.values()) == min(room, may_charge)
    assert fitted(entries, None) == entries


@given(lists)
def test_equal_lists_have_equal_digests(entries: Entries) -> None:
    assert digest(entries, "1.6") == digest(dict(reversed(entries.items())), "1.6")
    assert digest(entries, "1.6") != digest(entries, "2")


@pytest.mark.parametrize(
    ("value", "limit"),
    [("100", 100), (" 20 ", 20), ("0", None), ("-1", None), ("many", None), ("", None), (None, None), ("²", None)],
)
def test_a_limit_is_read_as_stations_write_it(value: str | None, limit: int | None) -> None:
    assert read_limit(value) == limit


def test_messages_hold_what_the_station_takes() -> None:
    assert [items_a_message(told) for told in (None, 10, 100_000)] == [ITEMS_DEFAULT, 10, ITEMS_MAX]
