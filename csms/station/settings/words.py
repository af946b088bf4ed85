"""S15: settings in words: configuration keys of OCPP 1.6, variables of 2.x."""

from collections.abc import Mapping
from typing import Final

from csms.station.device_reports import REPORT_VERDICTS, faults_told, item_name, item_names, part_told, shortened
from csms.wording import DONE, Ask, Example, Level, Payload, Tell, Words, count_of, items_of, said

_INVENTORIES: Final[Mapping[str, str]] = {
    "ConfigurationInventory": "all its settings that can be changed",
    "FullInventory": "all its settings",
    "SummaryInventory": "what is wrong with it",
}


def _change_key(request: Payload) -> str:
    key, value = said(request.get("key", "a setting")), said(request.get("value", ""))
    return f"change {key}" if value == "(hidden)" else f"set {key} to {value}"


_KEY_VERDICTS: Final[Mapping[str, Words]] = {
    "Accepted": DONE,
    "NotSupported": Words(
        "it does not know this setting", Level.WARNING, what_to_do="Read its settings to see which it has."
    ),
    "Rejected": Words(
        "it will not",
        Level.WARNING,
        "The setting is read-only, or the value is not one that it takes.",
        "Read the setting to see its present value.",
    ),
}


def _read_keys(request: Payload) -> str:
    keys = request.get("key")
    if not isinstance(keys, list) or not keys:
        return "tell its settings"
    return f"tell its settings {said(', '.join(map(str, keys)))}"


def _told_keys(answer: Payload) -> Words:
    told, unknown = f"it told {count_of(answer, 'configurationKey')}", answer.get("unknownKey")
    missing = said(", ".join(map(str, unknown))) if isinstance(unknown, list) else ""
    return Words(told, Level.WARNING, f"It does not know: {missing}.") if missing else Words(told)


def _change(request: Payload) -> str:
    wishes = items_of(request, "setVariableData")
    if len(wishes) == 1 and wishes[0].get("attributeValue") not in (None, "(hidden)"):
        return f"set {item_name(wishes[0])} to {said(wishes[0]['attributeValue'])}"
    return f"change {item_names(request, 'setVariableData') or 'settings'}"


def _changed(answer: Payload) -> Words:
    results = items_of(answer, "setVariableResult")
    faults = faults_told(results, "attributeStatus", ("Accepted", "RebootRequired"))
    if faults:
        return Words("not all of it", Level.WARNING, faults, "Read the settings to see their present values.")
    if any(item.get("attributeStatus") == "RebootRequired" for item in results):
        why = "The change is stored but not in force."
        return Words("it will after a restart", Level.WARNING, why, "Restart the station.")
    return DONE


def _read(request: Payload) -> str:
    return f"tell its settings {item_names(request, 'getVariableData')}".rstrip()


def _told(answer: Payload) -> Words:
    results = items_of(answer, "getVariableResult")
    missing = [item_name(item) for item in results if item.get("attributeStatus") != "Accepted"]
    told = f"it told {len(results) - len(missing)}"
    if not missing:
        return Words(told)
    why = f"It did not tell: {shortened(missing)}."
    return Words(told, Level.WARNING, why, "Read its settings to see which it has.")


def _report(request: Payload) -> str:
    names = item_names(request, "componentVariable")
    return f"report {names}" if names else "report its components in a certain state"


def _inventory(request: Payload) -> str:
    return f"report {_INVENTORIES.get(str(request.get('reportBase')), 'its settings')}"


WORDS = (
    Tell("NotifyReport", part_told("settings", "reportData")),
    Ask("ChangeConfiguration", _change_key, _KEY_VERDICTS),
    Ask("GetBaseReport", _inventory, REPORT_VERDICTS),
    Ask("GetConfiguration", _read_keys, told=_told_keys),
    Ask("GetReport", _report, REPORT_VERDICTS),
    Ask("GetVariables", _read, told=_told),
    Ask("SetVariables", _change, told=_changed),
)

EXAMPLES = (
    Example(
        "ChangeConfiguration", "Change a configuration key", v16={"key": "MeterValueSampleInterval", "value": "60"}
    ),
    Example(
        "GetBaseReport",
        "Have the whole inventory of settings reported",
        v2={"requestId": 1, "reportBase": "FullInventory"},
    ),
    Example("GetConfiguration", "Read configuration keys", v16={"key": ["HeartbeatInterval"]}),
    Example("GetReport", "Have chosen settings reported", v2={"requestId": 1, "componentCriteria": ["Problem"]}),
    Example(
        "GetVariables",
        "Read variables",
        v2={"getVariableData": [{"component": {"name": "OCPPCommCtrlr"}, "variable": {"name": "HeartbeatInterval"}}]},
    ),
    Example(
        "SetVariables",
        "Change variables",
        v2={
            "setVariableData": [
                {
                    "component": {"name": "OCPPCommCtrlr"},
                    "variable": {"name": "HeartbeatInterval"},
                    "attributeValue": "300",
                }
            ]
        },
    ),
)
