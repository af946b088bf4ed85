"""S10: the feature that owns a message has the operator's words for it, in its own folder."""

from collections import defaultdict
from collections.abc import Iterator
from functools import cache

import pytest
from fastapi import APIRouter, FastAPI

from csms.features import Feature, features, offered
from csms.ocpp.actions import from_station, to_station
from csms.ocpp.schema import check
from csms.ocpp.versions import Version
from csms.station.commands.examples import examples_of, purpose_of
from csms.station.logs import Exchange, describe
from csms.station.logs.rules import Vocabulary
from csms.wording import Ask, Tell, Words
from datasheet_api.openapi import operations

pytestmark = pytest.mark.feature("S10")

TOLD = [(version, action.name) for version in Version for action in from_station(version)]
ASKED = [(version, action.name) for version in Version for action in to_station(version)]


def worded_by(kind: type[Tell | Ask], action: str) -> set[str]:
    """The features with words for that message."""
    return {
        feature.path
        for feature in features()
        for one in getattr(feature.parts.get("words"), "WORDS", ())
        if isinstance(one, kind) and one.action == action
    }


def handled(feature: Feature, *offers: str) -> Iterator[tuple[Version, str]]:
    """What the feature says in its `ocpp.py` that it handles."""
    for offer in offers:
        for one in getattr(feature.parts.get("ocpp"), offer, ()):
            versions = (one.versions,) if isinstance(one.versions, Version) else one.versions
            yield from ((version, one.action) for version in versions)


@cache
def senders() -> dict[str, set[str]]:
    """The features with resources that send or show an action, but for the raw commands, which send everything."""
    found: dict[str, set[str]] = defaultdict(set)
    for feature in features():
        app = FastAPI()
        app.include_router(getattr(feature.parts.get("api"), "router", APIRouter()))
        for path, _, operation in operations(app.openapi()):
            for action in operation.get("x-ocpp-actions", ()) if "/commands/" not in path else ():
                found[action].add(feature.path)
    return found


@pytest.mark.parametrize(("version", "action"), TOLD)
def test_the_feature_that_answers_a_message_words_it(version: Version, action: str) -> None:
    owners = {feature.path for feature in features() if (version, action) in handled(feature, "ROUTES")}
    assert len(owners) <= 1
    assert worded_by(Tell, action) == owners


def test_what_features_observe_has_words() -> None:
    observed = {action for feature in features() for _, action in handled(feature, "OBSERVES", "PREPARES")}
    assert observed
    assert not {action for action in observed if len(worded_by(Tell, action)) != 1}


@pytest.mark.parametrize(("version", "action"), ASKED)
def test_a_feature_that_sends_a_request_words_it(version: Version, action: str) -> None:
    """Several may send one; one of them owns its words. What none sends belongs to the raw commands."""
    keepers = {feature.path for feature in features() if (version, action) in handled(feature, "ANSWERED")}
    concerned = keepers | senders()[action]
    words = worded_by(Ask, action)
    assert len(words) == 1 if concerned else len(words) <= 1
    assert words <= (concerned or {"station.commands"})
    if words:
        request = examples_of(version)[action]
        text = describe(Exchange(action, from_station=False, outcome="answered", request=request, answer={})).text
        assert text.startswith("Asked to ")
        assert f"do {action}" not in text


@pytest.mark.parametrize("version", list(Version))
def test_what_a_feature_words_it_gives_a_purpose_and_a_valid_example(version: Version) -> None:
    sent = {action.name for action in to_station(version)}
    worded = {one.action for one in offered("words", "WORDS") if isinstance(one, Ask)} & sent
    examples = examples_of(version)
    assert set(examples) == worded
    assert not [action for action in worded if purpose_of(action) == f"Send {action}"]
    assert not {action: found for action in worded if (found := check(version, action, "request", examples[action]))}


def test_an_action_that_no_feature_words_has_a_purpose_all_the_same() -> None:
    assert purpose_of("Hello") == "Send Hello"


def test_words_are_for_actions_that_the_standard_has() -> None:
    known = {action for _, action in TOLD}, {action for _, action in ASKED}
    for feature in features():
        for one in getattr(feature.parts.get("words"), "WORDS", ()):
            assert one.action in known[isinstance(one, Ask)], feature.path


def test_no_message_is_worded_twice() -> None:
    alive = Tell("Heartbeat", lambda _request, _answer: Words("The station is alive."))
    with pytest.raises(ValueError, match="Heartbeat"):
        Vocabulary([alive, alive])


def test_a_message_that_no_feature_words_is_told_by_its_name() -> None:
    vocabulary = Vocabulary([])
    assert vocabulary.told("Hello", {}, {}) == Words("The station sent Hello.")
    assert vocabulary.answered("Hello", {}, {"status": "Accepted"}) == Words("Asked to do Hello: it will.")
