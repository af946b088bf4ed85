"""S3: charge points in and out of service, in words."""

from typing import Final

from csms.wording import DONE, Ask, Example, Level, Payload, Words, place_of


def _availability(request: Payload) -> str:
    place = place_of(request)
    if "Operative" in (request.get("type"), request.get("operationalStatus")):
        return f"put {place} back into service"
    return f"take {place} out of service"


_REJECTED: Final = Words(
    "it will not",
    Level.WARNING,
    "The station does not allow this change now.",
    "Look at the charge point's state and errors.",
)

WORDS = (Ask("ChangeAvailability", _availability, {"Accepted": DONE, "Rejected": _REJECTED}),)

EXAMPLES = (
    Example(
        "ChangeAvailability",
        "Take a connector or the station out of service, or put it back",
        v16={"connectorId": 1, "type": "Inoperative"},
        v2={"evse": {"id": 1}, "operationalStatus": "Inoperative"},
    ),
)
