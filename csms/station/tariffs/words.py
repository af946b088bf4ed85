"""S26: tariffs and payments in words."""

from csms.wording import Ask, Example, Level, Payload, Tell, Words, said


def _settled(request: Payload, _answer: Payload) -> Words:
    status, amount = str(request.get("status")), said(request.get("settlementAmount", ""))
    if status == "Settled":
        return Words(f"A payment of {amount} was settled.")
    why = said(request["statusInfo"]) if request.get("statusInfo") else None
    return Words(f"A payment of {amount} was not settled: {said(status)}.", Level.WARNING, why)


def _vat(request: Payload, answer: Payload) -> Words:
    number = said(request.get("vatNumber", ""))
    if answer.get("status") == "Accepted":
        return Words(f"VAT number {number} was confirmed.")
    return Words(f"VAT number {number} could not be confirmed.", Level.WARNING)


WORDS = (
    Tell("NotifySettlement", _settled),
    Tell("VatNumberValidation", _vat),
    Ask("ChangeTransactionTariff", "charge at another tariff"),
    Ask("ClearTariffs", "forget tariffs"),
    Ask("GetTariffs", "tell its tariffs"),
    Ask("NotifyWebPaymentStarted", "show that somebody is paying on the web"),
    Ask("SetDefaultTariff", "charge at a new default tariff"),
)

EXAMPLES = (
    Example(
        "ChangeTransactionTariff",
        "Change the tariff of a running charge",
        v2={
            "transactionId": "7f4a2c9e-3b1d",
            "tariff": {
                "tariffId": "day",
                "currency": "EUR",
                "energy": {"prices": [{"priceKwh": 0.49}], "taxRates": [{"type": "VAT", "tax": 19}]},
            },
        },
    ),
    Example("ClearTariffs", "Remove tariffs", v2={"tariffIds": ["day"]}),
    Example("GetTariffs", "List the tariffs", v2={"evseId": 1}),
    Example("NotifyWebPaymentStarted", "Tell that somebody pays on the web", v2={"evseId": 1, "timeout": 120}),
    Example(
        "SetDefaultTariff",
        "Set the default tariff",
        v2={
            "evseId": 0,
            "tariff": {
                "tariffId": "day",
                "currency": "EUR",
                "energy": {"prices": [{"priceKwh": 0.49}], "taxRates": [{"type": "VAT", "tax": 19}]},
            },
        },
    ),
)
