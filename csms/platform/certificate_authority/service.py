"""B10: makes, imports and finds authorities, and opens them to sign."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

import structlog
from cryptography import x509
from cryptography.x509.oid import NameOID
from sqlmodel import col, select

from csms.config import Settings
from csms.exceptions import Conflict, Invalid, NotFound, Unavailable
from csms.platform.certificate_authority.model import CertificateAuthority
from csms.platform.certificate_authority.rules import (
    Issuer,
    KeyKind,
    PrivateKey,
    chain_text,
    checked_issuer,
    fingerprint_of,
    first_text,
    is_self_signed,
    key_text,
    key_words,
    locked,
    make_root,
    new_key,
    read_chain,
    read_private_key,
    shown_name,
    sign_server,
    unlocked,
)
from csms.platform.organisations import Organisation, default_organisation
from csms.rights import Caller
from csms.store import Fact, Work

log = structlog.get_logger(__name__)

ROOTS_CHANGED: Final = "trusted_roots_changed"
LIFE_DAYS: Final = 3650
FILES: Final = "settings"
"""Who made an authority that comes from the files of the settings."""


async def active_authority(work: Work, organisation_id: int) -> CertificateAuthority | None:
    """Who signs for that organisation now."""
    query = select(CertificateAuthority).where(
        CertificateAuthority.organisation_id == organisation_id, col(CertificateAuthority.retired_at).is_(None)
    )
    return (await work.session.exec(query)).first()


async def get_authority(work: Work, organisation_id: int) -> CertificateAuthority:
    """Raises NotFound where there is none yet."""
    found = await active_authority(work, organisation_id)
    if found is None:
        raise NotFound(
            "there is no certificate authority yet; POST /api/v1/certificate-authority or `csms ca create` makes one"
        )
    return found


async def authorities(work: Work) -> Sequence[CertificateAuthority]:
    """All that the caller sees, also retired ones, the newest first."""
    query = select(CertificateAuthority).order_by(col(CertificateAuthority.id).desc())
    return (await work.session.exec(query)).all()


async def trusted_roots(work: Work) -> list[str]:
    """PEM of every authority that has not expired: whose station certificates a TLS port accepts."""
    query = select(CertificateAuthority.chain).where(col(CertificateAuthority.not_after) > work.now)
    return list((await work.session.exec(query)).all())


def new_root(operator_name: str, kind: KeyKind, days: int, now: datetime) -> Issuer:
    """A new key and its root; RSA takes a moment, so call it in a thread."""
    key = new_key(kind)
    common_name = f"{operator_name[:48]} Station CA"
    return Issuer(key, (make_root(key, common_name, operator_name, days=days, now=now),))


async def operator_names(work: Work, organisation_id: int) -> list[str]:
    """O of what this organisation's authorities sign, retired ones included: their certificates are still about."""
    query = select(CertificateAuthority.operator_name).where(CertificateAuthority.organisation_id == organisation_id)
    return [name for name in await work.session.exec(query) if name]


async def create_authority(
    work: Work,
    organisation_id: int,
    issuer: Issuer,
    *,
    secret_key: bytes,
    replaces: bool = False,
    is_imported: bool = False,
) -> CertificateAuthority:
    """Keep a new authority, its key locked. Raises Conflict where there is one and it is not to be replaced."""
    await _make_room(work, organisation_id, replaces=replaces)
    fingerprint = fingerprint_of(issuer.certificate)
    private_key = locked(issuer.key, secret_key, bytes.fromhex(fingerprint))
    row = await _keep(work, organisation_id, issuer.chain, private_key, work.actor.name)
    row.is_imported = is_imported
    return row


async def _make_room(work: Work, organisation_id: int, *, replaces: bool) -> None:
    present = await active_authority(work, organisation_id)
    if present is None:
        return
    if not replaces:
        raise Conflict(
            f"there is a certificate authority already («{present.name}», until {present.not_after:%Y-%m-%d}); "
            "say `replaces` (`csms ca`: --replace) to put a new one in its place"
        )
    present.retired_at = work.now
    await work.session.flush()


async def _keep(
    work: Work, organisation_id: int, chain: Sequence[x509.Certificate], private_key: str | None, created_by: str
) -> CertificateAuthority:
    first = chain[0]
    row = CertificateAuthority(
        organisation_id=organisation_id,
        name=shown_name(first.subject),
        operator_name=first_text(first.subject, NameOID.ORGANIZATION_NAME),
        chain=chain_text(chain),
        fingerprint=fingerprint_of(first),
        serial_number=f"{first.serial_number:x}",
        key_kind=key_words(first.public_key()),
        not_before=first.not_valid_before_utc,
        not_after=first.not_valid_after_utc,
        private_key=private_key,
        is_imported=private_key is None,
        created_at=work.now,
        created_by=created_by,
    )
    work.session.add(row)
    await work.session.flush()
    work.emit(Fact(kind=ROOTS_CHANGED, organisation_id=organisation_id, data={"authority": row.name}))
    return row


