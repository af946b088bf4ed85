"""S10: what the CSMS asks of stations and what they answer, in words: every action of OCPP 1.6 that it sends."""

from collections.abc import Callable, Mapping
from typing import Final

    **device_model.DOINGS,
