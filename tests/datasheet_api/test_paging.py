"""Lists come in pages, in order, each row once."""

import base64
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlmodel import select

from csms.exceptions import Invalid
from csms.station.information import Station
from csms.store import Store
from csms.web import PageQuery, page_of
from tests.builders import make_station


async def _pages(store: Store, limit: int, **order: Any) -> list[list[str]]:
    """The identities on each page, from the first to the last."""
    found, cursor = list[list[str]](), None
    async with store.reading() as work:
        while cursor is not None or not found:
            rows, cursor = await page_of(work, select(Station), PageQuery(limit=limit, cursor=cursor), **order)
            found.append([row.identity for row in rows])
    return found


@pytest.mark.parametrize(
    ("order", "limit", "pages"),
    [
        ({}, 2, [["E", "D"], ["C", "B"], ["A"]]),
        ({"descending": False}, 2, [["A", "B"], ["C", "D"], ["E"]]),
        ({}, 5, [["E", "D", "C", "B", "A"]]),
        ({}, 4, [["E", "D", "C", "B"], ["A"]]),
        ({"by": Station.created_at}, 2, [["C", "E"], ["D", "A"], ["B"]]),
        ({"by": Station.created_at, "descending": False}, 2, [["B", "A"], ["D", "E"], ["C"]]),
        ({"by": Station.vendor}, 1, [["E"], ["C"], ["A"], ["D"], ["B"]]),
    ],
)
async def test_every_row_is_on_one_page_in_its_place(
    store: Store, order: dict[str, Any], limit: int, pages: list[list[str]]
) -> None:
    hours = {"A": 1, "B": 0, "C": 2, "D": 1, "E": 1}
    for identity, hour in hours.items():
        vendor = "same" if identity in "BD" else "zebra"
        await make_station(store, identity=identity, created_at=store.clock() + timedelta(hours=hour), vendor=vendor)
    assert await _pages(store, limit, **order) == pages


def _cursor(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "cursor",
    [
        "x",
        "%F0",
        _cursor(""),
        _cursor("i"),
        _cursor("i1.5"),
        _cursor("z1"),
        _cursor("i1\ni2"),
        _cursor("sCP-1"),
        _cursor(f"i{10**30}"),
        _cursor("t2026-01-01T00:00:00"),
        _cursor("t2026-01-01T00:00:00+00:00"),
    ],
)
async def test_a_cursor_that_was_not_made_here_is_refused(api: httpx.AsyncClient, store: Store, cursor: str) -> None:
    station = await make_station(store)
    answer = await api.get(f"/api/v1/stations/{station.identity}/commands?cursor={cursor}")
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["place"] == "query/cursor"


@pytest.mark.parametrize(
    "cursor",
    ["i5\ni5", "sCP-1\ni5", "t2026-01-01T00:00:00+00:00\nsx", "t9999-12-31T23:59:59-23:59\ni5", "t2026-01-01T00:00:00"],
)
async def test_nor_is_one_of_a_list_in_another_order_taken(store: Store, cursor: str) -> None:
    async with store.reading() as work:
        page = PageQuery(cursor=_cursor(cursor))
        with pytest.raises(Invalid, match="cursor"):
            await page_of(work, select(Station), page, by=Station.created_at)


async def test_a_cursor_holds_no_nul(store: Store) -> None:
    async with store.reading() as work:
        with pytest.raises(Invalid, match="cursor"):
            await page_of(work, select(Station), PageQuery(cursor=_cursor("s\0\ni5")), by=Station.identity)
