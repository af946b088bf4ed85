"""Finds the features: every folder csms/<area>/<feature>/, and what each offers by the names of its files."""

import importlib
import pkgutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from types import ModuleType
from typing import Any

AREAS = ("platform", "station", "meters", "devices", "fleet")
PARTS = ("model", "api", "ocpp", "words", "jobs")


@dataclass(frozen=True, slots=True)
class Feature:
    """One folder; `rows` and `title` are read from its docstring: «S16: planned work on a station»."""

    area: str
    name: str
    rows: tuple[str, ...]
    title: str
    needs: tuple[str, ...]
    parts: dict[str, ModuleType]

    @property
    def path(self) -> str:
        return f"{self.area}.{self.name}"


@cache
def features() -> tuple[Feature, ...]:
    """All features, imported, in the order of AREAS; importing them registers their tables."""
    return tuple(_find())


def _find() -> Iterator[Feature]:
    for area in AREAS:
        package_name = f"csms.{area}"
        if find_spec(package_name) is None:
            continue
        package = importlib.import_module(package_name)
        for found in sorted(pkgutil.iter_modules(package.__path__), key=lambda module: module.name):
            if found.ispkg:
                yield _load(area, found.name)


def _load(area: str, name: str) -> Feature:
    root = importlib.import_module(f"csms.{area}.{name}")
    parts = {}
    for part in PARTS:
        module_name = f"{root.__name__}.{part}"
        if find_spec(module_name) is not None:
            parts[part] = importlib.import_module(module_name)
    rows, _, title = (root.__doc__ or "").strip().partition("\n")[0].partition(":")
    return Feature(
        area=area,
        name=name,
        rows=tuple(row.strip() for row in rows.split(",")),
        title=title.strip(),
        needs=tuple(getattr(root, "NEEDS", ())),
        parts=parts,
    )


def offered(part: str, name: str) -> Iterator[Any]:
    """What the features offer under that name in that file, as in `offered("jobs", "JOBS")`; tuples are flattened."""
    for feature in features():
        value = getattr(feature.parts.get(part), name, None)
        if isinstance(value, tuple | list):
            yield from value
        elif value is not None:
            yield value
