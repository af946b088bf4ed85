"""B6: DataTransfer from stations (OCPP 1.6, 4.3; 2.0.1 P02)."""

from csms.ocpp.versions import VERSIONS_2, Version
from csms.routing import ConnectedStation, Payload, Route
from csms.station.data_transfers.model import DataTransfer
from csms.store import Work
from csms.store.table import json_text


async def data_transfer(work: Work, station: ConnectedStation, payload: Payload) -> Payload:
    """Keep it. No vendor's extension is spoken here yet, so the answer is UnknownVendorId, which stations bear."""
    data = payload.get("data")
    is_json = data is not None and not isinstance(data, str)
    work.insert(
        DataTransfer,
        organisation_id=station.organisation_id,
        station_id=station.id,
        at=work.now,
        vendor_id=payload["vendorId"],
        message_id=payload.get("messageId"),
        data=data if not is_json else json_text(data),
        is_json=is_json,
    )
    return {"status": "UnknownVendorId"}


ROUTES = (Route((Version.V16, *VERSIONS_2), "DataTransfer", data_transfer),)
