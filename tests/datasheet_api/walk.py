"""Walks over every operation of the API: fills paths and makes valid bodies out of the OpenAPI document alone."""

from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI

from datasheet_api.openapi import operations

WRITING = frozenset({"post", "put", "patch", "delete"})


@dataclass(frozen=True)
class Step:
    """One operation of the document."""

    method: str
    path: str
    operation: dict[str, Any]
    document: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.method.upper()} {self.path}"

    @property
    def is_writing(self) -> bool:
        return self.method in WRITING

    def url(self, **given: str) -> str:
        """The path with its parameters filled in: the given ones, and samples for the others."""
        url = self.path
        for parameter in self.operation.get("parameters", []):
            if parameter["in"] == "path":
                name = parameter["name"]
                url = url.replace(f"{{{name}}}", given.get(name) or str(self.sample(parameter["schema"])))
        return url

    def query(self) -> dict[str, str]:
        """The query parameters that must be there."""
        return {
            parameter["name"]: str(self.sample(parameter["schema"]))
            for parameter in self.operation.get("parameters", [])
            if parameter["in"] == "query" and parameter.get("required")
        }

    def body(self) -> Any:
        """A body that the operation's schema allows, or None for an operation without one."""
        content = self.operation.get("requestBody", {}).get("content", {}).get("application/json")
        if content is None:
            return None
        if "example" in content:
            return content["example"]
        examples = [one["value"] for one in content.get("examples", {}).values() if "value" in one]
        return examples[0] if examples else self.sample(content["schema"])

    def sample(self, schema: dict[str, Any]) -> Any:
        """A small value of that schema; its own example where it has one."""
        if "$ref" in schema:
            return self.sample(self._resolved(schema["$ref"]))
        for name in ("examples", "enum"):
            if schema.get(name):
                return schema[name][0]
        for name in ("const", "example", "default"):
            if schema.get(name) is not None:
                return schema[name]
        for name in ("anyOf", "oneOf", "allOf"):
            if name in schema:
                return self.sample(schema[name][0])
        return self._plain(schema)

    def _plain(self, schema: dict[str, Any]) -> Any:
        kind = schema.get("type")
        if kind == "object":
            fields = schema.get("properties", {})
            return {name: self.sample(fields[name]) for name in schema.get("required", ())}
        if kind == "array":
            return [self.sample(schema["items"])] * schema.get("minItems", 0)
        if kind in ("integer", "number"):
            return schema.get("minimum", schema.get("exclusiveMinimum", 0) + 1)
        if kind == "boolean":
            return True
        return _text(schema)

    def _resolved(self, reference: str) -> dict[str, Any]:
        found: Any = self.document
        for part in reference.removeprefix("#/").split("/"):
            found = found[part]
        assert isinstance(found, dict)
        return found


def _text(schema: dict[str, Any]) -> str:
    formats = {"date-time": "2030-01-01T00:00:00Z", "date": "2030-01-01", "uri": "https://example.com/"}
    text = formats.get(schema.get("format", ""), "1")
    return text.ljust(schema.get("minLength", 0), "1")


def steps(app: FastAPI) -> list[Step]:
    """Every operation under the versioned API."""
    document = app.openapi()
    return [
        Step(method, path, operation, document)
        for path, method, operation in operations(document)
        if path.startswith("/api/v1/")
    ]
