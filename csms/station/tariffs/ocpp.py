"""S26: tariffs, settlements and VAT numbers of OCPP 2.1."""

from csms.ocpp import timestamps
from csms.ocpp.reading import integer_of
from csms.ocpp.versions import Version
from csms.routing import Answered, ConnectedStation, Payload, Route
from csms.station.tariffs.model import Settlement, VatCheck
from csms.station.tariffs.rules import TariffKind, TariffState, cleared_in, refusal, tariff_of, vat_fault
from csms.station.tariffs.service import add_told, known, note_assignments, note_cleared, settle
from csms.store import Work

UNVERIFIED = "its form is right, but nobody here can say whether it was given out"


def _number(payload: Payload, name: str = "evseId") -> int:
    return integer_of(payload.get(name)) or 0


async def default_answered(work: Work, station: ConnectedStation, request: Payload, answer: Payload) -> None:
    """2.1 I07: it takes the place of the charge point's default tariff."""
    tariff, word = tariff_of(request), str(answer.get("status"))[:40]
    if tariff is None:
        return
    rows = await known(work, station)
    key = _number(request), tariff[0]
    row = rows.get(key)
    if word == "Accepted":
        for (number, tariff_id), other in rows.items():
            is_replaced = number == key[0] and tariff_id != key[1] and other.state is TariffState.INSTALLED
            if is_replaced and other.kind is TariffKind.DEFAULT:
                settle(work, other, TariffState.GONE, f"tariff {key[1]} took its place")
        if row is None:
            add_told(work, station, key, TariffKind.DEFAULT, tariff[1])
        else:
            settle(work, row, TariffState.INSTALLED)
    elif row is not None and row.state is TariffState.REQUESTED:
        settle(work, row, TariffState.REFUSED, refusal(word))


async def get_answered(work: Work, station: ConnectedStation, request: Payload, answer: Payload) -> None:
    """2.1 I09: `NoTariff` means that there is none."""
    if answer.get("status") in ("Accepted", "NoTariff"):
        await note_assignments(work, station, _number(request), answer)


async def clear_answered(work: Work, station: ConnectedStation, request: Payload, answer: Payload) -> None:
    """2.1 I10: a result for each tariff, or one for all."""
    asked = request.get("tariffIds")
    ids = cleared_in(answer)
    if ids is None and isinstance(asked, list):
        ids = [str(one) for one in asked]
    await note_cleared(work, station, _number(request) or None, ids)


async def settlement(work: Work, station: ConnectedStation, payload: Payload) -> Payload:
    """2.1 C22: kept; receipts are the payment service's."""
    reading, amount = timestamps.read(payload.get("settlementTime")), payload.get("settlementAmount")
    work.insert(
        Settlement,
        organisation_id=station.organisation_id,
        station_id=station.id,
        transaction_id=_text(payload, "transactionId", 64),
        reference=_text(payload, "pspRef", 255) or "",
        status=_text(payload, "status", 40) or "",
        amount=float(amount) if isinstance(amount, int | float) and abs(amount) <= 10**12 else 0.0,
        settled_at=work.now if reading is None else reading.at,
        received_at=work.now,
        receipt_id=_text(payload, "receiptId", 50),
        receipt_url=_text(payload, "receiptUrl", 2000),
        info=_text(payload, "statusInfo", 500),
    )
    return {}


def _text(payload: Payload, name: str, chars_max: int) -> str | None:
    value = payload.get(name)
    return None if value is None else str(value)[:chars_max]


async def validate_vat(work: Work, station: ConnectedStation, payload: Payload) -> Payload:
    """2.1 C25: a number is confirmed only by whoever gives them out, so without such a service none is."""
    number = _text(payload, "vatNumber", 20) or ""
    reason = vat_fault(number) or UNVERIFIED
    evse = payload.get("evseId")
    work.insert(
        VatCheck,
        organisation_id=station.organisation_id,
        station_id=station.id,
        vat_number=number,
        charge_point_number=_number(payload) if isinstance(evse, int) else None,
        asked_at=work.now,
        is_confirmed=False,
        reason=reason,
    )
    code = "NotVerified" if reason is UNVERIFIED else "InvalidVatNumber"
    answer = {"vatNumber": number, "status": "Rejected", "statusInfo": {"reasonCode": code, "additionalInfo": reason}}
    return answer if not isinstance(evse, int) else answer | {"evseId": evse}


ROUTES = (
    Route(Version.V21, "NotifySettlement", settlement),
    Route(Version.V21, "VatNumberValidation", validate_vat),
)
ANSWERED = (
    Answered(Version.V21, "SetDefaultTariff", default_answered),
    Answered(Version.V21, "GetTariffs", get_answered),
    Answered(Version.V21, "ClearTariffs", clear_answered),
)
