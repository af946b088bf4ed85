"""What features' `api.py` use for HTTP: who asks, the unit of work, the station of the path, pages, problems."""

import base64
import binascii
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Generic, Literal, Protocol, TypeVar

from fastapi import Depends, Query, Request
from fastapi.responses import StreamingResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field
from sqlalchemy import Integer
from sqlmodel import col, func, select
from sqlmodel.sql.expression import SelectOfScalar

from csms.exceptions import Forbidden, Invalid, Unauthorized
from csms.ids import MAX_ID
from csms.rights import Area, Caller, Level
from csms.runtime import Runtime
from csms.store import BigInt, Owned, Store, UtcDateTime, Work
from csms.tabular import CSV_MEDIA_TYPE, Columns, csv_text, wants_csv

T = TypeVar("T")
RowT = TypeVar("RowT", bound=Owned)
PAGE_ROWS_MAX = 500


class Strict(BaseModel):
    """The base of request bodies: unknown fields are refused, so that a misspelt one is noticed."""

    model_config = ConfigDict(extra="forbid")


class Shown(BaseModel):
    """The base of responses: filled from table rows by attribute."""

    model_config = ConfigDict(from_attributes=True)


def _utc(at: datetime) -> datetime:
    try:
        return at.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("no such time") from error


UtcTime = Annotated[AwareDatetime, AfterValidator(_utc)]
"""A time in a request, in whatever zone it was written: ISO 8601 with a zone, UTC from here on."""


class Authenticator(Protocol):
    """Turns what stands behind `Bearer` into a caller; offered by platform/access, wired by the host."""

    async def authenticate(
        self, runtime: Runtime, secret: str, remote_address: str, *, is_anew: bool = False
    ) -> Caller:
        """Raises Unauthorized for an unknown, expired or revoked secret, TooMany above the rate limit.

        `is_anew`: whatever is remembered of it.
        """
        ...


_bearer = HTTPBearer(auto_error=False, description="An API key (`csms key create`) or a login token")


def the_runtime(request: Request) -> Runtime:
    return request.app.state.runtime  # type: ignore[no-any-return]  # Starlette's state is untyped


RuntimeDep = Annotated[Runtime, Depends(the_runtime)]


async def the_caller(
    request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
) -> Caller:
    """Who is asking; 401 without a valid key or token."""
    if credentials is None:
        raise Unauthorized("send `Authorization: Bearer <key>`; an administrator makes keys at /api/v1/keys")
    authenticator: Authenticator = request.app.state.authenticator
    address = request.client.host if request.client else ""
    caller = await authenticator.authenticate(the_runtime(request), credentials.credentials, address)
    request.state.caller = caller
    return caller


CallerDep = Annotated[Caller, Depends(the_caller)]


def allow(area: Area, level: Level) -> Callable[[Caller], Awaitable[Caller]]:
    """A dependency that lets only callers with that level over the area pass; 403 for others."""

    async def check(caller: CallerDep) -> Caller:
        if not caller.may(area, level):
            raise Forbidden(f"your role «{caller.role}» lacks {level.name.lower()} over {area}; ask an administrator")
        return caller

    return check


def may_read(area: Area = Area.DATA_ACCESS) -> Any:
    """Route dependency: `dependencies=[may_read()]`."""
    return Depends(allow(area, Level.READ))


def may_write(area: Area = Area.DATA_ACCESS) -> Any:
    """Route dependency: `dependencies=[may_write(Area.OPERATION)]`."""
    return Depends(allow(area, Level.WRITE))


def behind(*actions: str) -> dict[str, Any]:
    """The OCPP actions that a route sends, or whose content it shows: `openapi_extra=behind("GetLog")`.

    The reference page shows them, and the table of all actions (docs/ocpp-actions.md) is made from them.
    """
    return {"x-ocpp-actions": list(actions)}


async def _reading(runtime: RuntimeDep, caller: CallerDep) -> AsyncIterator[Work]:
    async with runtime.store.reading(caller) as work:
        yield work


async def _writing(runtime: RuntimeDep, caller: CallerDep) -> AsyncIterator[Work]:
    async with runtime.store.writing(caller) as work:
        yield work


