"""B10: network profiles in words."""

from csms.wording import DONE, Ask, Example, Payload, said, within


def _store(request: Payload) -> str:
    data = within(request, "connectionData")
    to, profile = said(data.get("ocppCsmsUrl", "a central system")), said(data.get("securityProfile", "unknown"))
    slot = said(request.get("configurationSlot", ""))
    return f"store in slot {slot} how it connects: to {to} with security profile {profile}"


WORDS = (Ask("SetNetworkProfile", _store, {"Accepted": DONE}),)

EXAMPLES = (
    Example(
        "SetNetworkProfile",
        "Store how the station connects to a central system",
        v2={
            "configurationSlot": 2,
            "connectionData": {
                "ocppVersion": "OCPP20",
                "ocppTransport": "JSON",
                "ocppCsmsUrl": "wss://csms.example.com/ocpp",
                "messageTimeout": 30,
                "securityProfile": 2,
                "ocppInterface": "Wired0",
            },
        },
    ),
)
