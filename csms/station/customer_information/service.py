"""B3: asking stations what they know of a customer, putting the answer together, letting them delete it."""

import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from sqlmodel import col, select, update
from sqlmodel.sql.expression import SelectOfScalar

from csms.exceptions import Conflict, NotFound
from csms.ocpp.versions import Version
from csms.rights import Caller
from csms.routing import ConnectedStation
from csms.runtime import Runtime
from csms.station.commands import send_for, version_of
from csms.station.customer_information.model import CustomerInformationRequest
from csms.station.customer_information.rules import (
    ACCEPTED,
    ENDED,
    REQUEST_ID_MAX,
    InformationState,
    answered_state,
    is_whole,
    part_of,
    refusal,
    request_number,
)
from csms.station.information import Station, fact_about, get_station
from csms.station.tokens import Token, read_id_token, token_key
from csms.store import Work

AWAITED_MAX: Final = 20
"""Questions to one station that are open at a time."""
PART_TIMEOUT: Final = timedelta(minutes=10)

Payload = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Question:
    """`who` is the part of the request that names the customer, `subject` the same in words."""

    who: Payload
    subject: str
    wants_report: bool
    wants_deletion: bool


def requests_query(station: Station) -> SelectOfScalar[CustomerInformationRequest]:
    """All questions to the station."""
    return select(CustomerInformationRequest).where(CustomerInformationRequest.station_id == station.id)


async def get_request(work: Work, station: Station, request_id: int) -> CustomerInformationRequest:
    """Raises NotFound, also for another station's."""
    query = requests_query(station).where(CustomerInformationRequest.id == request_id)
    found = (await work.session.exec(query)).first()
    if found is None:
        raise NotFound(f"{station.identity} was asked no such question; GET its customer-information lists them")
    return found


async def ask(runtime: Runtime, caller: Caller, identity: str, question: Question) -> CustomerInformationRequest:
    """Ask the station; the row says what came of it, and holds the parts as they come.

    Raises NotFound, and Conflict for a 1.6 station or one that has too many questions open.
    """
    async with runtime.store.writing(caller) as work:
        row = await _add(work, await get_station(work, identity), question)
    request = {
        "requestId": row.number,
        "report": question.wants_report,
        "clear": question.wants_deletion,
        **question.who,
    }
    return await send_for(
        runtime,
        caller,
        identity,
        row,
        action="CustomerInformation",
        payload=request,
        refuse=_refuse,
        perhaps="it may not know how",
    )


async def _add(work: Work, station: Station, question: Question) -> CustomerInformationRequest:
    if version_of(station) is Version.V16:
        raise Conflict("OCPP 1.6 cannot ask for customer information; 2.0.1 and later can")
    is_open = col(CustomerInformationRequest.state).not_in(ENDED)
    if len((await work.session.exec(requests_query(station).where(is_open).limit(AWAITED_MAX))).all()) >= AWAITED_MAX:
        raise Conflict(f"{AWAITED_MAX} questions to this station are open; wait for their answers")
    row = CustomerInformationRequest(
        organisation_id=station.organisation_id,
        station_id=station.id,
        number=secrets.randbelow(REQUEST_ID_MAX) + 1,
        subject=question.subject,
        wants_report=question.wants_report,
        wants_deletion=question.wants_deletion,
        state=InformationState.REQUESTED,
        parts={},
        requested_at=work.now,
        requested_by=work.actor.name,
        last_news_at=work.now,
    )
    work.session.add(row)
    await work.session.flush()
    return row


def _refuse(work: Work, row: CustomerInformationRequest, reason: str) -> None:
    if row.state is InformationState.REQUESTED:
        row.state, row.reason, row.last_news_at = InformationState.REFUSED, reason, work.now


async def forget(work: Work, station: Station, request_id: int) -> None:
    """Delete what came back."""
    await work.session.delete(await get_request(work, station, request_id))


async def give_up_late(work: Work) -> None:
    """Parts that stayed away for too long are not waited for."""
    await work.session.exec(
        update(CustomerInformationRequest)
        .where(
            col(CustomerInformationRequest.state).not_in(ENDED),
            col(CustomerInformationRequest.last_news_at) < work.now - PART_TIMEOUT,
        )
        .values(state=InformationState.INCOMPLETE, reason="the rest did not come in time", last_news_at=work.now)
    )


# In the broker's units of work


async def _find(work: Work, station: ConnectedStation, payload: Payload) -> CustomerInformationRequest | None:
    number = request_number(payload)
    if number is None:
        return None
    query = select(CustomerInformationRequest).where(
        CustomerInformationRequest.station_id == station.id, CustomerInformationRequest.number == number
    )
    return (await work.session.exec(query)).first()


async def note_answer(work: Work, station: ConnectedStation, request: Payload, answer: Payload) -> None:
    """The station's word; a question by a raw command has no row, and nothing of it is kept."""
    if request.get("clear") is True and answer.get("status") == ACCEPTED:
        await _tell_of_deletion(work, station, request)
    row = await _find(work, station, request)
    if row is None or row.state in ENDED:
        return
    word = str(answer.get("status"))[:40]
    state = answered_state(word, wants_report=row.wants_report)
    reason = refusal(word) if state is InformationState.REFUSED else None
    if state is InformationState.AWAITED and is_whole(row.parts, row.last_part):
        state = InformationState.COMPLETE  # parts may overtake the answer
    work.change(CustomerInformationRequest, row.id, state=state, reason=reason, last_news_at=work.now)


async def _tell_of_deletion(work: Work, station: ConnectedStation, request: Payload) -> None:
    """For those who keep more of the customer on the station than it deletes by itself."""
    uid, _kind = read_id_token(request.get("idToken"))
    query = select(Token.id).where(Token.organisation_id == station.organisation_id, Token.uid_key == token_key(uid))
    token_id = (await work.session.exec(query)).first()
    if token_id is not None:
        work.emit(fact_about(station, "customer_deleted", {"token_id": str(token_id)}))


async def note_part(work: Work, station: ConnectedStation, payload: Payload) -> None:
    """A part of the report; one that nobody asked for is not kept."""
    row, part = await _find(work, station, payload), part_of(payload)
    if row is None or part is None:
        return
    number, text = part
    parts = {**row.parts, str(number): text}
    last = row.last_part if payload.get("tbc") is True else number
    values: dict[str, Any] = {"parts": parts, "last_part": last, "last_news_at": work.now}
    if is_whole(parts, last):
        values |= {"state": InformationState.COMPLETE, "reason": None}
    work.change(CustomerInformationRequest, row.id, **values)
