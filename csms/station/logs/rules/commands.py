"""S10: what the CSMS asks of stations and what they answer, in words: every action of OCPP 1.6 that it sends."""

from collections.abc import Callable, Mapping
from typing import Final

from csms.station.logs.rules import charging, device_model, transactions, transfers
from csms.station.logs.rules.words import Level, Payload, Words, at_place, card_of, place_of, said, status_of, vendor_of


def doing(action: str, request: Payload) -> str:
    """What the station is asked to do, as in «Asked to …»."""
    tell = _DOINGS.get(action)
    if tell is None:
        return f"do {action}"
    return tell if isinstance(tell, str) else tell(request)


def _availability(request: Payload) -> str:
    place = place_of(request)
    if "Operative" in (request.get("type"), request.get("operationalStatus")):
        return f"put {place} back into service"
    return f"take {place} out of service"


def _setting(request: Payload) -> str:
    key, value = said(request.get("key", "a setting")), said(request.get("value", ""))
    return f"change {key}" if value == "(hidden)" else f"set {key} to {value}"


def _settings(request: Payload) -> str:
    keys = request.get("key")
    if not isinstance(keys, list) or not keys:
        return "tell its settings"
    return f"tell its settings {said(', '.join(map(str, keys)))}"


def _network_profile(request: Payload) -> str:
    given = request.get("connectionData")
    data: Payload = given if isinstance(given, Mapping) else {}
    to, profile = said(data.get("ocppCsmsUrl", "a central system")), said(data.get("securityProfile", "unknown"))
    slot = said(request.get("configurationSlot", ""))
    return f"store in slot {slot} how it connects: to {to} with security profile {profile}"


def _trigger(request: Payload) -> str:
    return f"send {said(request.get('requestedMessage', 'a message'))}{at_place(request)}"


def _remote_start(request: Payload) -> str:
    return f"start charging{at_place(request)} with {card_of(request)}"


def _reserve(request: Payload) -> str:
    number = request.get("connectorId") or request.get("evseId")
    plug = f" with the plug {said(request['connectorType'])}" if request.get("connectorType") else ""
    place = f"charge point {said(number)}" if number else f"any charge point{plug}"
    until = request.get("expiryDate") or request.get("expiryDateTime") or ""
    return f"reserve {place} for {card_of(request)} until {said(until)}"


def _local_list(request: Payload) -> str:
    cards = request.get("localAuthorizationList")
    count = len(cards) if isinstance(cards, list) else 0
    kind = "changes to its card list" if request.get("updateType") == "Differential" else "a whole card list"
    version = request.get("listVersion", request.get("versionNumber", ""))
    return f"take {kind} (version {said(version)}, {count} cards)"


def _reset(request: Payload) -> str:
    where = at_place(request).removeprefix(" at ") if request.get("evseId") else ""
    what = f"restart {where}".strip()
    if request.get("type") == "OnIdle":
        return f"{what} when nothing charges"
    return f"{what} at once" if request.get("type") in ("Hard", "Immediate") else what


def _customer(request: Payload) -> str:
    told = "tell what it knows of a customer" if request.get("report") else ""
    deleted = "delete what it knows of a customer" if request.get("clear") else ""
    return " and ".join(part for part in (told, deleted) if part) or "say nothing of a customer"


