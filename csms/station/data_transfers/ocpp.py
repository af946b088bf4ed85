"""B6: DataTransfer from stations (OCPP 1.6, 4.3)."""

from csms.ocpp.versions import Version
from csms.routing import ConnectedStation, Payload, Route
from csms.station.data_transfers.model import DataTransfer
from csms.store import Work
from csms.store.table import json_text


async def data_transfer(work: Work, station: ConnectedStation, payload: Payload) -> Payload:
    """Keep it. No vendor's extension is spoken here yet, so the answer is UnknownVendorId, which stations bear."""
    data = payload.get("data")
    work.insert(
        DataTransfer,
        organisation_id=station.organisation_id,
        station_id=station.id,
        at=work.now,
        vendor_id=payload["vendorId"],
        message_id=payload.get("messageId"),
        data=data if data is None or isinstance(data, str) else json_text(data),
    )
    return {"status": "UnknownVendorId"}


ROUTES = (Route(Version.V16, "DataTransfer", data_transfer),)
