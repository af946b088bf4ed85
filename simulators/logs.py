"""F5: logs that a simulated station really sends to the CSMS's file server (1.6, 5.8 and security N; 2.0.1, N01)."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol, Self

from csms.ocpp import timestamps
from simulators import transfers
from simulators.clock import Clock
from simulators.wire import Payload

MAX_RETRIES: Final = 10
SECURITY: Final = "security event"
"""How a line of the journal begins that belongs into the security log."""

Line = tuple[datetime, str]


@dataclass(frozen=True, slots=True)
class Order:
    """What the CSMS wants to see: which log, of when, sent where."""

    location: str
    kind: str = "DiagnosticsLog"
    oldest: datetime | None = None
    latest: datetime | None = None
    retries: int = 0
    retry_interval_s: float = 0.0
    request_id: int | None = None

    @classmethod
    def of(cls, payload: Payload) -> Self:
        """GetLog, the same in 1.6 (security) and 2.x."""
        told = payload["log"]
        oldest, latest = (timestamps.read(told.get(name)) for name in ("oldestTimestamp", "latestTimestamp"))
        return cls(
            told["remoteLocation"],
            payload["logType"],
            oldest.at if oldest is not None else None,
            latest.at if latest is not None else None,
            payload.get("retries", 0),
            payload.get("retryInterval", 0),
            payload["requestId"],
        )


class Host(Protocol):
    """What a station lends to the upload."""

    clock: Clock

    def on_network(self) -> Any: ...

    def note(self, what: str) -> None: ...


@dataclass(slots=True)
class Upload:
    """One upload under way; `report` tells the CSMS an UploadLogStatus of 2.x."""

    order: Order
    host: Host
    name: str
    body: bytes
    report: Callable[[str], None]
    status: str = "Idle"

    async def run(self) -> None:
        """Try until it is there, or the tries are used up."""
        failure = "UploadFailure"
        for attempt in range(min(self.order.retries, MAX_RETRIES) + 1):
            if attempt:
                await self.host.clock.sleep(self.order.retry_interval_s)
            self._tell("Uploading")
            try:
                with self.host.on_network():
                    await transfers.upload(self.order.location, self.name, self.body)
            except transfers.TransferError as error:
                self.host.note(f"upload failed: {error}")
                failure = "PermissionDenied" if error.is_denied else "UploadFailure"
                if error.is_unknown:
                    failure = "NotSupportedOperation"
                    break
            else:
                self._tell("Uploaded")
                return
        self._tell(failure)

    def _tell(self, status: str) -> None:
        self.status = status
        self.report(status)


def select(journal: Iterable[Line], order: Order) -> list[Line]:
    """The lines that are wanted."""
    return [
        (at, what)
        for at, what in journal
        if (order.oldest is None or at >= order.oldest)
        and (order.latest is None or at <= order.latest)
        and (order.kind != "SecurityLog" or what.startswith(SECURITY))
    ]


def text(identity: str, lines: Iterable[Line]) -> bytes:
    """The log as a file."""
    written = [f"# log of {identity}", *(f"{timestamps.write(at)} {what}" for at, what in lines)]
    return ("\n".join(written) + "\n").encode()


def name_of(identity: str, order: Order, now: datetime) -> str:
    """A file name that no other log of this station has."""
    safe = "".join(char if char.isalnum() or char in "-_" else "_" for char in identity)[:60]
    kind = "security" if order.kind == "SecurityLog" else "diagnostics"
    return f"{safe}-{kind}-{now:%Y%m%dT%H%M%S}.log"
