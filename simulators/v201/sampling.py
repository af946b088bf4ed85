"""F5: meter values as 2.x writes them, plain and signed (2.0.1 part 2, 2.34 and 2.40)."""

import base64
import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from csms.ocpp.timestamps import write as timestamp
from simulators.meter import MEASURANDS as MEASURANDS_16
from simulators.meter import Measurement, sampled_values

MEASURANDS: Final = tuple(name for name in MEASURANDS_16 if name != "Temperature")  # 2.x has no temperature here
REGISTER: Final = "Energy.Active.Import.Register"
_UNITS: Final = {"Frequency": "Hz"}


class Seal:
    """The meter's own key: signs a reading in the Open Charge Metering Format."""

    def __init__(self) -> None:
        self._key: ec.EllipticCurvePrivateKey | None = None
        self._count = 0

    @property
    def key(self) -> ec.EllipticCurvePrivateKey:
        """Made at first use: most stations never sign."""
        if self._key is None:
            self._key = ec.generate_private_key(ec.SECP256R1())
        return self._key

    @property
    def public_key(self) -> str:
        """The public half, DER in base64."""
        public = self.key.public_key()
        encoded = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        return base64.b64encode(encoded).decode("ascii")

    def sign(self, energy_wh: int, at: datetime, context: str) -> dict[str, str]:
        """SignedMeterValueType for one reading of the register; without the public key."""
        self._count += 1
        kind = {"Transaction.Begin": "B", "Transaction.End": "E"}.get(context, "C")
        reading = {"TM": f"{timestamp(at)} S", "TX": kind, "RV": energy_wh, "RI": "1-b:1.8.0", "RU": "Wh", "ST": "G"}
        document = json.dumps({"FV": "1.0", "PG": f"T{self._count}", "RD": [reading]}, separators=(",", ":"))
        signature = self.key.sign(document.encode(), ec.ECDSA(hashes.SHA256()))
        sealed = json.dumps({"SA": "ECDSA-secp256r1-SHA256", "SD": signature.hex()}, separators=(",", ":"))
        text = f"OCMF|{document}|{sealed}"
        return {
            "signedMeterData": base64.b64encode(text.encode()).decode("ascii"),
            "signingMethod": "ECDSA-secp256r1-SHA256",
            "encodingMethod": "OCMF",
        }


def meter_value(seen: Measurement, measurands: Sequence[str], context: str, at: datetime) -> dict[str, Any] | None:
    """One MeterValueType; None when none of the measurands has a value here."""
    values = [_value(old) for old in sampled_values(seen, measurands, context)]
    return {"timestamp": timestamp(at), "sampledValue": values} if values else None


def _value(old: dict[str, str]) -> dict[str, Any]:
    new: dict[str, Any] = {"value": float(old["value"]), "context": old["context"], "measurand": old["measurand"]}
    new |= {name: old[name] for name in ("phase", "location") if name in old}
    unit = _UNITS.get(old["measurand"], old.get("unit", ""))
    return {**new, **({"unitOfMeasure": {"unit": unit}} if unit else {})}
