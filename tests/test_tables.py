"""The tables in docs are those of the code: every action has a handler, a resource and a test."""

from tests import tables


def test_every_action_has_a_handler_a_resource_and_a_test() -> None:
    assert tables.empty_cells(tables.actions_page()) == []


def test_the_pages_are_up_to_date() -> None:
    assert tables.ACTIONS_PAGE.read_text() == tables.actions_page(), "run `python -m tests.tables`"
    assert tables.OCTT_PAGE.read_text() == tables.octt_page(), "run `python -m tests.tables`"
