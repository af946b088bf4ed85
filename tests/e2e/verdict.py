"""Compares what stations wrote down with what is in the database: everything acknowledged is there, once."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from sqlmodel import SQLModel, col, select

from csms.ocpp import timestamps
from csms.station.charge_logs import ChargeLog, ChargeState, MeterSample
from csms.station.communication_logs import Frame, FrameOutcome
from csms.station.connections import Connection
from csms.station.information import Station
from csms.store import Store, open_store
from tests.e2e.traffic import ENERGY_A_SAMPLE_WH, METER_VALUES_A_CHARGE, NOT_READY, Told, TrafficStation

RowT = TypeVar("RowT", bound=SQLModel)


@dataclass(frozen=True)
class Rows:
    """What the database holds of one station, each list in the order of creation."""

    station: Station
    frames: list[Frame]
    charge_logs: list[ChargeLog]
    samples: list[MeterSample]
    connections: list[Connection]

    @property
    def from_station(self) -> list[Frame]:
        return [frame for frame in self.frames if frame.from_station]

    @property
    def to_station(self) -> list[Frame]:
        return [frame for frame in self.frames if not frame.from_station]


async def rows_of(store: Store, identities: Sequence[str]) -> dict[str, Rows]:
    """Every station's rows, by identity; refused handshakes are left out."""
    async with store.reading() as work:

        async def read(table: type[RowT], *conditions: Any) -> list[RowT]:
            query = select(table).where(*conditions).order_by(col(table.id))  # type: ignore[attr-defined]  # all have it
            return list((await work.session.exec(query)).all())

        stations = await read(Station, col(Station.identity).in_(identities))
        ids = [station.id for station in stations]
        frames = await read(Frame, col(Frame.station_id).in_(ids))
        logs = await read(ChargeLog, col(ChargeLog.station_id).in_(ids))
        samples = await read(MeterSample, col(MeterSample.station_id).in_(ids))
        connections = await read(Connection, col(Connection.station_id).in_(ids), col(Connection.http_status).is_(None))
    return {
        station.identity: Rows(
            station,
            [row for row in frames if row.station_id == station.id],
            [row for row in logs if row.station_id == station.id],
            [row for row in samples if row.station_id == station.id],
            [row for row in connections if row.station_id == station.id],
        )
        for station in stations
    }


async def rows_in(database_url: str, identities: Sequence[str]) -> dict[str, Rows]:
    """The same from outside the process that writes."""
    store = open_store(database_url)
    try:
        return await rows_of(store, identities)
    finally:
        await store.close()


def at(text: str) -> datetime:
    """A time that a station wrote."""
    reading = timestamps.read(text)
    assert reading is not None, text
    return reading.at


# --- the verdicts ---------------------------------------------------------------------------------------------------


def check_history(station: TrafficStation, rows: Rows) -> None:
    """Promises 1 and 2: whatever was acknowledged is stored once; whatever was sent is stored at most once."""
    check_frames(station, rows)
    check_charges(station, rows)
    check_samples(station, rows)


def check_frames(station: TrafficStation, rows: Rows) -> None:
    """Every exchange as the station saw it, and none twice."""
    counts = Counter(frame.message_id for frame in rows.from_station)
    assert not [message_id for message_id, count in counts.items() if count > 1], "a frame was stored twice"
    stored = {frame.message_id: frame for frame in rows.from_station}
    for told, one in station.acknowledged:
        frame = stored.get(one.message_id)
        assert frame is not None, f"{station.identity}: acknowledged but not stored: {one.text}"
        assert frame.outcome is FrameOutcome.ANSWERED
        assert frame.action == told.action
        assert frame.request == one.text
        assert json.loads(frame.answer or "") == json.loads(one.answer or "")
    sent = {one.message_id for told in station.told for one in told.tries}
    assert counts.keys() <= sent, "frames that nobody sent"


def check_charges(station: TrafficStation, rows: Rows) -> None:
    """One charge log for each start, with the id that was answered, and the stop's figures."""
    starts = [told for told in station.told if told.action == "StartTransaction"]
    logs = {(log.started_at, log.meter_start_wh): log for log in rows.charge_logs}
    assert len(logs) == len(rows.charge_logs), f"{station.identity}: a charge was stored twice"
    assert len(logs) <= len(starts)
    by_transaction = {log.transaction_id: log for log in rows.charge_logs}
    for start in starts:
        if start.answer is not None:
            log = logs[at(start.payload["timestamp"]), start.payload["meterStart"]]
            assert log.transaction_id == str(start.answer["transactionId"])
    for stop in station.told:
        if stop.action == "StopTransaction" and stop.answer is not None:
            check_stop(by_transaction[str(stop.payload["transactionId"])], stop)


def check_stop(log: ChargeLog, stop: Told) -> None:
    assert log.state is ChargeState.FINISHED
    assert log.stopped_at == at(stop.payload["timestamp"])
    assert log.meter_stop_wh == stop.payload["meterStop"] == log.meter_start_wh + (log.energy_wh or 0)
    assert log.energy_wh == METER_VALUES_A_CHARGE * ENERGY_A_SAMPLE_WH
    assert log.stop_reason == "Local"
    assert log.duration_s == int((log.stopped_at - log.started_at).total_seconds())


def check_samples(station: TrafficStation, rows: Rows) -> None:
    """One sample for each meter value, of the right charge, with the register that was sent."""
    stored = Counter(sample.measured_at for sample in rows.samples)
    assert not [when for when, count in stored.items() if count > 1], f"{station.identity}: a sample was stored twice"
    samples = {sample.measured_at: sample for sample in rows.samples}
    charges = {log.id: log.transaction_id for log in rows.charge_logs}
    told = [one for one in station.told if one.action == "MeterValues"]
    assert len(samples) <= len(told)
    for one in told:
        if one.answer is None:
            continue
        value = one.payload["meterValue"][0]
        sample = samples[at(value["timestamp"])]
        assert sample.energy_wh == float(value["sampledValue"][0]["value"])
        assert sample.charge_log_id is not None
        assert charges[sample.charge_log_id] == str(one.payload["transactionId"])


def check_last_status(station: TrafficStation, words: dict[str, str | None]) -> None:
    """The datasheet shows the status that the station told last; `words` is by identity."""
    statuses = [told for told in station.told if told.action == "StatusNotification" and told.answer is not None]
    assert words[station.identity] == statuses[-1].payload["status"]


def check_connections(station: TrafficStation, rows: Rows, *codes: str) -> None:
    """Promise 5: each connection has one row, opened and closed, with these codes in this order."""
    assert [row.code for row in rows.connections] == list(codes)
    assert len(rows.connections) == station.connects - station.closes.count(NOT_READY)
    for row in rows.connections:
        assert row.closed_at is not None
        assert row.closed_at >= row.opened_at
    assert rows.station.fence == len(rows.connections), "the fence grows by one with each connection"
    assert not rows.station.is_online
    assert rows.station.connection_id is None
