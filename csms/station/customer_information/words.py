"""B3: what a station knows of a customer, in words."""

from csms.wording import Ask, Example, Payload, Tell, Words


def _told(request: Payload, _answer: Payload) -> Words:
    rest = "; more follows" if request.get("tbc") is True else ""
    return Words(f"The station told what it knows of a customer{rest}.")


def _ask(request: Payload) -> str:
    told = "tell what it knows of a customer" if request.get("report") else ""
    deleted = "delete what it knows of a customer" if request.get("clear") else ""
    return " and ".join(part for part in (told, deleted) if part) or "say nothing of a customer"


WORDS = (Tell("NotifyCustomerInformation", _told), Ask("CustomerInformation", _ask))

EXAMPLES = (
    Example(
        "CustomerInformation",
        "Report or delete what is stored about a customer",
        v2={"requestId": 1, "report": True, "clear": False, "idToken": {"idToken": "04A2B3C4D5", "type": "ISO14443"}},
    ),
)
