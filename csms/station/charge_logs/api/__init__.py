"""S6, S1: charge logs, their curves, corrections and statistics, and stops that match nothing, over HTTP."""

from fastapi import APIRouter

from csms.station.charge_logs.api import logs, samples, statistics, stops

router = APIRouter()
for _part in (logs, samples, statistics, stops):
    router.include_router(_part.router)
