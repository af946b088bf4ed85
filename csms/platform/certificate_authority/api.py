"""B10: the certificate authority over HTTP: make it, look at it, download its root."""

import asyncio
from datetime import datetime
from typing import Annotated, Self

from fastapi import APIRouter, Response, status
from pydantic import Field, StringConstraints

from csms.exceptions import Conflict
from csms.ids import Id
from csms.platform.certificate_authority.model import CertificateAuthority
from csms.platform.certificate_authority.rules import KeyKind, chain_text, read_chain
from csms.platform.certificate_authority.service import (
    LIFE_DAYS,
    active_authority,
    authorities,
    create_authority,
    get_authority,
    new_root,
    operator_name_of,
    own_organisation,
)
from csms.rights import Area
from csms.web import CallerDep, Reading, RuntimeDep, Shown, Strict, may_read, may_write

router = APIRouter()

OperatorName = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=64, pattern=r"^[^\x00-\x1f\x7f]*$")
]
PEM = "application/x-pem-file"


class AuthorityToMake(Strict):
    """A new authority; its key is made here and never leaves."""

    operator_name: OperatorName | None = Field(
        None, description="O in every certificate (A00.FR.404); left out: that of the settings, or the organisation's"
    )
    days: int = Field(LIFE_DAYS, ge=30, le=36_500, description="how long its root is valid")
    key_kind: KeyKind = KeyKind.EC_P256
    replaces: bool = Field(
        default=False,
        description="put it in the place of the present one, which signs no more and stays trusted until it expires",
    )


class AuthorityShown(Shown):
    """A certificate authority."""

    id: Id
    name: str = Field(examples=["CN=Example Station CA,O=Example"])
    operator_name: str | None = Field(description="O of the certificates that it signs", examples=["Example"])
    key_kind: str = Field(examples=["EC secp256r1"])
    fingerprint: str = Field(description="SHA-256 of its certificate")
    serial_number: str
    not_before: datetime
    not_after: datetime
    created_at: datetime
    created_by: str = Field(description="`settings`: its files are named there")
    days_left: int = Field(description="until it expires; below 0: since then")
    retired_at: datetime | None = Field(description="since then it signs no more; it is trusted until it expires")
    chain: str = Field(description="PEM: its certificate, then its issuers")

    @classmethod
    def of(cls, row: CertificateAuthority, now: datetime) -> Self:
        return cls.model_validate(row.model_dump(exclude={"private_key"}) | {"days_left": (row.not_after - now).days})


class Authorities(Shown):
    items: list[AuthorityShown]


@router.get(
    "/certificate-authority",
    summary="The authority that signs your stations' certificates",
    dependencies=[may_read()],
    responses={404: {"description": "there is none yet"}},
)
async def show_authority(work: Reading, caller: CallerDep) -> AuthorityShown:
    return AuthorityShown.of(await get_authority(work, await own_organisation(work, caller)), work.now)


@router.get("/certificate-authorities", summary="The present and the retired authorities", dependencies=[may_read()])
async def list_authorities(work: Reading) -> Authorities:
    return Authorities(items=[AuthorityShown.of(row, work.now) for row in await authorities(work)])


@router.get(
    "/certificate-authority/root.pem",
    summary="Its root certificate, to be installed where stations' certificates are checked",
    dependencies=[may_read()],
    response_class=Response,
    responses={
        200: {"content": {PEM: {"schema": {"type": "string"}}}, "description": "PEM"},
        404: {"description": "there is none yet"},
    },
)
async def download_root(work: Reading, caller: CallerDep) -> Response:
    row = await get_authority(work, await own_organisation(work, caller))
    root = read_chain(row.chain)[-1]
    return Response(chain_text([root]), media_type=PEM)


@router.post(
    "/certificate-authority",
    status_code=status.HTTP_201_CREATED,
    summary="Make a certificate authority",
    dependencies=[may_write(Area.SYSTEM_CONFIGURATION)],
    responses={409: {"description": "there is one already, or the settings' files decide"}},
)
async def make_authority(body: AuthorityToMake, runtime: RuntimeDep, caller: CallerDep) -> AuthorityShown:
    """Its private key is encrypted with the installation's secret key: back both up together (`csms backup`)."""
    async with runtime.store.reading(caller) as work:
        organisation_id = await own_organisation(work, caller)
        present = await active_authority(work, organisation_id)
        operator_name = body.operator_name or await operator_name_of(work, organisation_id, runtime.settings)
        now = work.now
    expected = runtime.settings.operator_name
    if expected is not None and operator_name != expected:
        raise Conflict(f"the broker accepts only certificates of «{expected}» (CSMS_OPERATOR_NAME); leave it out")
    if present is not None and present.private_key is None:
        raise Conflict("the authority's files are named in the settings (CSMS_CA_CERTIFICATE_FILE); change them there")
    issuer = await asyncio.to_thread(new_root, operator_name, body.key_kind, body.days, now)
    async with runtime.store.writing(caller) as work:
        row = await create_authority(
            work, organisation_id, issuer, secret_key=runtime.secret_key, replaces=body.replaces
        )
        return AuthorityShown.of(row, work.now)
