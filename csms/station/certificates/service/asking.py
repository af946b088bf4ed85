"""B10: asks OCSP responders, revocation lists and the provider of contract certificates; before a call is handled."""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

import httpx
import orjson
from cryptography import x509
from sqlmodel import col, select

from csms.ocpp.versions import Version
from csms.platform.certificate_authority import read_chain
from csms.routing import ConnectedStation, Outside, Payload
from csms.station.certificates.model import StationCertificate
from csms.station.certificates.rules.installed import ROOT_KINDS, CertificateKind, HashData, read_hash_data
from csms.station.certificates.rules.status import (
    CertificateStatus,
    Contract,
    Found,
    failed,
    is_crl_signed,
    is_issuer,
    is_ocsp_signed,
    ocsp_request,
    read_contract,
    read_crl,
    read_ocsp,
    url_fault,
)

ASKED_PER_MINUTE_MAX: Final = 20
"""How often others are asked for one station."""
BYTES_MAX: Final = 2 * 1024 * 1024
URLS_MAX: Final = 5
QUESTIONS_MAX: Final = 4
CACHED_MAX: Final = 500
CACHED_FOR: Final = timedelta(hours=1)
KNOWN_ISSUERS_MAX: Final = 200
TIMEOUT_S: Final = 6.0
CONTRACT_CHARS_MAX: Final = {Version.V201: 7500, Version.V21: 17_000}
TOO_OFTEN: Final = "the station asks too often; nobody was asked"


@dataclass(frozen=True, slots=True)
class Question:
    """One certificate that a station asks about, and where to ask."""

    data: HashData
    source: str
    """OCSP or CRL."""
    urls: tuple[str, ...]


@dataclass(slots=True)
class Asked:
    """In a station's memory: what was found for the call that is about to be handled, and how often was asked."""

    found: list[Found] = field(default_factory=list)
    contract: Contract | None = None
    times: deque[datetime] = field(default_factory=deque)

    def may_ask(self, now: datetime) -> bool:
        while self.times and now - self.times[0] > timedelta(minutes=1):
            self.times.popleft()
        if len(self.times) >= ASKED_PER_MINUTE_MAX:
            return False
        self.times.append(now)
        return True


_cache: OrderedDict[tuple[str, bytes], tuple[bytes, datetime]] = OrderedDict()
"""Answers of responders, oldest first: many cars have the same sub-authorities."""


def read_question(payload: Payload) -> Question | None:
    """GetCertificateStatus (2.0.1 M06)."""
    value = payload.get("ocspRequestData")
    data = read_hash_data(value)
    if data is None or not isinstance(value, dict):
        return None
    return Question(data, "OCSP", (str(value.get("responderURL", "")),))


def read_questions(payload: Payload) -> list[Question]:
    """GetCertificateChainStatus (2.1 M07)."""
    items = payload.get("certificateStatusRequests")
    found = []
    for item in items[:QUESTIONS_MAX] if isinstance(items, list) else ():
        data = read_hash_data(item.get("certificateHashData")) if isinstance(item, dict) else None
        urls = item.get("urls") if data is not None else None
        if data is not None and isinstance(urls, list):
            source = "CRL" if item.get("source") == "CRL" else "OCSP"
            found.append(Question(data, source, tuple(str(url) for url in urls[:URLS_MAX])))
    return found


async def ask_status(outside: Outside, station: ConnectedStation, payload: Payload) -> None:
    """For GetCertificateStatus: the station checks the responder's signature itself."""
    question = read_question(payload)
    asked = station.recall(Asked)
    asked.found = [failed("the question took too long")]
    if question is None:
        asked.found = [failed("the question cannot be read")]
    elif not asked.may_ask(outside.store.clock()):
        asked.found = [failed(TOO_OFTEN)]
    else:
        asked.found = [await _ask(outside, question, issuers=None)]


async def ask_chain(outside: Outside, station: ConnectedStation, payload: Payload) -> None:
    """For GetCertificateChainStatus: the station gets our word only, so the signature is checked here."""
    questions = read_questions(payload)
    asked = station.recall(Asked)
    asked.found = [failed("the question took too long")] * len(questions)
    if not asked.may_ask(outside.store.clock()):
        asked.found = [failed(TOO_OFTEN)] * len(questions)
        return
    issuers = await known_issuers(outside, station)
    asked.found = list(await asyncio.gather(*(_ask(outside, one, issuers=issuers) for one in questions)))


async def known_issuers(
    outside: Outside, station: ConnectedStation, kinds: Sequence[CertificateKind] = ROOT_KINDS
) -> list[x509.Certificate]:
    """Roots that were installed on stations of the organisation."""
    query = (
        select(StationCertificate.pem)
        .where(
            StationCertificate.organisation_id == station.organisation_id,
            col(StationCertificate.kind).in_(kinds),
            col(StationCertificate.pem).is_not(None),
        )
        .distinct()
        .limit(KNOWN_ISSUERS_MAX)
    )
    async with outside.store.reading() as work:
        texts = (await work.session.exec(query)).all()
    return [read_chain(text)[0] for text in texts if text]


