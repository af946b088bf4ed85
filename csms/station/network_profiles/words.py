"""B10: network profiles in words."""

from csms.wording import DONE, Ask, Payload, said, within


def _store(request: Payload) -> str:
    data = within(request, "connectionData")
    to, profile = said(data.get("ocppCsmsUrl", "a central system")), said(data.get("securityProfile", "unknown"))
    slot = said(request.get("configurationSlot", ""))
    return f"store in slot {slot} how it connects: to {to} with security profile {profile}"


WORDS = (Ask("SetNetworkProfile", _store, {"Accepted": DONE}),)
