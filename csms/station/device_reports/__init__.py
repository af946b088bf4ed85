"""S15: reports that stations send in parts: asked for, put together by number, given up when parts stay away.

A handler on the hot path only keeps what a station told (`note_part`, `note_answer`): one row, whatever its size.
The feature that owns the topic hears of it by the fact named in `FACTS` and sorts it in, many parts at once, in a unit
of work of its own with `take`. So a station that tells 3,000 variables in 100 parts holds up nobody.

Short reports are sorted in as they come; an `Inventory` tells when one of everything is whole.
"""

from csms.station.device_reports.inventories import Inventory
from csms.station.device_reports.model import DeviceMessage, DeviceReport, Topic
from csms.station.device_reports.rules import ReportState, request_number
from csms.station.device_reports.service import (
    FACTS,
    get_report,
    note_answer,
    note_part,
    note_report_answer,
    open_report,
    reports_query,
    settle_report,
    take,
)
from csms.station.device_reports.words import (
    REPORT_VERDICTS,
    faults_told,
    item_name,
    item_names,
    part_told,
    shortened,
)

NEEDS = ("station.information",)
__all__ = [
    "FACTS",
    "REPORT_VERDICTS",
    "DeviceMessage",
    "DeviceReport",
    "Inventory",
    "ReportState",
    "Topic",
    "faults_told",
    "get_report",
    "item_name",
    "item_names",
    "note_answer",
    "note_part",
    "note_report_answer",
    "open_report",
    "part_told",
    "reports_query",
    "request_number",
    "settle_report",
    "shortened",
    "take",
]
