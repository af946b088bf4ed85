"""B2: grid controls and alarms in words."""

from csms.wording import Ask, Example, Level, Payload, Tell, Words, said


def _control(request: Payload, _answer: Payload) -> Words:
    what = "begins to act" if request.get("started") is True else "ends"
    return Words(f"Grid control {said(request.get('controlId', ''))} {what}.")


def _alarm(request: Payload, _answer: Payload) -> Words:
    kind, fault = said(request.get("controlType", "")), request.get("gridEventFault")
    if request.get("alarmEnded") is True:
        return Words(f"Grid alarm {kind} is over.")
    why = None if fault is None else f"The station sees {said(fault)}."
    return Words(f"Grid alarm {kind}: the station acts on the grid's state.", Level.WARNING, why)


def _controls(_request: Payload, _answer: Payload) -> Words:
    return Words("The station told its grid controls.")


WORDS = (
    Tell("NotifyDERAlarm", _alarm),
    Tell("NotifyDERStartStop", _control),
    Tell("ReportDERControl", _controls),
    Ask("ClearDERControl", "drop grid controls"),
    Ask("GetDERControl", "tell its grid controls"),
    Ask("SetDERControl", "follow a grid control"),
)

EXAMPLES = (
    Example(
        "ClearDERControl", "Remove settings of the grid connection", v2={"isDefault": False, "controlType": "FixedVar"}
    ),
    Example(
        "GetDERControl", "Have the settings of the grid connection reported", v2={"requestId": 1, "isDefault": False}
    ),
    Example(
        "SetDERControl",
        "Set how the station behaves towards the grid",
        v2={
            "isDefault": False,
            "controlId": "var-1",
            "controlType": "FixedVar",
            "fixedVar": {"priority": 1, "setpoint": 10.5, "unit": "PctMaxVar"},
        },
    ),
)
