"""S24: firmware over HTTP: images of the fleet, updates of a station, publications on a local controller."""

from fastapi import APIRouter

from csms.station.firmware.api import images, publications, updates
from csms.station.firmware.api.images import STREAMED

__all__ = ["STREAMED", "router"]

router = APIRouter()
for _part in (images, updates, publications):
    router.include_router(_part.router)