# scope="function": the commit comes before the response, so that a failed commit is an error and not a 201.
Reading = Annotated[Work, Depends(_reading, scope="function")]
Writing = Annotated[Work, Depends(_writing, scope="function")]


class Page(BaseModel, Generic[T]):
    """One page of a list; ask for the next with `cursor=<next_cursor>`."""

    items: list[T]
    next_cursor: str | None = Field(description="null on the last page")


class PageQuery(BaseModel):
    """How much of a list, from where, in which order."""

    limit: int = Field(50, ge=1, le=PAGE_ROWS_MAX, description="rows a page")
    cursor: str | None = Field(None, max_length=400, description="`next_cursor` of the page before")


PageDep = Annotated[PageQuery, Query()]


class Period(BaseModel):
    """A span of time: `from` is inside it, `to` is not; ISO 8601 with a zone."""

    start: UtcTime | None = Field(None, alias="from")
    end: UtcTime | None = Field(None, alias="to")


def period(
    start: Annotated[UtcTime | None, Query(alias="from", description="not before; ISO 8601 with zone")] = None,
    end: Annotated[UtcTime | None, Query(alias="to", description="before; ISO 8601 with zone")] = None,
) -> Period:
    if start is not None and end is not None and end <= start:
        raise Invalid("`to` must be later than `from`", place="query/to")
    return Period.model_validate({"from": start, "to": end})


PeriodDep = Annotated[Period, Depends(period)]


def within(query: SelectOfScalar[T], column: Any, span: Period) -> SelectOfScalar[T]:
    """Only rows whose time lies in the period."""
    if span.start is not None:
        query = query.where(column >= span.start)
    if span.end is not None:
        query = query.where(column < span.end)
    return query


async def page_of(
    work: Work,
    query: SelectOfScalar[RowT],
    page: PageQuery,
    *,
    by: Any = None,
    descending: bool = True,
) -> tuple[Sequence[RowT], str | None]:
    """One page of the rows that the query selects: keyset paging by (`by`, id), newest first by default.

    `by` is a not-null column of the selected table (its id if left out). Returns rows and the next cursor.
    """
    table = query.column_descriptions[0]["entity"]
    row_id: Any = col(table.id)
    keys: list[Any] = [row_id] if by is None else [col(by), row_id]
    if page.cursor is not None:
        query = query.where(_beyond(keys, _read_cursor(page.cursor, keys), descending=descending))
    ordered = query.order_by(*(key.desc() if descending else key.asc() for key in keys)).limit(page.limit + 1)
    rows = (await work.session.exec(ordered)).all()
    if len(rows) <= page.limit:
        return rows, None
    last = rows[page.limit - 1]
    values = [getattr(last, key.key) for key in keys]
    return rows[: page.limit], _write_cursor(values)


def _beyond(keys: list[Any], values: list[Any], *, descending: bool) -> Any:
    """(a, b) < (x, y), spelled out: row values compare differently on the two databases.

    With a bound of its own on a, so that an index leads to a page wherever it lies, instead of through all before it.
    """
    compare = [(key < value) if descending else (key > value) for key, value in zip(keys, values, strict=True)]
    if len(keys) == 1:
        return compare[0]
    bound = keys[0] <= values[0] if descending else keys[0] >= values[0]
    return bound & (compare[0] | compare[1])


def _write_cursor(values: Sequence[Any]) -> str:
    parts = [
        f"t{v.isoformat()}" if isinstance(v, datetime) else f"i{v}" if isinstance(v, int) else f"s{v}" for v in values
    ]
    return base64.urlsafe_b64encode("\n".join(parts).encode()).decode().rstrip("=")


def _read_cursor(cursor: str, keys: Sequence[Any]) -> list[Any]:
    """The values of those columns; a cursor may come from anybody, so it must be one that the database can compare."""
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
        values = [_CURSOR_READERS[part[0]](part[1:]) for part in text.split("\n")]
    except (binascii.Error, UnicodeDecodeError, ValueError, KeyError, IndexError, OverflowError) as error:
        raise Invalid("this cursor was not made here; start again without one", place="query/cursor") from error
    if [type(value) for value in values] != [_type_of(key) for key in keys]:
        raise Invalid("this cursor belongs to another order; start again without one", place="query/cursor")
    return values


