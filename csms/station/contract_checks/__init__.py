"""S27, B10: the certificate of a vehicle's contract is verified before the contract may charge (plug and charge)."""

NEEDS = ("station.certificates", "station.tokens")
__all__: list[str] = []
