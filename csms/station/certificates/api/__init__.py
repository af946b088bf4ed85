"""B10: certificates, certificate requests, their policy, and what stations ask about cars, over HTTP."""

from fastapi import APIRouter

from csms.station.certificates.api import certificates, policy, questions, requests

router = APIRouter()
for _part in (policy, certificates, requests, questions):
    router.include_router(_part.router)
