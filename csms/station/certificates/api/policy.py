"""B10: the policy of certificates over HTTP."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import Field

from csms.exceptions import Invalid
from csms.rights import Area
from csms.station.certificates.api.shown import organisation_of
from csms.station.certificates.rules.requests import Signing
from csms.station.certificates.service.policies import change_policy, policy_of
from csms.web import CallerDep, Reading, Shown, Strict, Writing, may_read, may_write

router = APIRouter()


class PolicyShown(Shown):
    """What is done about certificates without anybody being asked."""

    signing: Signing
    days: int = Field(description="how long stations' certificates are valid")
    takes_v2g_requests: bool = Field(description="requests for V2G certificates wait for an operator; else rejected")
    warn_days: list[int] = Field(description="how many days before a certificate's end somebody is warned")
    renew_days: int | None = Field(description="stations are asked to renew that many days before; null: by hand")


class PolicyChange(Strict):
    """What to change; fields left out stay as they are."""

    signing: Signing | None = Field(None, examples=["approval"])
    days: int | None = Field(None, ge=1, le=3650, examples=[365])
    takes_v2g_requests: bool | None = None
    warn_days: list[Annotated[int, Field(ge=1, le=3650)]] | None = Field(None, max_length=10, examples=[[30, 7, 1]])
    renew_days: Annotated[int, Field(ge=1, le=3650)] | None = Field(None, examples=[30])


@router.get("/certificate-policy", summary="What is done about stations' certificates", dependencies=[may_read()])
async def show_policy(work: Reading, caller: CallerDep) -> PolicyShown:
    return PolicyShown.model_validate(await policy_of(work, organisation_of(caller)))


@router.patch(
    "/certificate-policy",
    summary="Change what is done about stations' certificates",
    dependencies=[may_write(Area.SYSTEM_CONFIGURATION)],
)
async def update_policy(work: Writing, caller: CallerDep, body: PolicyChange) -> PolicyShown:
    """Requests that wait already keep waiting."""
    values = body.model_dump(exclude_unset=True)
    for name, value in values.items():
        if value is None and name != "renew_days":
            raise Invalid(f"{name} cannot be null; leave it out to keep it", place=f"body/{name}")
    if values.get("warn_days") is not None:
        values["warn_days"] = sorted(set(values["warn_days"]), reverse=True)
    return PolicyShown.model_validate(await change_policy(work, organisation_of(caller), values))
