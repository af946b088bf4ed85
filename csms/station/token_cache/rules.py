"""S27: whether a station has a cache, by its settings."""

from typing import Final

from csms.ocpp.versions import Version

ENABLED_16: Final = "AuthorizationCacheEnabled"
"""OCPP 1.6, 9.1.2."""
ENABLED_2: Final = "AuthCacheCtrlr.Enabled"
"""OCPP 2.0.1 part 2, 2.2."""


def setting_name(version: Version) -> str:
    """The setting that says whether the station remembers tokens."""
    return ENABLED_16 if version is Version.V16 else ENABLED_2


def is_enabled(value: str | None) -> bool | None:
    """What its value means; None if the station never told it."""
    return None if value is None else value.strip().lower() == "true"
