"""F5: what is broken at a connector, whatever version tells it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fault:
    """What a station tells of a fault: OCPP 1.6's error code, the maker's own, and a few words."""

    error_code: str = "OtherError"
    vendor_error_code: str = ""
    info: str = ""
