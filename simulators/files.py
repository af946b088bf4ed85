"""F5: the one update and the one upload that a station has under way, and what it tells of them."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from simulators import firmware, logs
from simulators.logs import Line
from simulators.wire import Payload, Reply


class Host(firmware.Host, logs.Host, Protocol):
    """What a station lends to both."""

    @property
    def identity(self) -> str: ...

    @property
    def log_lines(self) -> list[Line]: ...

    def begin(self, work: Any) -> "asyncio.Task[Any]": ...


@dataclass(slots=True)
class Words:
    """How a version tells a status: each takes the order and the status in the words of 2.x."""

    firmware: Callable[[firmware.Order, str], None]
    log: Callable[[logs.Order, str], None]


class Files:
    """A new order takes the place of the one before it (2.0.1, L01.FR.24, N01.FR.12)."""

    def __init__(self, host: Host, words: Words) -> None:
        self.update: firmware.Update | None = None
        self.upload: logs.Upload | None = None
        self._host = host
        self._words = words
        self._updating: asyncio.Task[Any] | None = None
        self._uploading: asyncio.Task[Any] | None = None

    def start_update(self, order: firmware.Order) -> None:
        """Fetch and start firmware."""
        if self._updating is not None:
            self._updating.cancel()
        self.update = firmware.Update(order, self._host, lambda status: self._words.firmware(order, status))
        self._updating = self._host.begin(self.update.run())

    @property
    def is_updating(self) -> bool:
        """Whether an update is under way."""
        return self._updating is not None and not self._updating.done()

    @property
    def is_uploading(self) -> bool:
        """Whether an upload is under way."""
        return self._uploading is not None and not self._uploading.done()

    def booted(self) -> None:
        """The station is back: tell whether new firmware runs."""
        update = self.update
        if update is not None and update.status == "InstallRebooting":
            update.status = "Installed"
            self._words.firmware(update.order, "Installed")
            self._host.tell_security("FirmwareUpdated", update.order.location.rpartition("/")[2])

    def prepare_upload(self, order: logs.Order) -> logs.Upload:
        """The log as it is now, with its name; nothing is sent before `start_upload`."""
        host = self._host
        name = logs.name_of(host.identity, order, host.clock.now())
        body = logs.text(host.identity, logs.select(host.log_lines, order))
        return logs.Upload(order, host, name, body, lambda status: self._words.log(order, status))

    def answer_get_log(self, payload: Payload) -> Reply:
        """The log that is asked for follows the answer."""
        upload = self.prepare_upload(logs.Order.of(payload))
        status = "AcceptedCanceled" if self.is_uploading else "Accepted"
        return Reply({"status": status, "filename": upload.name}, lambda: self.start_upload(upload))

    def start_upload(self, upload: logs.Upload) -> None:
        """Send a log; one that is on its way is called off, and the CSMS told so."""
        if self._uploading is not None and self.upload is not None and not self._uploading.done():
            self._uploading.cancel()
            self._words.log(self.upload.order, "AcceptedCanceled")
        self.upload = upload
        self._uploading = self._host.begin(upload.run())
