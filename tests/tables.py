"""Makes docs/ocpp-actions.md and docs/octt.md out of routes, API and tests: `python -m tests.tables` writes them."""

import ast
import inspect
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from csms.config import Settings
from csms.ocpp.actions import ACTIONS, Action
from csms.ocpp.versions import VERSIONS_2, Version
from csms.routing import Routes, find_routes
from datasheet_api.app import build
from datasheet_api.openapi import operations

_OCTT_CASE: Final = re.compile(r"TC_(0[0-9]{2}(_[1-9])?|[A-S]_[0-9]{2,3})_CSMS")
ROOT: Final = Path(__file__).parent.parent
ACTIONS_PAGE: Final = ROOT / "docs" / "ocpp-actions.md"
OCTT_PAGE: Final = ROOT / "docs" / "octt.md"

_PREFIXES: Final[Mapping[str, tuple[Version, ...]]] = {
    "1.6": (Version.V16,),
    "2.0.1": (Version.V201,),
    "2.1": (Version.V21,),
    "2.x": VERSIONS_2,
}
ALL_COMMANDS: Final = "to station"
"""As in `ocpp("2.x to station")`: a test that tries every action of that direction."""
_COMMANDS: Final = "POST /api/v1/stations/{station_id}/commands/"


_ACTIONS_HEAD: Final = f"""\
# Every OCPP action

Made from the routes, the API and the tests by `python -m tests.tables`; a test fails when it is out of date or a cell
is empty. *Handler*: who handles the station's call, or stores its answer to ours (every command is kept as a command
log besides). *Resource*: where it is sent or shown; every action towards a station can be sent as
`{_COMMANDS}{{Action}}` too.
"""
_OCTT_HEAD: Final = """\
# Test cases of the Open Charge Alliance

The compliance test tool's cases for a CSMS that our own tests cover, by their ids in the OCA's lists. The tool itself
was not run, and the OCA's own test case documents were not at hand. Each id was compared, by its title and by what it
wants of a CSMS, with public sources: test suites of other systems that repeat the cases, published results of runs of
the tool, and the OCA's errata of OCPP 2.0.1 where they name a case. For 1.6 and 2.0.1 at least two independent sources
agree on each; the cases that came with 2.1 (three digits) stand in one. What a case wants of the tool or of a person is
left out. Made by `python -m tests.tables`.

| case | tests |
| --- | --- |
"""


@dataclass(frozen=True, order=True)
class Place:
    """A test, or a class or file of tests."""

    path: str
    name: str

    def __str__(self) -> str:
        return f"`{self.path.removeprefix('tests/')}` {self.name}".strip()


def marked(name: str) -> Iterator[tuple[str, Place]]:
    """Each text given to `pytest.mark.<name>(…)`, and what is marked with it."""
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        relative = str(path.relative_to(ROOT))
        yield from _marked(ast.parse(path.read_text()), name, relative, "")


def _marked(node: ast.AST, name: str, path: str, owner: str) -> Iterator[tuple[str, Place]]:
    for child in ast.iter_child_nodes(node):
        is_named = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        inner = child.name if is_named else owner  # type: ignore[attr-defined]  # the three have names
        if isinstance(child, ast.Call) and isinstance(child.func, ast.Attribute) and child.func.attr == name:
            for argument in child.args:
                if isinstance(argument, ast.Constant):
                    yield str(argument.value), Place(path, inner)
        yield from _marked(child, name, path, inner)


def tests_of_actions() -> dict[tuple[Version, str], list[Place]]:
    """Which tests send or receive an action, those first that name it. Raises ValueError for a mark that names none."""
    found: dict[tuple[Version, str], set[tuple[bool, Place]]] = defaultdict(set)
    for text, place in marked("ocpp"):
        prefix, _, wanted = text.partition(" ")
        keys = [
            (version, action.name)
            for version in _PREFIXES.get(prefix, ())
            for action in ACTIONS[version].values()
            if action.name == wanted or (wanted == ALL_COMMANDS and action.is_to_station)
        ]
        if not keys:
            raise ValueError(f"{place}: {text!r} names no action; write as in '1.6 GetLog', '2.x GetLog'")
        for key in keys:
            found[key].add((wanted == ALL_COMMANDS, place))
    return {key: [place for _, place in sorted(places)] for key, places in found.items()}


def resources() -> dict[str, list[str]]:
    """The API's operations by the OCPP action behind them."""
    found: dict[str, list[str]] = defaultdict(list)
    for path, method, operation in operations(build(Settings()).openapi()):
        for action in operation.get("x-ocpp-actions", ()):
            found[action].append(f"{method.upper()} {path}")
    return found


def _where(function: Callable[..., Any]) -> str:
    path = Path(inspect.getfile(function)).relative_to(ROOT)
    return f"`{path}` {function.__name__}"


def handlers(routes: Routes, version: Version, action: Action) -> str:
    """Who handles the station's call, or stores the answer to ours."""
    found = []
    if action.is_from_station and (handler := routes.handler_of(version, action.name)) is not None:
        found.append(_where(handler))
    if action.is_to_station:
        kept_by = [_where(one) for one in routes.answered_by(version, action.name)]
        found += kept_by or ["`csms/station/commands/service.py` send"]
    return "<br>".join(dict.fromkeys(found))


def actions_page() -> str:
    """The table of all actions."""
    routes, tests, offered = find_routes(), tests_of_actions(), resources()
    lines = _ACTIONS_HEAD.splitlines()
    for version in Version:
        known = ACTIONS[version]
        lines += ["", f"## {version.value} ({len(known)})", "", "| action | direction | handler | resource | tests |"]
        lines.append("| --- | --- | --- | --- | --- |")
        for action in sorted(known.values(), key=lambda one: one.name):
            paths = _shortest(offered.get(action.name, ()))
            if action.is_to_station and not paths:
                paths = [f"{_COMMANDS}{action.name}"]
            cells = (
                action.name,
                action.direction.value,
                handlers(routes, version, action),
                "<br>".join(f"`{path}`" for path in paths),
                _some([str(one) for one in tests.get((version, action.name), ())]),
            )
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _shortest(paths: Iterable[str]) -> list[str]:
    return sorted(set(paths), key=lambda path: (len(path), path))[:2]


def _some(texts: list[str]) -> str:
    shown = "<br>".join(texts[:2])
    return f"{shown}<br>and {len(texts) - 2} more" if len(texts) > 2 else shown


def empty_cells(page: str) -> list[str]:
    """The rows of a page's tables that lack something."""
    return [line for line in page.splitlines() if line.startswith("|") and "|  |" in line]


def octt_page() -> str:
    """Which test cases of the OCA's lists are covered by which tests."""
    found: dict[str, set[Place]] = defaultdict(set)
    for case, place in marked("octt"):
        if not _OCTT_CASE.fullmatch(case):
            raise ValueError(
                f"{place}: {case!r} is no test case of a CSMS; write as in 'TC_040_1_CSMS', 'TC_B_30_CSMS'"
            )
        found[case].add(place)
    lines = _OCTT_HEAD.splitlines()
    lines += [
        f"| {case} | {_some([str(one) for one in sorted(found[case])])} |" for case in sorted(found, key=_in_order)
    ]
    return "\n".join(lines) + "\n"


def _in_order(case: str) -> list[tuple[int, int | str]]:
    return [(0, int(part)) if part.isdigit() else (1, part) for part in case.split("_")]


def main() -> None:
    ACTIONS_PAGE.write_text(actions_page())
    OCTT_PAGE.write_text(octt_page())


if __name__ == "__main__":
    main()
