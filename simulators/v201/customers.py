"""F5: what a simulated 2.x station knows of a customer, and forgets on demand (2.0.1, N09, N10)."""

import json
from typing import Any, Final

from simulators.v201.authorization import Authorization
from simulators.v201.charging import Charging
from simulators.v201.evse import IdToken

DATA_CHARS: Final = 512
MAX_PAGES: Final = 100


class Customers:
    """Looks into the cache, the local list and the running transactions."""

    def __init__(self, authorization: Authorization, charging: Charging) -> None:
        self._authorization = authorization
        self._charging = charging

    def report(self, payload: dict[str, Any]) -> list[str]:
        """`data` of NotifyCustomerInformation, in pieces that fit a message; one empty piece when nothing is known."""
        token = _token(payload)
        known = [] if token is None else self._of(token)
        text = "\n".join(known)
        cut = [text[start : start + DATA_CHARS] for start in range(0, len(text), DATA_CHARS)]
        return cut[:MAX_PAGES] or [""]

    def _of(self, token: IdToken) -> list[str]:
        authorization, known = self._authorization, []
        if token.key in authorization.cache:
            known.append(f"cache: {json.dumps(authorization.cache[token.key].info, sort_keys=True)}")
        if token.key in authorization.local_list:
            known.append(f"local list: {json.dumps(authorization.local_list[token.key], sort_keys=True)}")
        known += [
            f"transaction {evse.transaction.transaction_id} on EVSE {evse.evse_id} runs"
            for evse in self._charging.evses.values()
            if evse.transaction is not None and evse.token is not None and evse.token.key == token.key
        ]
        return known

    def clear(self, payload: dict[str, Any]) -> None:
        """Forget what is not needed for a charge that runs."""
        token = _token(payload)
        if token is not None:
            self._authorization.forget(token)


def _token(payload: dict[str, Any]) -> IdToken | None:
    """The customer: by token, or by an identifier that this station takes for a token's text."""
    if "idToken" in payload:
        return IdToken.read(payload["idToken"])
    return IdToken(payload["customerIdentifier"]) if "customerIdentifier" in payload else None
