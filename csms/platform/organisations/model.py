"""P1: organisations."""

from datetime import datetime

from sqlmodel import Field

from csms.store import Table, UtcDateTime


class Organisation(Table, table=True):
    """A charge point operator; the owner of stations, users, keys and everything else that is `Owned`."""

    name: str = Field(unique=True, max_length=200)
    created_at: datetime = Field(sa_type=UtcDateTime)
    is_default: bool = False
    """Stations that nobody registered come to this one."""
