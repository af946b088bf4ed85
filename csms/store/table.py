"""What every table is made of: column types that mean the same on SQLite and PostgreSQL."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import orjson
from sqlalchemy import BigInteger, DateTime, Dialect, Enum, Integer, String, Text, TypeDecorator, column
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from csms.ids import new_id


class BigInt(TypeDecorator[int]):
    """64 bits; on SQLite `INTEGER`, so that a primary key is the row id itself."""

    impl = BigInteger
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        return dialect.type_descriptor(Integer() if dialect.name == "sqlite" else BigInteger())


class UtcDateTime(TypeDecorator[datetime]):
    """A UTC-aware time: `timestamptz` on PostgreSQL, text of fixed width that sorts on SQLite."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        return dialect.type_descriptor(String(27) if dialect.name == "sqlite" else DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        return time_text(value) if dialect.name == "sqlite" else aware(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:  # noqa: ARG002  # the signature is SQLAlchemy's
        if value is None:
            return None
        at = datetime.fromisoformat(value) if isinstance(value, str) else value
        return at.astimezone(UTC)


def aware(value: datetime) -> datetime:
    """The same time; raises ValueError for one without a zone, whose meaning nobody knows."""
    if value.tzinfo is None:
        raise ValueError("a time without a zone cannot be stored; use an aware datetime")
    return value


def time_text(value: datetime) -> str:
    """`2026-01-31T08:15:00.123456Z`: what SQLite stores."""
    utc = value if value.tzinfo is UTC else aware(value).astimezone(UTC)
    text = orjson.dumps(utc, option=orjson.OPT_UTC_Z)[1:-1].decode()  # six times as fast as isoformat
    return text if utc.microsecond else f"{text[:-1]}.000000Z"


class Json(TypeDecorator[Any]):
    """A JSON value: `jsonb` on PostgreSQL, text on SQLite."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        return dialect.type_descriptor(JSONB(none_as_null=True) if dialect.name == "postgresql" else Text())

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        if value is None or dialect.name == "postgresql":
            return value
        return json_text(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        if value is None or dialect.name == "postgresql":
            return value
        return orjson.loads(value)


def words(kind: type[StrEnum]) -> Any:
    """The column type of an enum: its values as text, so that a new word needs no migration."""
    return Enum(kind, native_enum=False, values_callable=lambda members: [word.value for word in members], length=40)


def json_text(value: Any) -> str:
    return orjson.dumps(value).decode()


class Table(SQLModel):
    """The base of all tables: an id that grows with time."""

    id: int = Field(default_factory=new_id, primary_key=True, sa_type=BigInt, sa_column_kwargs={"autoincrement": False})


class Owned(Table):
    """A row of one organisation; the store shows it to no other (see `store.scope`)."""

    organisation_id: int = Field(sa_type=BigInt, index=True)


class _ScopeColumn:
    """What SQLAlchemy sees when it asks the unmapped class for its column, to build the scope's condition."""

    def __get__(self, row: object, owner: type) -> Any:
        if owner is not Owned:  # pydantic looks here while a table is made; found, it would replace the field
            raise AttributeError("organisation_id")
        return column("organisation_id", BigInt())


# pydantic keeps fields out of class attributes, so it is put there by hand; mapped tables have their own.
type.__setattr__(Owned, "organisation_id", _ScopeColumn())
