"""The reference page works offline and under its own content security policy; `/` shows the way."""

import re

import httpx

CLIENT_FILES = re.compile(r'(?:src|href)="([^"]+)"')


async def test_every_file_of_the_page_is_served_from_here(anonymous: httpx.AsyncClient) -> None:
    page = await anonymous.get("/docs")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    files = CLIENT_FILES.findall(page.text)
    assert "/docs/static/swagger-ui-bundle.js" in files
    for path in files:
        assert path.startswith("/")
        assert not path.startswith("//")
        assert (await anonymous.get(path)).status_code == 200, path


async def test_page_has_no_inline_script_and_says_so(anonymous: httpx.AsyncClient) -> None:
    page = await anonymous.get("/docs")
    assert "script-src 'self';" in page.headers["content-security-policy"]
    assert re.findall(r"<script(?![^>]*\bsrc=)", page.text) == []
    assert re.findall(r"\son\w+=|style=", page.text) == []


async def test_index_leads_to_things_that_exist(anonymous: httpx.AsyncClient) -> None:
    index = (await anonymous.get("/")).json()
    for path in (index["docs"], index["openapi"], index["health"], index["ready"], *index["feeds"]):
        assert (await anonymous.get(path)).status_code == 200, path


async def test_the_document_is_fetched_once(anonymous: httpx.AsyncClient) -> None:
    first = await anonymous.get("/openapi.json")
    assert first.json()["openapi"].startswith("3.1")
    again = await anonymous.get("/openapi.json", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
