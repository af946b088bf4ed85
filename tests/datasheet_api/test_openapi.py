"""The OpenAPI document: every operation has its words, its tag, and all its refusals."""

import json
import re

import pytest
from fastapi import FastAPI

from csms.features import features
from datasheet_api.openapi import operations

PUBLIC = {"/api/v1/login", "/health", "/ready", "/"}
MODEL_NAMES = {"page", "period", "filters", "query", "work"}


@pytest.fixture
def database_kind() -> str:
    """The document does not depend on the database."""
    return "sqlite"


def test_every_operation_has_summary_tag_and_id(app: FastAPI) -> None:
    document = app.openapi()
    tags = {tag["name"] for tag in document["tags"]}
    ids = []
    for path, method, operation in operations(document):
        assert operation["summary"], (method, path)
        assert len(operation["tags"]) == 1, (method, path)
        assert set(operation["tags"]) <= tags, (method, path)
        ids.append(operation["operationId"])
    assert sorted(ids) == sorted(set(ids))


def test_tags_are_the_features_with_routes(app: FastAPI) -> None:
    described = {tag["name"]: tag["description"] for tag in app.openapi()["tags"]}
    expected = {feature.name.replace("_", " "): feature.title for feature in features() if "api" in feature.parts}
    assert described == expected


def test_every_refusal_is_described_as_a_problem(app: FastAPI) -> None:
    document = app.openapi()
    assert "HTTPValidationError" not in document["components"]["schemas"]
    for path, method, operation in operations(document):
        responses = operation["responses"]
        assert {"422", "429", "default"} <= set(responses), (method, path)
        if path not in PUBLIC and not path.startswith("/feeds/"):
            assert {"401", "403"} <= set(responses), (method, path)
        for status, response in responses.items():
            if (status == "default" or status[0] in "45") and (path, status) != ("/ready", "503"):
                assert set(response["content"]) == {"application/problem+json"}, (method, path, status)


def test_answers_are_described_and_no_model_became_a_parameter(app: FastAPI) -> None:
    for path, method, operation in operations(app.openapi()):
        for status, response in operation["responses"].items():
            if status in ("200", "201"):
                assert response.get("content"), (method, path, status)
        names = {parameter["name"] for parameter in operation.get("parameters", [])}
        assert not names & MODEL_NAMES, (method, path)


def test_credentials_are_described(app: FastAPI) -> None:
    scheme = app.openapi()["components"]["securitySchemes"]["HTTPBearer"]
    assert (scheme["type"], scheme["scheme"]) == ("http", "bearer")


def test_schemas_have_names_that_make_good_classes(app: FastAPI) -> None:
    document = app.openapi()
    schemas = document["components"]["schemas"]
    assert [name for name in schemas if re.fullmatch("[A-Z][A-Za-z0-9]*", name) is None] == []
    assert {"StationListedPage", "TokensPolicy", "VehicleChargingPolicy"} <= set(schemas)
    references = set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(document)))
    assert references <= set(schemas)


def test_every_list_has_the_form_of_a_page(app: FastAPI) -> None:
    """A bare array could never say more than its items."""
    for path, method, operation in operations(app.openapi()):
        if method == "get":
            for content in operation["responses"]["200"]["content"].values():
                assert content.get("schema", {}).get("type") != "array", path