async def import_authority(
    work: Work,
    organisation_id: int,
    chain_pem: str,
    key_pem: bytes,
    *,
    password: bytes | None,
    secret_key: bytes,
    replaces: bool = False,
) -> CertificateAuthority:
    """Take over an authority that was made elsewhere. Raises Invalid, Conflict."""
    issuer = read_issuer(chain_pem, key_pem, password, work.now)
    return await create_authority(
        work, organisation_id, issuer, secret_key=secret_key, replaces=replaces, is_imported=True
    )


def read_issuer(chain_pem: str, key_pem: bytes, password: bytes | None, now: datetime) -> Issuer:
    """Raises Invalid for what does not belong together or may not sign."""
    chain = read_chain(chain_pem, place="certificate")
    key = read_private_key(key_pem, password, place="key")
    return checked_issuer(key, chain, now=now, place="certificate")


async def open_issuer(authority: CertificateAuthority, settings: Settings, secret_key: bytes) -> Issuer:
    """The authority with its key, to sign. Raises Unavailable where the key cannot be had."""
    try:
        return await asyncio.to_thread(_open, authority, settings, secret_key)
    except (Invalid, OSError) as error:
        log.exception("the certificate authority cannot sign", authority=authority.name)
        reason = error.detail if isinstance(error, Invalid) else error.strerror or "file"
        raise Unavailable(f"the certificate authority's key cannot be used: {reason}") from error


def _open(authority: CertificateAuthority, settings: Settings, secret_key: bytes) -> Issuer:
    chain = tuple(read_chain(authority.chain, place="certificate"))
    if authority.private_key is not None:
        return Issuer(unlocked(authority.private_key, secret_key, bytes.fromhex(authority.fingerprint)), chain)
    if settings.ca_key_file is None:
        raise Invalid("its key was in the file of CSMS_CA_KEY_FILE, which is not set any more")
    return Issuer(_file_key(settings, settings.ca_key_file), chain)


def _file_key(settings: Settings, path: Path) -> PrivateKey:
    password = settings.ca_key_password
    secret = password.get_secret_value().encode() if password is not None else None
    return read_private_key(path.read_bytes(), secret, place="CSMS_CA_KEY_FILE")


def sent_chain(issuer: Issuer, leaf: x509.Certificate) -> list[x509.Certificate]:
    """What a station gets: its certificate and what stands between it and the root, without the root (A02.FR.14)."""
    return [leaf, *(one for one in issuer.chain if not is_self_signed(one))]


async def take_over_files(work: Work, settings: Settings) -> CertificateAuthority | None:
    """Make the authority of the settings' files that of the default organisation; safe to repeat.

    Raises Invalid or OSError for files that cannot be used.
    """
    if settings.ca_certificate_file is None or settings.ca_key_file is None:
        return None
    pem = settings.ca_certificate_file.read_text()
    chain = read_chain(pem, place="CSMS_CA_CERTIFICATE_FILE")
    organisation = await default_organisation(work)
    present = await active_authority(work, organisation.id)
    if present is not None and present.fingerprint == fingerprint_of(chain[0]):
        return present
    checked_issuer(_file_key(settings, settings.ca_key_file), chain, now=work.now, place="CSMS_CA_CERTIFICATE_FILE")
    await _make_room(work, organisation.id, replaces=True)
    log.info("certificate authority taken over from files", authority=shown_name(chain[0].subject))
    return await _keep(work, organisation.id, chain, None, FILES)


async def own_organisation(work: Work, caller: Caller) -> int:
    """Whose authority this caller is about."""
    return caller.organisation_id if caller.organisation_id is not None else (await default_organisation(work)).id


async def operator_name_of(work: Work, organisation_id: int, settings: Settings) -> str:
    """O of new certificates where nobody says otherwise: what the broker compares with, or the organisation's name."""
    if settings.operator_name:
        return settings.operator_name
    return (await work.session.get_one(Organisation, organisation_id)).name[:64]


async def issue_server(
    authority: CertificateAuthority,
    settings: Settings,
    secret_key: bytes,
    hosts: Sequence[str],
    *,
    kind: KeyKind,
    days: int,
    now: datetime,
) -> tuple[str, str]:
    """A new key and certificate for this system's own TLS port: the chain and the key, both PEM."""
    issuer = await open_issuer(authority, settings, secret_key)
    key = await asyncio.to_thread(new_key, kind)
    leaf = sign_server(issuer, key.public_key(), hosts, authority.operator_name, days=days, now=now)
    return chain_text(sent_chain(issuer, leaf)), key_text(key)