_DOINGS: Final[Mapping[str, str | Callable[[Payload], str]]] = {
    **charging.DOINGS,
    **device_model.DOINGS,
    **transactions.DOINGS,
    **transfers.DOINGS,
    "CancelReservation": lambda request: f"cancel reservation {said(request.get('reservationId', ''))}",
    "CertificateSigned": "use its new certificate",
    "ChangeAvailability": _availability,
    "ChangeConfiguration": _setting,
    "ClearCache": "forget the cards it remembers",
    "ClearDisplayMessage": "take a message off its display",
    "AFRRSignal": lambda request: f"follow the grid's balancing signal {said(request.get('signal', ''))}",
    "AdjustPeriodicEventStream": "send a stream of values at another pace",
    "ChangeTransactionTariff": "charge at another tariff",
    "ClearDERControl": "drop grid controls",
    "ClearTariffs": "forget tariffs",
    "CustomerInformation": _customer,
    "GetDERControl": "tell its grid controls",
    "GetTariffs": "tell its tariffs",
    "NotifyWebPaymentStarted": "show that somebody is paying on the web",
    "GetPeriodicEventStream": "tell its streams of values",
    "RequestBatterySwap": "let a driver swap batteries",
    "DataTransfer": lambda request: f"take a message of vendor {vendor_of(request)}",
    "DeleteCertificate": "delete a certificate",
    "ExtendedTriggerMessage": _trigger,
    "GetConfiguration": _settings,
    "GetDisplayMessages": "tell the messages on its displays",
    "GetInstalledCertificateIds": "list its certificates",
    "GetLocalListVersion": "tell the version of its card list",
    "InstallCertificate": "install a root certificate",
    "RemoteStartTransaction": _remote_start,
    "RemoteStopTransaction": lambda request: f"stop charge {said(request.get('transactionId', ''))}",
    "ReserveNow": _reserve,
    "Reset": _reset,
    "SendLocalList": _local_list,
    "SetDERControl": "follow a grid control",
    "SetDefaultTariff": "charge at a new default tariff",
    "SetDisplayMessage": "show a message",
    "SetNetworkProfile": _network_profile,
    "TriggerMessage": _trigger,
    "UnlockConnector": lambda request: f"unlock the cable{at_place(request)}",
}

_Verdict = tuple[Level, str, str | None, str | None]

_VERDICTS: Final[Mapping[str, _Verdict]] = {
    "Accepted": (Level.INFO, "it will", None, None),
    "Rejected": (Level.WARNING, "it will not", "The station gives no reason.", "Look at its state and try again."),
    "NotSupported": (
        Level.WARNING,
        "it cannot",
        "The station does not support this.",
        "A newer firmware may support it.",
    ),
    "NotImplemented": (
        Level.WARNING,
        "it cannot",
        "The station does not have this message.",
        "A newer firmware may have it.",
    ),
    "Failed": (Level.ERROR, "it failed", "The station gives no reason.", "Try again; look at its errors."),
    "NotFound": (Level.WARNING, "there is none", None, None),
    "Scheduled": (
        Level.INFO,
        "it will when the charge that is running has ended",
        None,
        "Stop the charge if it cannot wait.",
    ),
    "RebootRequired": (
        Level.WARNING,
        "it will after a restart",
        "The change is stored but not in force.",
        "Restart the station.",
    ),
}
"""What an answer's status means, whatever was asked."""

