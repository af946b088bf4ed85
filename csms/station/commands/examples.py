"""B3: what each action is for, and a valid request of it, as the features say in their `words.py`."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from csms.features import offered
from csms.ocpp.actions import to_station
from csms.ocpp.versions import Version
from csms.wording import Example


def purpose_of(action: str) -> str:
    """In words; of an action that no feature speaks of, its name."""
    example = _offered().get(action)
    return example.purpose if example else f"Send {action}"


@cache
def examples_of(version: Version) -> dict[str, dict[str, Any]]:
    """The requests, by action, as far as features offer them."""
    offers = [_offered().get(action.name) for action in to_station(version)]
    found = {one.action: one.v16 if version is Version.V16 else one.v2 for one in offers if one}
    return {action: dict(request) for action, request in found.items() if request is not None}


@cache
def _offered() -> Mapping[str, Example]:
    return {example.action: example for example in offered("words", "EXAMPLES")}
