"""F4: the collection of published stations, kept rendered and compared with the database at every request."""

import asyncio
import hashlib
from collections.abc import Collection, Iterable, Sequence
from functools import cached_property
from weakref import WeakKeyDictionary

from sqlmodel import col, select

from csms.fleet.feeds.fingerprint import changed_stations, fingerprint, lines_of
from csms.fleet.feeds.rendering import Published, Rendered, render
from csms.fleet.feeds.rules import Box, Circle
from csms.platform.organisations import Organisation
from csms.station.charge_points import ChargePoint, Connector
from csms.station.information import Station
from csms.station.interfaces import InterfaceKind, published_on
from csms.store import Store, Work

STATIONS_AT_ONCE = 250
_YIELD_EVERY = 50


class FeatureCollection:
    """Features in the order of their public ids; what a request without a filter gets is made once."""

    def __init__(self, features: Sequence[Rendered]) -> None:
        self.features = features

    @cached_property
    def body(self) -> bytes:
        """The GeoJSON text."""
        return collection_text(self.features)

    @cached_property
    def etag(self) -> str:
        """Changes with every byte of the body."""
        return f'"{hashlib.blake2b(self.body, digest_size=16).hexdigest()}"'

    def part(
        self, area: Box | Circle | None, after: str | None, limit: int | None
    ) -> tuple["FeatureCollection", str | None]:
        """The features in the area that follow that public id, and the cursor of the next page if there is one."""
        found = [one for one in self.features if area is None or area.holds(one.latitude, one.longitude)]
        if after is not None:
            found = [one for one in found if one.public_id > after]
        if limit is None or len(found) <= limit:
            return FeatureCollection(found), None
        return FeatureCollection(found[:limit]), found[limit - 1].public_id


def collection_text(features: Iterable[Rendered]) -> bytes:
    """A FeatureCollection (RFC 7946 3.3)."""
    return b'{"type":"FeatureCollection","features":[' + b",".join(one.text for one in features) + b"]}"


class GeoJsonFeed:
    """The rendered features of one process.

    `current` compares them with the database first, so that a switch that was turned off anywhere is off here in
    the next answer; only stations that changed are rendered anew. Requests that wait share one comparison,
    which began after each of them had arrived.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._texts: tuple[str, ...] = ()
        self._lines: frozenset[str] = frozenset()
        self._rendered: dict[int, Rendered] = {}
        self._collection = FeatureCollection(())
        self._running: asyncio.Task[FeatureCollection] | None = None
        self._next: asyncio.Task[FeatureCollection] | None = None
        self.rendered_count = 0
        """How many features were rendered since the start."""

    async def current(self) -> FeatureCollection:
        """The collection as the database has it at some moment after this call."""
        if self._next is None:
            self._next = asyncio.create_task(self._refresh_after(self._running))
        return await asyncio.shield(self._next)

    async def _refresh_after(self, previous: asyncio.Task[FeatureCollection] | None) -> FeatureCollection:
        if previous is not None:
            await asyncio.wait([previous])
        self._running, self._next = self._next, None
        async with self._store.reading() as work:
            await self._refresh(work)
        return self._collection

    async def _refresh(self, work: Work) -> None:
        texts = await fingerprint(work)
        if texts == self._texts:
            return
        lines = lines_of(texts)
        changed = changed_stations(self._lines, lines)
        if changed:
            # Loaded after the fingerprint: what changes in between differs from it and is rendered next time.
            rendered = {row_id: one for row_id, one in self._rendered.items() if row_id not in changed}
            rendered |= await self._render(work, changed)
            self._collection = FeatureCollection(sorted(rendered.values(), key=lambda one: one.public_id))
            self._rendered = rendered
        self._texts, self._lines = texts, lines

    async def _render(self, work: Work, row_ids: Collection[int]) -> dict[int, Rendered]:
        rendered: dict[int, Rendered] = {}
        ordered = sorted(row_ids)
        for start in range(0, len(ordered), STATIONS_AT_ONCE):
            for published in await _load(work, ordered[start : start + STATIONS_AT_ONCE]):
                feature = render(published)
                if feature is not None:
                    rendered[published.station.id] = feature
                self.rendered_count += 1
                if self.rendered_count % _YIELD_EVERY == 0:
                    await asyncio.sleep(0)  # ten thousand features must not stop the process
            work.session.expunge_all()
        return rendered


async def _load(work: Work, row_ids: Sequence[int]) -> list[Published]:
    stations = (
        await work.session.exec(
            select(Station, Organisation.name).where(
                *published_on(InterfaceKind.GEOJSON),
                Organisation.id == Station.organisation_id,
                col(Station.id).in_(row_ids),
            )
        )
    ).all()
    charge_points: dict[int, list[ChargePoint]] = {}
    by_number = select(ChargePoint).where(col(ChargePoint.station_id).in_(row_ids)).order_by(col(ChargePoint.number))
    for one in await work.session.exec(by_number):
        charge_points.setdefault(one.station_id, []).append(one)
    connectors: dict[int, list[Connector]] = {}
    of_stations = select(Connector).where(col(Connector.station_id).in_(row_ids)).order_by(col(Connector.number))
    for connector in await work.session.exec(of_stations):
        connectors.setdefault(connector.charge_point_id, []).append(connector)
    return [
        Published(station, operator, charge_points.get(station.id, []), connectors) for station, operator in stations
    ]


_feeds: WeakKeyDictionary[Store, GeoJsonFeed] = WeakKeyDictionary()


def feed_of(store: Store) -> GeoJsonFeed:
    """The feed of that database in this process."""
    feed = _feeds.get(store)
    if feed is None:
        feed = _feeds[store] = GeoJsonFeed(store)
    return feed
