"""S15: which recommended values concern a station, and whether it has them."""

from collections.abc import Iterable
from dataclasses import dataclass

from csms.ocpp.versions import Version
from csms.station.settings.rules.addresses import Address
from csms.station.settings.rules.checking import is_same
from csms.station.settings.rules.vocabulary import find_common, resolve
from csms.station.settings.rules.words import DataType


@dataclass(frozen=True, slots=True)
class Recommended:
    """A recommended value, and the stations it is for; None: of any make."""

    name: str
    value: str
    vendor: str | None = None
    model: str | None = None

    def concerns(self, vendor: str | None, model: str | None) -> bool:
        return _is_like(self.vendor, vendor) and _is_like(self.model, model)

    @property
    def weight(self) -> int:
        """The more narrowly it is meant, the more it weighs; a model more than a vendor."""
        return (self.vendor is not None) + 2 * (self.model is not None)


def _is_like(wanted: str | None, told: str | None) -> bool:
    return wanted is None or (told is not None and wanted.strip().lower() == told.strip().lower())


def address_of(name: str, version: Version) -> Address | None:
    """Where stations of that version have the setting; None where the name is of the other protocol."""
    if find_common(name) is None and version is Version.V16 and _is_of_2(name):
        return None
    return resolve(name, version)


def _is_of_2(name: str) -> bool:
    """Vendors' own keys of 1.6 may have a dot too, but then no capital after it, as variables of 2.x have."""
    before, dot, after = name.strip().partition(".")
    return bool(dot) and before[:1].isupper() and after[:1].isupper()


def recommended_for(
    every: Iterable[Recommended], version: Version, vendor: str | None, model: str | None
) -> dict[str, tuple[Address, Recommended]]:
    """What is recommended for a station, by the setting's key; of several the one that is meant most narrowly."""
    found: dict[str, tuple[Address, Recommended]] = {}
    for one in sorted((one for one in every if one.concerns(vendor, model)), key=lambda one: one.weight):
        address = address_of(one.name, version)
        if address is not None:
            found[address.key] = (address, one)
    return found


def deviates(data_type: DataType | None, value: str | None, recommended: str) -> bool | None:
    """Whether a value is another than recommended; None while it is not known."""
    return None if value is None else not is_same(data_type, value, recommended)
