"""S26: tariffs, settlements and VAT numbers as OCPP 2.1 writes them (block I and C)."""

import re
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any, Final

Payload = dict[str, Any]

TARIFF_ID_CHARS_MAX: Final = 60
ASSIGNMENTS_MAX: Final = 500


class TariffState(StrEnum):
    """What became of a tariff on a station."""

    REQUESTED = "requested"
    INSTALLED = "installed"
    REFUSED = "refused"
    CLEARED = "cleared"
    GONE = "gone"
    """The station no longer names it."""


LIVE: Final = (TariffState.REQUESTED, TariffState.INSTALLED)


class TariffKind(StrEnum):
    """For whom it holds."""

    DEFAULT = "default"
    """Whoever has no tariff of their own."""
    DRIVER = "driver"
    """Given with an authorisation."""


REFUSALS: Final[Mapping[str, str]] = {
    "Rejected": "the station does not take it",
    "TooManyElements": "the tariff has more parts than the station can hold",
    "ConditionNotSupported": "the station cannot check one of the tariff's conditions",
    "DuplicateTariffId": "the station has a tariff of this id already",
    "TxNotFound": "the station knows no such charge",
    "NoCurrencyChange": "the currency may not change during a charge",
}


def refusal(word: str) -> str:
    """A refusal in plain words."""
    return REFUSALS.get(word, f"the station answered «{word}»")


def tariff_of(request: Payload) -> tuple[str, Payload] | None:
    """Id and content of the tariff in a request; None where there is none."""
    tariff = request.get("tariff")
    tariff_id = tariff.get("tariffId") if isinstance(tariff, dict) else None
    if not isinstance(tariff, dict) or not isinstance(tariff_id, str):
        return None
    return tariff_id[:TARIFF_ID_CHARS_MAX], tariff


def assignments_in(answer: Payload) -> Iterator[tuple[str, TariffKind, int]]:
    """Tariff id, kind and charge point number (0: all) of what a GetTariffs answer names."""
    told = answer.get("tariffAssignments")
    for one in (told if isinstance(told, list) else [])[:ASSIGNMENTS_MAX]:
        if not isinstance(one, dict) or not isinstance(one.get("tariffId"), str):
            continue
        kind = TariffKind.DRIVER if one.get("tariffKind") == "DriverTariff" else TariffKind.DEFAULT
        numbers = one.get("evseIds")
        for number in numbers if isinstance(numbers, list) and numbers else [0]:
            if isinstance(number, int):
                yield one["tariffId"][:TARIFF_ID_CHARS_MAX], kind, number


def cleared_in(answer: Payload) -> list[str] | None:
    """The tariff ids that a ClearTariffs answer says are cleared; None: all that were meant, without ids."""
    told = answer.get("clearTariffsResult")
    done = [
        one
        for one in (told if isinstance(told, list) else [])
        if isinstance(one, dict) and one.get("status") in ("Accepted", "NoTariff")
    ]
    ids = [str(one["tariffId"]) for one in done if one.get("tariffId") is not None]
    return None if done and not ids else ids


# VAT numbers: their form by country, as the EU Commission's VIES writes them; plus those of neighbours.
_VAT_FORMS: Final[Mapping[str, str]] = {
    "AT": r"U\d{8}",
    "BE": r"[01]\d{9}",
    "BG": r"\d{9,10}",
    "CH": r"E\d{9}(MWST|TVA|IVA)?",
    "CY": r"\d{8}[A-Z]",
    "CZ": r"\d{8,10}",
    "DE": r"\d{9}",
    "DK": r"\d{8}",
    "EE": r"\d{9}",
    "EL": r"\d{9}",
    "ES": r"[A-Z0-9]\d{7}[A-Z0-9]",
    "FI": r"\d{8}",
    "FR": r"[A-HJ-NP-Z0-9]{2}\d{9}",
    "GB": r"(\d{9}|\d{12}|(GD|HA)\d{3})",
    "HR": r"\d{11}",
    "HU": r"\d{8}",
    "IE": r"(\d{7}[A-W][A-IW]?|\d[A-Z+*]\d{5}[A-W])",
    "IT": r"\d{11}",
    "LT": r"(\d{9}|\d{12})",
    "LU": r"\d{8}",
    "LV": r"\d{11}",
    "MT": r"\d{8}",
    "NL": r"[A-Z0-9+*]{12}",
    "NO": r"\d{9}(MVA)?",
    "PL": r"\d{10}",
    "PT": r"\d{9}",
    "RO": r"\d{2,10}",
    "SE": r"\d{12}",
    "SI": r"\d{8}",
    "SK": r"\d{10}",
    "XI": r"(\d{9}|\d{12}|(GD|HA)\d{3})",
}
_NOISE: Final = re.compile(r"[\s.\-/]")


def vat_fault(number: str) -> str | None:
    """What is wrong with the form of a VAT number; None for one that may be right."""
    plain = _NOISE.sub("", number).upper()
    form = _VAT_FORMS.get(plain[:2])
    if form is None:
        return "it does not begin with a known country"
    if re.fullmatch(form, plain[2:]) is None:
        return f"numbers of {plain[:2]} have another form"
    return None
