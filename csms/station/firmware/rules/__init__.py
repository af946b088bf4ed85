"""S24: what each version asks, what a station's words mean, and whether a signature is right."""

from csms.station.firmware.rules.following import (
    FINAL,
    PUBLICATION_FINAL,
    PublicationState,
    UpdateState,
    after_answer,
    after_boot,
    after_publication_status,
    after_status,
    after_unpublish,
)
from csms.station.firmware.rules.requests import (
    UpdateWish,
    action_for,
    location_of,
    mismatch,
    publish_request,
    same_version,
    update_request,
)
from csms.station.firmware.rules.signatures import SignatureFault, check_certificate, check_signature, signature_bytes

__all__ = [
    "FINAL",
    "PUBLICATION_FINAL",
    "PublicationState",
    "SignatureFault",
    "UpdateState",
    "UpdateWish",
    "action_for",
    "after_answer",
    "after_boot",
    "after_publication_status",
    "after_status",
    "after_unpublish",
    "check_certificate",
    "check_signature",
    "location_of",
    "mismatch",
    "publish_request",
    "same_version",
    "signature_bytes",
    "update_request",
]
