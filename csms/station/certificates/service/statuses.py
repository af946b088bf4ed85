"""B10: answers stations that ask about certificates of cars, and keeps what was answered."""

import base64
from typing import Any, Final

from sqlmodel import col, select

from csms.ocpp import timestamps
from csms.ocpp.versions import Version
from csms.routing import ConnectedStation, Payload
from csms.station.certificates.model import CertificateStatusCheck, ContractRequest
from csms.station.certificates.rules.installed import HashData
from csms.station.certificates.rules.status import STATUS_WORDS, CertificateStatus, Contract, Found, failed
from csms.station.certificates.service.asking import TOO_OFTEN, Asked, Question, read_question, read_questions
from csms.store import Work

CHECKS_MAX: Final = 200
"""Certificates that are remembered of one station; the one that was not asked about for longest gives way."""
OCSP_CHARS_MAX: Final = {Version.V201: 5500, Version.V21: 18_000}
_UNASKED: Final = "nobody was asked"
TEXT_CHARS_MAX: Final = 500


def _info(reason: str | None) -> dict[str, str]:
    return {"reasonCode": "Unspecified", "additionalInfo": (reason or "")[:TEXT_CHARS_MAX]}


async def certificate_status(work: Work, station: ConnectedStation, payload: Payload) -> Payload:
    """GetCertificateStatus (2.0.1 M06.FR.04): the responder's signed answer, or Failed."""
    question, found = read_question(payload), _take(station, 1)[0]
    text = base64.b64encode(found.der).decode()
    if len(text) > OCSP_CHARS_MAX.get(station.version, 5500):
        found, text = failed("the responder's answer is too long for OCPP"), ""
    if question is not None:
        await _keep(work, station, question, found)
    if found.status is CertificateStatus.FAILED:
        return {"status": "Failed", "statusInfo": _info(found.reason)}
    return {"status": "Accepted", "ocspResult": text}


async def chain_status(work: Work, station: ConnectedStation, payload: Payload) -> Payload:
    """GetCertificateChainStatus (2.1 M07): one answer for each certificate, in the order of the questions."""
    questions = read_questions(payload)
    answers = []
    for question, found in zip(questions, _take(station, len(questions)), strict=True):
        await _keep(work, station, question, found)
        answers.append(
            {
                "certificateHashData": question.data.payload,
                "source": question.source,
                "status": STATUS_WORDS[found.status],
                "nextUpdate": timestamps.write(found.next_update_at or work.now),
            }
        )
    return {"certificateStatus": answers}


def _take(station: ConnectedStation, count: int) -> list[Found]:
    """What was found for this call; nothing where asking was cut off."""
    asked = station.recall(Asked)
    found, asked.found = asked.found, []
    return found if len(found) == count else [failed(_UNASKED)] * count


async def _keep(work: Work, station: ConnectedStation, question: Question, found: Found) -> None:
    """One row a certificate."""
    query = (
        select(CertificateStatusCheck)
        .where(CertificateStatusCheck.station_id == station.id)
        .order_by(col(CertificateStatusCheck.asked_at).desc())
    )
    rows = (await work.session.exec(query)).all()
    row = next((one for one in rows if _is_same(one, question.data)), None)
    values: dict[str, Any] = {
        "source": question.source,
        "url": (question.urls or ("",))[0][:2000],
        "status": found.status,
        "reason": found.reason,
        "next_update_at": found.next_update_at,
        "asked_at": work.now,
    }
    if row is not None:
        work.change(CertificateStatusCheck, row.id, **values, ask_count=row.ask_count + 1)
        return
    names = {**_hashes(question.data), **values, "ask_count": 1, "first_asked_at": work.now}
    if len(rows) >= CHECKS_MAX:
        work.change(CertificateStatusCheck, rows[-1].id, **names)
    else:
        ids = {"organisation_id": station.organisation_id, "station_id": station.id, "identity": station.identity}
        work.insert(CertificateStatusCheck, **ids, **names)


def _hashes(data: HashData) -> dict[str, str]:
    return {
        "hash_algorithm": data.algorithm,
        "issuer_name_hash": data.issuer_name_hash,
        "issuer_key_hash": data.issuer_key_hash,
        "serial_number": data.serial_number,
    }


def _is_same(row: CertificateStatusCheck, data: HashData) -> bool:
    return all(getattr(row, name) == value for name, value in _hashes(data).items())


async def ev_certificate(work: Work, station: ConnectedStation, payload: Payload) -> Payload:
    """Get15118EVCertificate (2.0.1 M01, M02): the provider's answer, or Failed; nothing is made up here."""
    asked = station.recall(Asked)
    contract, asked.contract = asked.contract or Contract(False, reason=_UNASKED), None
    if contract.reason != TOO_OFTEN:  # a flood leaves its frames, and no rows here
        _keep_contract(work, station, payload, contract)
    answer: dict[str, Any] = {"status": "Accepted" if contract.is_accepted else "Failed", "exiResponse": contract.exi}
    if not contract.is_accepted:
        answer["statusInfo"] = _info(contract.reason)
    if station.version is Version.V21 and contract.remaining_contracts is not None:
        answer["remainingContracts"] = contract.remaining_contracts
    return answer


def _keep_contract(work: Work, station: ConnectedStation, payload: Payload, contract: Contract) -> None:
    work.insert(
        ContractRequest,
        organisation_id=station.organisation_id,
        station_id=station.id,
        identity=station.identity,
        at=work.now,
        action=str(payload.get("action", ""))[:20],
        schema_version=str(payload.get("iso15118SchemaVersion", ""))[:50],
        is_accepted=contract.is_accepted,
        reason=contract.reason,
        remaining_contracts=contract.remaining_contracts,
    )
