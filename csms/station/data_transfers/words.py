"""B6: vendors' own messages in words."""

from csms.wording import DONE, Ask, Example, Level, Payload, Tell, Words, said, status_of


def _vendor_of(request: Payload) -> str:
    name = f" ({said(request['messageId'])})" if request.get("messageId") else ""
    return f"{said(request.get('vendorId', 'unknown'))}{name}"


def _told(request: Payload, answer: Payload) -> Words:
    text = f"The station sent a message of vendor {_vendor_of(request)}"
    if answer.get("status") == "Accepted":
        return Words(f"{text}.")
    return Words(f"{text}; nobody here understands it.", Level.INFO, f"It was answered with {status_of(answer)}.")


WORDS = (
    Tell("DataTransfer", _told),
    Ask(
        "DataTransfer",
        lambda request: f"take a message of vendor {_vendor_of(request)}",
        {
            "Accepted": DONE,
            "UnknownVendorId": Words("it does not know this vendor", Level.WARNING),
            "UnknownMessageId": Words("it does not know this message of the vendor", Level.WARNING),
        },
    ),
)

EXAMPLES = (
    Example(
        "DataTransfer",
        "Send a vendor's own message",
        v16={"vendorId": "com.example", "messageId": "SetDisplay", "data": "Welcome"},
        v2={"vendorId": "com.example", "messageId": "SetDisplay", "data": {"text": "Welcome"}},
    ),
)
