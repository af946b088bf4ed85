"""DESIGN: who may import whom inside and between features, and which library belongs where. The layers themselves are
contracts of import-linter (`make check`)."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from csms.features import AREAS, features

ROOT = Path(__file__).parent.parent
PACKAGES = ("csms", "broker", "datasheet_api", "file_server", "simulators")

LIBRARIES = {
    "fastapi": ("csms/web.py", "datasheet_api/", "/api.py", "/api/"),
    "starlette": ("csms/web.py", "datasheet_api/", "/api.py", "/api/"),
    "websockets": ("broker/", "simulators/"),
    "nats": ("csms/bus/nats.py",),
    "apscheduler": ("csms/jobs.py",),
    "aioftp": ("file_server/", "simulators/transfers.py"),
    "aiosmtplib": ("csms/mail.py",),
    "geojson": ("csms/fleet/feeds/",),
    "typer": ("csms/cli.py", "simulators/cli.py", "simulators/load.py"),
}
"""Where a library may be imported: a path that begins or ends so, or has that folder (`/api/`)."""

ORDER = ("rules", "model", "service", "api")
"""Inside a feature, each may import what stands before it; ocpp and jobs stand beside api."""
PURE = ("csms.ocpp", "csms.rights", "csms.exceptions", "csms.wording")
"""What `rules.py` may import of ours besides its own feature's rules: modules without session, clock or await."""


@dataclass(frozen=True)
class Import:
    path: str
    module: str
    names: tuple[str, ...]

    @property
    def feature(self) -> str | None:
        return feature_of(self.module)


def feature_of(module: str) -> str | None:
    parts = module.split(".")
    return ".".join(parts[1:3]) if len(parts) >= 3 and parts[0] == "csms" and parts[1] in AREAS else None


def source_files() -> Iterator[Path]:
    for package in PACKAGES:
        yield from sorted((ROOT / package).rglob("*.py"))


def imports_of(path: Path) -> Iterator[Import]:
    shown = str(path.relative_to(ROOT))
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(shown, alias.name, ())
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield Import(shown, node.module, tuple(alias.name for alias in node.names))


ALL_IMPORTS = [one for path in source_files() if "migrations" not in path.parts for one in imports_of(path)]


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_library_is_imported_only_where_it_belongs(library: str) -> None:
    places = LIBRARIES[library]
    strays = {
        one.path
        for one in ALL_IMPORTS
        if one.module.split(".")[0] == library
        and not any(one.path.startswith(p) or one.path.endswith(p) or _has_folder(one.path, p) for p in places)
    }
    assert not strays


def _has_folder(path: str, place: str) -> bool:
    return place.startswith("/") and place.endswith("/") and place in path


def test_features_meet_only_at_their_package_roots() -> None:
    """Of another feature: its root, if it stands in NEEDS, and only names of its `__all__`."""
    needs = {feature.path: set(feature.needs) for feature in features()}
    public = {feature.path: set(_all_of(feature.path)) for feature in features()}
    faults = []
    for one in ALL_IMPORTS:
        mine = feature_of(".".join(Path(one.path).with_suffix("").parts))
        theirs = one.feature
        if mine is None or theirs is None or mine == theirs:
            continue
        if theirs not in needs[mine]:
            faults.append(f"{one.path}: {theirs} does not stand in NEEDS")
        if one.module != f"csms.{theirs}":
            faults.append(f"{one.path}: import from csms.{theirs}, not from {one.module}")
        faults.extend(f"{one.path}: {theirs} keeps {name} for itself" for name in set(one.names) - public[theirs])
    assert not faults


def _all_of(feature: str) -> list[str]:
    tree = ast.parse((ROOT / "csms" / feature.replace(".", "/") / "__init__.py").read_text())
    for node in tree.body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", None) == "__all__":
            return list(ast.literal_eval(node.value))
    return []


def test_needs_name_what_is_used() -> None:
    used: dict[str, set[str]] = {}
    for one in ALL_IMPORTS:
        mine = feature_of(".".join(Path(one.path).with_suffix("").parts))
        if mine and one.feature and one.feature != mine:
            used.setdefault(mine, set()).add(one.feature)
    unused = {feature.path: set(feature.needs) - used.get(feature.path, set()) for feature in features()}
    assert not {path: names for path, names in unused.items() if names}


def test_features_need_each_other_without_a_cycle() -> None:
    needs = {feature.path: feature.needs for feature in features()}

    def walk(path: str, trail: tuple[str, ...]) -> None:
        assert path not in trail, f"a cycle: {' → '.join((*trail, path))}"
        for needed in needs[path]:
            walk(needed, (*trail, path))

    for path in needs:
        walk(path, ())


def test_inside_a_feature_imports_go_downwards() -> None:
    faults = []
    for one in ALL_IMPORTS:
        mine = feature_of(".".join(Path(one.path).with_suffix("").parts))
        if mine is None or one.feature != mine:
            continue
        here, there = Path(one.path).stem, one.module.split(".")[-1]
        if here in ORDER and there in ORDER and ORDER.index(there) > ORDER.index(here):
            faults.append(f"{one.path} imports {there}")
        if here in ("rules", "model", "service") and there in ("api", "ocpp", "jobs"):
            faults.append(f"{one.path} imports {there}")
    assert not faults


def test_rules_are_pure() -> None:
    faults = []
    for one in ALL_IMPORTS:
        path = Path(one.path)
        root = path.with_suffix("") if path.name == "rules.py" else path.parent
        if root.name != "rules":
            continue
        ours = one.module.split(".")[0] in PACKAGES
        own_rules = (one.module + ".").startswith(".".join(root.parts) + ".")
        if (ours and not own_rules and not one.module.startswith(PURE)) or one.module.split(".")[0] in (
            "asyncio",
            "sqlalchemy",
            "sqlmodel",
        ):
            faults.append(f"{one.path} imports {one.module}")
    assert not faults


def test_words_are_pure() -> None:
    """A feature's `words.py` is made of `csms.wording`, its own rules and what needed features have at their roots."""
    faults = []
    for one in ALL_IMPORTS:
        mine = feature_of(".".join(Path(one.path).with_suffix("").parts))
        if mine is None or not one.path.endswith(f"{mine.replace('.', '/')}/words.py"):
            continue
        is_ours = one.module.split(".")[0] in PACKAGES
        is_other_feature = one.feature is not None and one.feature != mine
        own_rules = one.module.startswith(f"csms.{mine}.rules")
        is_allowed = one.module.startswith(PURE) or own_rules or is_other_feature
        if (is_ours and not is_allowed) or one.module.split(".")[0] in ("asyncio", "sqlalchemy", "sqlmodel"):
            faults.append(f"{one.path} imports {one.module}")
    assert not faults


def test_the_rows_of_the_first_release_have_tests() -> None:
    """Every feature folder's rows are named by some test's `feature` mark."""
    marked = {
        argument.value
        for path in (ROOT / "tests").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and getattr(node.func, "attr", None) == "feature"
        for argument in node.args
        if isinstance(argument, ast.Constant)
    }
    rows = {row for feature in features() for row in feature.rows}
    untested = sorted(rows - marked)
    assert not untested