def _read_time(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError("a time without a zone")
    return at.astimezone(UTC)


def _read_number(text: str) -> int:
    number = int(text)
    if abs(number) > MAX_ID:
        raise ValueError("no 64-bit number")
    return number


def _read_text(text: str) -> str:
    if "\0" in text:
        raise ValueError("PostgreSQL's text holds no NUL")
    return text


_CURSOR_READERS: Final[Mapping[str, Callable[[str], Any]]] = {"t": _read_time, "i": _read_number, "s": _read_text}


def _type_of(key: Any) -> type:
    return datetime if isinstance(key.type, UtcDateTime) else int if isinstance(key.type, BigInt | Integer) else str


# --- Lists as CSV files: read in chunks and sent as they are read, so that nobody else waits and no memory fills

ShownT = TypeVar("ShownT")
Show = Callable[[Work, Sequence[RowT]], Awaitable[list[ShownT]]]
Read = Callable[[Work, str | None], Awaitable[tuple[list[ShownT], str | None]]]
"""The chunk after that cursor, and the cursor of the next one; None: it is the last."""
EXPORT_ROWS_MAX: Final = 200_000
CHUNK_ROWS: Final = 250
"""So few that formatting them takes less time than other requests mind to wait."""
CSV_RESPONSE: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {CSV_MEDIA_TYPE: {"schema": {"type": "string"}}}},
    422: {"description": f"more than {EXPORT_ROWS_MAX} rows as CSV, or a wrong parameter"},
}


class Export:
    """A list that was asked for as a CSV file."""

    def __init__(self, store: Store, caller: Caller) -> None:
        self._store = store
        self._caller = caller

    async def csv(
        self,
        columns: Columns[ShownT],
        query: SelectOfScalar[RowT],
        show: Show[RowT, ShownT],
        *,
        by: Any,
        descending: bool = True,
        name: str,
    ) -> StreamingResponse:
        """The rows of the query in the order of `page_of`, as a file of that name.

        Raises Invalid for more rows than a file may have: a part of them would pass for all.
        """
        async with self._store.reading(self._caller) as work:
            await _check_count(work, query)

        async def read(work: Work, cursor: str | None) -> tuple[list[ShownT], str | None]:
            page = PageQuery(limit=CHUNK_ROWS, cursor=cursor)
            rows, following = await page_of(work, query, page, by=by, descending=descending)
            return await show(work, rows), following

        return self.download(columns, read, name)

    def download(self, columns: Columns[ShownT], read: Read[ShownT], name: str) -> StreamingResponse:
        """What `read` gives, chunk by chunk, as a file of that name."""
        headers = {"Content-Disposition": f'attachment; filename="{name}"', "Vary": "Accept"}
        media_type = f"{CSV_MEDIA_TYPE}; charset=utf-8"
        return StreamingResponse(self._lines(columns, read), media_type=media_type, headers=headers)

    async def _lines(self, columns: Columns[ShownT], read: Read[ShownT]) -> AsyncIterator[str]:
        yield csv_text(columns, ())
        cursor: str | None = None
        while True:
            async with self._store.reading(self._caller) as work:  # none stays open while a slow client reads
                rows, cursor = await read(work, cursor)
            yield csv_text(columns, rows, with_header=False)
            if cursor is None:
                return


async def _check_count(work: Work, query: SelectOfScalar[Any]) -> None:
    row_id = query.column_descriptions[0]["entity"].id
    some = query.with_only_columns(row_id).limit(EXPORT_ROWS_MAX + 1).subquery()
    if (await work.session.exec(select(func.count()).select_from(some))).one() > EXPORT_ROWS_MAX:
        raise Invalid(f"more than {EXPORT_ROWS_MAX} rows; ask for a shorter period", place="query/from")


def _export(
    request: Request,
    runtime: RuntimeDep,
    caller: CallerDep,
    form: Annotated[Literal["json", "csv"] | None, Query(alias="format", description="instead of Accept")] = None,
) -> Export | None:
    is_csv = form == "csv" if form is not None else wants_csv(request.headers.get("Accept"))
    return Export(runtime.store, caller) if is_csv else None


ExportDep = Annotated[Export | None, Depends(_export)]
"""Set where a list is asked for as CSV, by `format=csv` or `Accept: text/csv`."""