_START_REFUSED: Final = "The charge point is occupied, has a fault or is out of service, or the card may not charge."
_DONE_AT_ONCE: Final = (
    "CancelReservation",
    "CertificateSigned",
    "ChangeAvailability",
    "ChangeConfiguration",
    "ClearCache",
    "DataTransfer",
    "DeleteCertificate",
    "GetInstalledCertificateIds",
    "InstallCertificate",
    "ReserveNow",
    "SendLocalList",
    "SetNetworkProfile",
)
_OWN_VERDICTS: Final[Mapping[tuple[str, str], _Verdict]] = {
    **{(action, "Accepted"): (Level.INFO, "done", None, None) for action in _DONE_AT_ONCE},
    **charging.VERDICTS,
    **device_model.VERDICTS,
    **transfers.VERDICTS,
    ("CancelReservation", "Rejected"): (Level.WARNING, "it knows no such reservation", None, None),
    ("ChangeAvailability", "Rejected"): (
        Level.WARNING,
        "it will not",
        "The station does not allow this change now.",
        "Look at the charge point's state and errors.",
    ),
    ("ChangeConfiguration", "NotSupported"): (
        Level.WARNING,
        "it does not know this setting",
        None,
        "Read its settings to see which it has.",
    ),
    ("ChangeConfiguration", "Rejected"): (
        Level.WARNING,
        "it will not",
        "The setting is read-only, or the value is not one that it takes.",
        "Read the setting to see its present value.",
    ),
    ("DataTransfer", "UnknownVendorId"): (Level.WARNING, "it does not know this vendor", None, None),
    ("DataTransfer", "UnknownMessageId"): (Level.WARNING, "it does not know this message of the vendor", None, None),
    ("UnlockConnector", "OngoingAuthorizedTransaction"): (
        Level.WARNING,
        "it will not",
        "A charge is running there.",
        "Stop the charge first.",
    ),
    ("UnlockConnector", "UnknownConnector"): (Level.WARNING, "it has no such connector", None, None),
    ("RequestStartTransaction", "Accepted"): (
        Level.INFO,
        "it will try",
        "The charge begins when the car is plugged in and the station has checked the card.",
        None,
    ),
    ("RemoteStartTransaction", "Accepted"): (
        Level.INFO,
        "it will try",
        "The charge begins when the car is plugged in and the station has checked the card.",
        None,
    ),
    ("RemoteStartTransaction", "Rejected"): (
        Level.WARNING,
        "it will not",
        _START_REFUSED,
        "Look at the charge point's state; plug in first where the station demands it.",
    ),
    ("RemoteStopTransaction", "Rejected"): (
        Level.WARNING,
        "it knows no such charge",
        "The charge has ended already, or the station lost it in a restart.",
        "Look at the charge log; unlock the cable if it is stuck.",
    ),
    ("ReserveNow", "Occupied"): (Level.WARNING, "it is occupied", None, "Reserve another charge point."),
    ("ReserveNow", "Faulted"): (Level.WARNING, "it has a fault", None, "Reserve another charge point."),
    ("ReserveNow", "Unavailable"): (Level.WARNING, "it is out of service", None, "Put it back into service first."),
    ("ReserveNow", "Rejected"): (
        Level.WARNING,
        "it does not take reservations",
        "The station is set so, or cannot reserve.",
        None,
    ),
    ("SendLocalList", "VersionMismatch"): (
        Level.WARNING,
        "its list is of another version",
        "Changes fit only the version that comes just before.",
        "Send the whole list.",
    ),
    ("UnlockConnector", "Unlocked"): (Level.INFO, "it is unlocked", None, None),
    ("UnlockConnector", "UnlockFailed"): (
        Level.ERROR,
        "it is stuck",
        "The lock did not open.",
        "Try again; let the driver press the plug in meanwhile; else send somebody.",
    ),
}
"""Where a status means something of its own."""


def commanded(action: str, request: Payload, answer: Payload) -> Words:
    """A command that the station answered."""
    asked = f"Asked to {doing(action, request)}"
    if action in device_model.ANSWERS:
        return device_model.ANSWERS[action](asked, answer)
    if "status" not in answer:
        return _told(action, asked, answer)
    status = status_of(answer)
    verdict = _OWN_VERDICTS.get((action, status)) or _VERDICTS.get(status)
    if verdict is None:
        return Words(f"{asked}: it answered «{status}».", Level.WARNING, "The standard has no such answer here.")
    level, short, why, what = verdict
    return Words(f"{asked}: {short}.", level, why, what)


def _told(action: str, asked: str, answer: Payload) -> Words:
    """An answer that is no yes or no."""
    if action == "GetConfiguration":
        known, unknown = answer.get("configurationKey"), answer.get("unknownKey")
        count = len(known) if isinstance(known, list) else 0
        missing = said(", ".join(map(str, unknown))) if isinstance(unknown, list) and unknown else None
        if missing:
            return Words(f"{asked}: it told {count}.", Level.WARNING, f"It does not know: {missing}.")
        return Words(f"{asked}: it told {count}.")
    if action == "GetLocalListVersion":
        version = answer.get("listVersion", answer.get("versionNumber"))
        # OCPP 1.6, 5.10: 0 is an empty list, -1 no support
        text = {0: "it is empty", -1: "it has no card list"}.get(version) if isinstance(version, int) else None
        return Words(f"{asked}: {text or f'version {said(version)}'}.")
    if action == "GetDiagnostics":
        name = answer.get("fileName")
        if not name:
            return Words(f"{asked}: there are none.", Level.WARNING, "The station has nothing to upload.")
        return Words(f"{asked}: it will, as {said(name)}.")
    tell = transactions.ANSWERS.get(action)
    return Words(f"{asked}: {tell(answer) if tell else 'it answered'}.")
