"""S15: what settings and monitors have in common in words: components, results one by one, reports in parts."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from csms.wording import Level, Payload, Words, count_of, items_of, said, sentence, within

_NAMES_SHOWN: Final = 5
_PROBLEMS: Final[Mapping[str, str]] = {
    "Rejected": "will not",
    "UnknownComponent": "does not have",
    "UnknownVariable": "does not have",
    "NotSupportedAttributeType": "has no such attribute of",
    "UnsupportedMonitorType": "cannot watch in this way",
    "Duplicate": "watches already",
    "NotFound": "does not have",
}
REPORT_VERDICTS: Final[Mapping[str, Words]] = {
    "Accepted": Words("it will, in parts"),
    "EmptyResultSet": Words("it has nothing of this kind"),
    "Rejected": Words("it will not now", Level.WARNING, "It may be sending another report.", "Try again later."),
}


def item_name(item: Payload) -> str:
    """`Component.Variable`, with the charge point where it has one."""
    component, variable = within(item, "component"), within(item, "variable")
    place = component.get("evse")
    at = f"#{said(place.get('id'))}" if isinstance(place, Mapping) else ""
    name = f"{said(component.get('name', '?'))}{at}"
    return f"{name}.{said(variable['name'])}" if variable.get("name") else name


def item_names(payload: Payload, field: str) -> str:
    """Those of a whole list, as far as a line holds them."""
    names = [item_name(item) for item in items_of(payload, field)]
    more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
    return shortened(names) + more


def shortened(names: Sequence[str]) -> str:
    return ", ".join(names[:_NAMES_SHOWN])


def faults_told(results: Sequence[Payload], field: str, good: Sequence[str]) -> str:
    """What did not work: results whose word in that field is none of the good ones."""
    bad = [item for item in results if item.get(field) not in good]
    text = shortened([f"it {_PROBLEMS.get(str(item.get(field)), 'refuses')} {item_name(item)}" for item in bad])
    return f"{sentence(text)}." if text else ""


def part_told(what: str, field: str) -> Callable[[Payload, Payload], Words]:
    """Words for one part of a report."""

    def tell(request: Payload, _answer: Payload) -> Words:
        number = request.get("seqNo")
        end = "more follow" if request.get("tbc") is True else "that is all"
        part = f" (part {number + 1})" if isinstance(number, int) else ""
        return Words(f"The station reported {count_of(request, field)} {what}{part}; {end}.")

    return tell