async def ask_about(
    outside: Outside,
    station: ConnectedStation,
    questions: Sequence[tuple[HashData, Sequence[str]]],
    issuers: Sequence[x509.Certificate],
) -> list[Found]:
    """What responders say of certificates, each at its addresses; only answers that can be trusted count."""
    if not station.recall(Asked).may_ask(outside.store.clock()):
        return [failed(TOO_OFTEN)] * len(questions)
    asked = (Question(data, "OCSP", tuple(urls[:URLS_MAX])) for data, urls in questions)
    return list(await asyncio.gather(*(_ask(outside, one, issuers=issuers) for one in asked)))


async def _ask(outside: Outside, question: Question, issuers: Sequence[x509.Certificate] | None) -> Found:
    """The first of the addresses that brings an answer; with `issuers`, one that can be trusted."""
    result = failed("no address was given")
    for url in question.urls:
        fault = url_fault(url, outside.settings.ocsp_allowed_hosts)
        if fault is not None:
            result = failed(fault)
            continue
        try:
            result = await _ask_at(outside, question, url, issuers)
        except httpx.HTTPError as error:
            result = failed(f"no answer from {httpx.URL(url).host}: {type(error).__name__}")
        if result.status is not CertificateStatus.FAILED:
            break
    return result


async def _ask_at(outside: Outside, question: Question, url: str, issuers: Sequence[x509.Certificate] | None) -> Found:
    now = outside.store.clock()
    body = b""
    if question.source == "CRL":
        text = await _fetch(outside, "GET", url, body, now)
        found, crl = read_crl(text, question.data, now)
        is_signed = crl is not None and any(
            is_crl_signed(crl, one) for one in issuers or () if is_issuer(one, question.data)
        )
    else:
        body = ocsp_request(question.data) or b""
        if not body:
            return failed("the certificate's hashes cannot be read")
        text = await _fetch(outside, "POST", url, body, now)
        found = read_ocsp(text, question.data, now)
        is_signed = any(is_ocsp_signed(text, one) for one in issuers or () if is_issuer(one, question.data))
    if found.status is CertificateStatus.FAILED:
        _cache.pop((url, body), None)  # it may be better the next time
        return found
    if issuers is None or is_signed or url.lower().startswith("https://"):
        return found
    return failed("the answer came unprotected, and its signer is not known: install the issuer's root certificate")


async def _fetch(outside: Outside, method: str, url: str, body: bytes, now: datetime) -> bytes:
    """Raises httpx.HTTPError."""
    known = _cache.get((url, body))
    if known is not None and known[1] > now:
        return known[0]
    headers = {"content-type": "application/ocsp-request"} if body else {}
    async with outside.http.stream(method, url, content=body or None, headers=headers, timeout=TIMEOUT_S) as response:
        response.raise_for_status()
        if response.is_redirect:
            raise httpx.UnsupportedProtocol("redirects are not followed")
        text = b""
        async for chunk in response.aiter_bytes():
            text += chunk
            if len(text) > BYTES_MAX:
                raise httpx.DecodingError("the answer is too long")
    _cache[url, body] = (text, now + CACHED_FOR)
    if len(_cache) > CACHED_MAX:
        _cache.popitem(last=False)
    return text


async def ask_contract(outside: Outside, station: ConnectedStation, payload: Payload) -> None:
    """For Get15118EVCertificate: the provider gets OCPP's own payload and answers in OCPP's own words."""
    asked = station.recall(Asked)
    asked.contract = Contract(False, reason="the provider took too long")
    settings = outside.settings
    if settings.contract_provider_url is None:
        asked.contract = Contract(False, reason="there is no provider of contract certificates")
    elif not asked.may_ask(outside.store.clock()):
        asked.contract = Contract(False, reason=TOO_OFTEN)
    else:
        try:
            asked.contract = await _ask_provider(outside, station, payload, settings.contract_provider_url)
        except httpx.HTTPError as error:
            asked.contract = Contract(False, reason=f"no answer from the provider: {type(error).__name__}")


async def _ask_provider(outside: Outside, station: ConnectedStation, payload: Payload, url: str) -> Contract:
    token = outside.settings.contract_provider_token
    headers = {"content-type": "application/json", "x-station-id": station.identity}
    if token is not None:
        headers["authorization"] = f"Bearer {token.get_secret_value()}"
    response = await outside.http.post(url, content=orjson.dumps(payload), headers=headers, timeout=TIMEOUT_S)
    response.raise_for_status()
    answer: Any
    try:
        answer = orjson.loads(response.content[:BYTES_MAX])
    except ValueError:
        answer = None
    return read_contract(answer, CONTRACT_CHARS_MAX.get(station.version, 7500))
