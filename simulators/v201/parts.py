"""F5: what a simulated 2.x station is assembled from, shared by its halves."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from simulators.clock import Clock
from simulators.messages import Message, Messages
from simulators.v201.device_model import DeviceModel
from simulators.wire import Observer


@dataclass(slots=True)
class Parts:
    """The device model, the time, the way out, and who counts."""

    model: DeviceModel
    clock: Clock
    messages: Messages
    observer: Observer
    rng: random.Random
    is_online: Callable[[], bool]
    on_values: Callable[[], None] = field(default=lambda: None)  # simulated values moved: monitors look at them

    def report(self, action: str, payload: dict[str, Any], *, is_kept: bool = False) -> None:
        """Queue a message that belongs to no transaction; unless kept it is dropped when nobody hears it.

        QueueAllMessages keeps all of them.
        """
        is_kept = is_kept or self.model.flag("OCPPCommCtrlr.QueueAllMessages")
        if is_kept or self.is_online():
            self.messages.put(Message(action, payload, is_kept=is_kept))
