"""S17: diagnostics and logs: asked for, followed while the station uploads them, kept for download."""

from csms.station.diagnosis.model import Diagnosis
from csms.station.diagnosis.rules import DiagnosisKind, DiagnosisState

NEEDS = ("station.commands", "station.file_transfers", "station.information")
__all__ = ["Diagnosis", "DiagnosisKind", "DiagnosisState"]
