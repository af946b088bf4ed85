"""B4: the connection history, the nodes that write it, and the certificates that they show."""

from datetime import datetime

from sqlalchemy import Index, text
from sqlmodel import Field

from csms.station.connections.rules import Cause, ClosedBy
from csms.store import BigInt, Json, Owned, Table, UtcDateTime, words
from csms.store.retention import Kept


class Connection(Owned, table=True):
    """One connection of a station, or one try that was refused in the handshake."""

    __tablename__ = "connection_history"
    __table_args__ = (
        Index("ix_connection_history_station", "station_id", "id"),
        Index(
            "ix_connection_history_open",
            "node",
            postgresql_where=text("closed_at IS NULL"),
            sqlite_where=text("closed_at IS NULL"),
        ),
        Index(
            "ix_connection_history_refused",
            "organisation_id",
            "id",
            postgresql_where=text("reason IS NOT NULL"),
            sqlite_where=text("reason IS NOT NULL"),
        ),
    )

    station_id: int | None = Field(default=None, sa_type=BigInt)
    identity: str = Field(max_length=255)
    remote_address: str
    offered: str | None = None
    """The subprotocols that the station offered, as it wrote them."""
    protocol: str | None = None
    node: str
    opened_at: datetime = Field(sa_type=UtcDateTime)
    closed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    last_message_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    code: str | None = Field(default=None, max_length=4)
    """The derived close code of FEATURES B4."""
    closed_by: ClosedBy | None = Field(default=None, sa_type=words(ClosedBy))
    cause: Cause | None = Field(default=None, sa_type=words(Cause))
    code_received: int | None = None
    reason_received: str | None = None
    code_sent: int | None = None
    reason_sent: str | None = None
    network_error: str | None = None
    http_status: int | None = None
    """Set where the handshake was refused."""
    reason: str | None = None
    """Why the connection did not come about, in words; null where it did."""
    messages_in: int = 0
    messages_out: int = 0
    bytes_in: int = Field(default=0, sa_type=BigInt)
    bytes_out: int = Field(default=0, sa_type=BigInt)


KEPT = (Kept(Connection, "history_kept_days"),)


class BrokerNode(Table, table=True):
    """A broker process and its last sign of life."""

    __tablename__ = "broker_node"

    name: str = Field(unique=True)
    started_at: datetime = Field(sa_type=UtcDateTime)
    alive_at: datetime = Field(sa_type=UtcDateTime)


class ServerCertificate(Table, table=True):
    """A certificate that a broker process shows to stations on its TLS port, one of each chain file."""

    __tablename__ = "server_certificate"

    node: str = Field(index=True)
    file: str
    subject: str
    hosts: list[str] = Field(sa_type=Json)
    fingerprint: str
    not_before: datetime = Field(sa_type=UtcDateTime)
    not_after: datetime = Field(sa_type=UtcDateTime)
    loaded_at: datetime = Field(sa_type=UtcDateTime)
    warned_days: int | None = None
    """The last step that was warned of."""
