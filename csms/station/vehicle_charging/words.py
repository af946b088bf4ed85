"""S25: what vehicles want and plan, in words."""

from csms.wording import DONE, Ask, Example, Level, Payload, Tell, Words, place_of, said, status_of, within


def _needs(request: Payload, answer: Payload) -> Words:
    departure = within(request, "chargingNeeds").get("departureTime")
    leaves = f", leaving at {said(departure)}" if departure else ""
    asked = f"The vehicle at {place_of(request)} told what it needs{leaves}"
    status = status_of(answer)
    if status in ("Accepted", "Processing"):
        return Words(f"{asked}; limits for it will follow.")
    return Words(f"{asked}; it gets no limits of its own ({status}).")


def _planned(request: Payload, answer: Payload) -> Words:
    told = f"The vehicle at {place_of(request)} told how it will charge"
    if status_of(answer) == "Accepted":
        return Words(f"{told}.")
    if within(answer, "statusInfo").get("reasonCode") == "ValueTooHigh":
        return Words(f"{told}; that is more than it may, and was rejected.", Level.WARNING)
    return Words(f"{told}, but it cannot be read.", Level.WARNING, None, "Look at the raw frame.")


def _transfer(request: Payload) -> str:
    kinds = request.get("allowedEnergyTransfer")
    listed = said(", ".join(map(str, kinds))) if isinstance(kinds, list) else ""
    return f"allow {listed} for charge {said(request.get('transactionId', ''))}"


WORDS = (
    Tell("NotifyEVChargingNeeds", _needs),
    Tell("NotifyEVChargingSchedule", _planned),
    Ask("NotifyAllowedEnergyTransfer", _transfer, {"Accepted": DONE}),
)

EXAMPLES = (
    Example(
        "NotifyAllowedEnergyTransfer",
        "Tell which ways of charging are allowed",
        v2={"transactionId": "7f4a2c9e-3b1d", "allowedEnergyTransfer": ["AC_three_phase"]},
    ),
)
