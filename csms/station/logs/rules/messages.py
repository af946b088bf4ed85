"""S10: what stations tell, in words: every action of OCPP 1.6 that they send."""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

    **device_model.MESSAGES,
