"""F2: the messages, in plain words that somebody woken at night understands: what, where, since when, what was done."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from csms.fleet.escalation.rules import Language
from csms.mail import one_line

ENTRIES_SHOWN_MAX = 50
"""Errors listed in one message; of further ones only the number is told."""
LINE_CHARS_MAX = 600
_SEVERITY_ORDER = ("warning", "error", "critical")


@dataclass(frozen=True, slots=True)
class Entry:
    """One error as a message tells of it."""

    error_id: int
    station: str
    station_name: str | None
    site: str | None
    place: str | None
    """Postal address."""
    charge_point_number: int
    code: str
    vendor_code: str | None
    info: str | None
    severity: str
    source: str
    since: datetime
    resolved_at: datetime | None
    repeat_count: int
    url: str


@dataclass(frozen=True, slots=True)
class Letter:
    """What a message is made of; `limit_free_at` is set when it is the last one before the hourly limit."""

    rule_name: str
    is_all_clear: bool
    entries: Sequence[Entry]
    """The first of them, worst and oldest first."""
    error_count: int
    station_count: int
    hold_off_s: int
    now: datetime
    limit_free_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Words:
    """The words of one language."""

    codes: Mapping[str, str]
    of_component: str
    """In place of a code's words, where a component told it (2.x)."""
    tasks: Mapping[str, str]
    """What whoever is woken can do about it, by code."""
    severities: Mapping[str, str]
    of_charge_point: str
    of_station: str
    many: str
    many_here: str
    at_site: str
    all_clear: str
    what: str
    where: str
    since: str
    ended: str
    to_do: str
    done: str
    link: str
    vendor_code: str
    repeated: str
    waited: str
    at_once: str
    no_window: str
    further: str
    limit: str
    rule: str
    test_subject: str
    test_text: str


_ENGLISH = Words(
    codes={
        "CertificateExpiring": "a certificate on the station expires soon, or has expired",
        "ConnectorLockFailure": "the connector cannot be locked or unlocked",
        "EVCommunicationError": "charge point and vehicle do not understand each other",
        "Faulted": "out of order; the station did not say why",
        "GroundFailure": "ground fault: the residual current protection has tripped",
        "HighTemperature": "too hot inside",
        "InternalError": "internal error of the hardware or software",
        "LocalListConflict": "its list of cards contradicts ours",
        "Offline": "offline: the station has lost its connection",
        "OtherError": "an error of the maker's own kind",
        "OverCurrentFailure": "overcurrent: the overcurrent protection has tripped",
        "OverVoltage": "the voltage is too high",
        "PowerMeterFailure": "the electricity meter cannot be read",
        "PowerSwitchFailure": "the power switch (contactor) fails",
        "ReaderFailure": "the card reader fails",
        "ResetFailure": "it could not restart",
        "TamperDetectionActivated": "the tamper sensor was triggered: somebody may have opened the station",
        "UnderVoltage": "the voltage is too low",
        "WeakSignal": "weak mobile or wireless signal",
    },
    of_component="the component {component} tells {variable}",
    tasks={
        "CertificateExpiring": "renew the certificate of the station, and see why that did not happen by itself",
        "ConnectorLockFailure": "unlock the cable remotely; if that fails, have somebody look at plug and socket",
        "Faulted": "restart the station; if the fault stays, fetch its log and call service",
        "GroundFailure": "keep it out of use until an electrician has looked at it",
        "HighTemperature": "check fans and ventilation; it may go on by itself once it has cooled down",
        "InternalError": "restart the station; if the error comes back, call service with the maker's code",
        "LocalListConflict": "send the whole local list again",
        "Offline": "check its power and network; if its tries to connect were refused, put the reason right",
        "OtherError": "look the maker's code up in its manual",
        "OverCurrentFailure": "keep it out of use until an electrician has looked at it",
        "OverVoltage": "check the supply; if other stations there tell the same, call the grid operator",
        "PowerMeterFailure": "restart the station; energy that is not measured cannot be billed",
        "PowerSwitchFailure": "take the charge point out of service: it may not switch off",
        "ReaderFailure": "charges can be started remotely until the reader is repaired",
        "ResetFailure": "restart it once more; if that fails, have it switched off and on at its place",
        "TamperDetectionActivated": "have somebody look at the station at once",
        "UnderVoltage": "check the supply; if other stations there tell the same, call the grid operator",
        "WeakSignal": "check antenna and SIM card at the next visit",
    },
    severities={"warning": "Warning", "error": "Error", "critical": "Critical"},
    of_charge_point="charge point {number}",
    of_station="whole station",
    many="{errors} errors at {stations} stations",
    many_here="{station}: {errors} errors",
    at_site="at {site}",
    all_clear="All clear",
    what="What",
    where="Where",
    since="Since",
    ended="Ended",
    to_do="To do",
    done="Done so far",
    link="More",
    vendor_code="maker's code {code}",
    repeated="repeats by the station: {count}",
    waited="waited {pause} whether it ends by itself",
    at_once="told at once, without waiting",
    no_window="no maintenance window is active",
    further="… and {count} more.",
    limit="This rule's hourly limit of messages is reached. Further news follows together after {at}.",
    rule="You get this because of the escalation rule «{rule}».",
    test_subject="Test of the escalation rule «{rule}»",
    test_text="This is a test. Messages of the escalation rule «{rule}» arrive here.",
)
_GERMAN = Words(
    codes={
        "CertificateExpiring": "ein Zertifikat der Station läuft bald ab oder ist abgelaufen",
        "ConnectorLockFailure": "der Stecker lässt sich nicht ver- oder entriegeln",
        "EVCommunicationError": "Ladepunkt und Fahrzeug verstehen sich nicht",
        "Faulted": "außer Betrieb; die Station hat nicht gesagt, warum",
        "GroundFailure": "Fehlerstrom: der FI-Schutz hat ausgelöst",
        "HighTemperature": "zu heiß im Inneren",
        "InternalError": "interner Fehler in Hardware oder Software",
        "LocalListConflict": "ihre Kartenliste widerspricht unserer",
        "Offline": "offline: die Station hat keine Verbindung mehr",
        "OtherError": "ein herstellereigener Fehler",
        "OverCurrentFailure": "Überstrom: der Überstromschutz hat ausgelöst",
        "OverVoltage": "die Spannung ist zu hoch",
        "PowerMeterFailure": "der Stromzähler ist nicht lesbar",
        "PowerSwitchFailure": "das Schütz schaltet nicht richtig",
        "ReaderFailure": "der Kartenleser ist gestört",
        "ResetFailure": "der Neustart ist misslungen",
        "TamperDetectionActivated": "der Sabotagekontakt hat ausgelöst: jemand könnte die Station geöffnet haben",
        "UnderVoltage": "die Spannung ist zu niedrig",
        "WeakSignal": "schwaches Funksignal",
    },
    of_component="das Bauteil {component} meldet {variable}",
    tasks={
        "CertificateExpiring": "Zertifikat der Station erneuern und klären, warum das nicht von selbst geschah",
        "ConnectorLockFailure": "Kabel aus der Ferne entriegeln; hilft das nicht, Stecker und Dose ansehen lassen",
        "Faulted": "Station neu starten; bleibt der Fehler, ihr Protokoll holen und den Service rufen",
        "GroundFailure": "außer Betrieb lassen, bis eine Elektrofachkraft sie geprüft hat",
        "HighTemperature": "Lüfter und Belüftung prüfen; abgekühlt läuft sie vielleicht von selbst weiter",
        "InternalError": "Station neu starten; kommt der Fehler wieder, mit dem Herstellercode den Service rufen",
        "LocalListConflict": "die ganze Kartenliste neu senden",
        "Offline": "Strom und Netz prüfen; wurde ihre Anmeldung abgewiesen, den Grund beheben",
        "OtherError": "den Herstellercode in ihrem Handbuch nachschlagen",
        "OverCurrentFailure": "außer Betrieb lassen, bis eine Elektrofachkraft sie geprüft hat",
        "OverVoltage": "Versorgung prüfen; melden andere Stationen dort dasselbe, den Netzbetreiber anrufen",
        "PowerMeterFailure": "Station neu starten; nicht gemessene Energie lässt sich nicht abrechnen",
        "PowerSwitchFailure": "Ladepunkt außer Betrieb nehmen: er schaltet vielleicht nicht ab",
        "ReaderFailure": "bis zur Reparatur lassen sich Ladungen aus der Ferne starten",
        "ResetFailure": "noch einmal neu starten; hilft das nicht, vor Ort aus- und einschalten lassen",
        "TamperDetectionActivated": "sofort jemanden nach der Station sehen lassen",
        "UnderVoltage": "Versorgung prüfen; melden andere Stationen dort dasselbe, den Netzbetreiber anrufen",
        "WeakSignal": "beim nächsten Besuch Antenne und SIM-Karte prüfen",
    },
    severities={"warning": "Warnung", "error": "Fehler", "critical": "Kritisch"},
    of_charge_point="Ladepunkt {number}",
    of_station="ganze Station",
    many="{errors} Fehler an {stations} Stationen",
    many_here="{station}: {errors} Fehler",
    at_site="bei {site}",
    all_clear="Entwarnung",
    what="Was",
    where="Wo",
    since="Seit",
    ended="Beendet",
    to_do="Zu tun",
    done="Bisher getan",
    link="Mehr",
    vendor_code="Herstellercode {code}",
    repeated="Wiederholungen durch die Station: {count}",
    waited="{pause} abgewartet, ob er von selbst endet",
    at_once="sofort gemeldet, ohne abzuwarten",
    no_window="kein Wartungsfenster ist aktiv",
    further="… und {count} weitere.",
    limit="Die Höchstzahl an Nachrichten je Stunde ist erreicht. Weiteres folgt gesammelt nach {at}.",
    rule="Sie erhalten dies wegen der Eskalationsregel «{rule}».",
    test_subject="Test der Eskalationsregel «{rule}»",
    test_text="Dies ist ein Test. Nachrichten der Eskalationsregel «{rule}» kommen hier an.",
)
_WORDS = {Language.ENGLISH: _ENGLISH, Language.GERMAN: _GERMAN}


def subject_of(letter: Letter, language: Language) -> str:
    """One line: how bad, where, what; safe as a mail's subject."""
    words, first = _WORDS[language], letter.entries[0]
    if letter.error_count == 1:
        about = f"{_station(first)}, {_where(first, words)}: {first.code}"
    elif letter.station_count == 1:
        about = words.many_here.format(station=_station(first), errors=letter.error_count) + f": {first.code}"
    else:
        about = words.many.format(errors=letter.error_count, stations=letter.station_count) + _common(letter, words)
    lead = words.all_clear if letter.is_all_clear else words.severities[_worst(letter.entries)]
    return one_line(f"{lead}: {about}")


def text_of(letter: Letter, language: Language, time_zone: str) -> str:
    """The whole message as plain text."""
    words, zone = _WORDS[language], ZoneInfo(time_zone)
    blocks = [_block(entry, letter, words, zone) for entry in letter.entries]
    hidden = letter.error_count - len(letter.entries)
    if hidden > 0:
        blocks.append(words.further.format(count=hidden))
    if letter.limit_free_at is not None:
        blocks.append(words.limit.format(at=_moment(letter.limit_free_at, zone)))
    blocks.append(words.rule.format(rule=one_line(letter.rule_name)))
    return "\n\n".join(blocks) + "\n"


def trial_letter(rule_name: str, language: Language) -> tuple[str, str]:
    """Subject and text of a test."""
    words, name = _WORDS[language], one_line(rule_name)
    return one_line(words.test_subject.format(rule=name)), words.test_text.format(rule=name) + "\n"


def _block(entry: Entry, letter: Letter, words: Words, zone: ZoneInfo) -> str:
    lines = [
        (words.what, f"{words.severities[entry.severity]}: {_what(entry, words)}"),
        (words.where, _whole_place(entry, words)),
        (words.since, f"{_moment(entry.since, zone)} ({_span((entry.resolved_at or letter.now) - entry.since)})"),
    ]
    if entry.resolved_at is not None:
        lines.append((words.ended, _moment(entry.resolved_at, zone)))
    if not letter.is_all_clear:
        if entry.code in words.tasks:
            lines.append((words.to_do, words.tasks[entry.code]))
        lines.append((words.done, _done(entry, letter, words)))
    lines.append((words.link, entry.url))
    width = max(len(label) for label, _ in lines) + 2
    return "\n".join(f"{label + ':':<{width}}{one_line(text, LINE_CHARS_MAX)}" for label, text in lines)


def _what(entry: Entry, words: Words) -> str:
    details = [entry.code]
    if entry.vendor_code:
        details.append(words.vendor_code.format(code=entry.vendor_code))
    if entry.info:
        details.append(f"«{entry.info}»")
    return f"{_plainly(entry.code, words)} ({', '.join(details)})"


def _plainly(code: str, words: Words) -> str:
    component, dot, variable = code.partition(".")
    if dot:
        return words.of_component.format(component=component, variable=variable)
    return words.codes.get(code, words.codes["OtherError"])


def _whole_place(entry: Entry, words: Words) -> str:
    parts = [_station(entry), _where(entry, words), entry.site, entry.place]
    return ", ".join(part for part in parts if part)


def _done(entry: Entry, letter: Letter, words: Words) -> str:
    waited = words.waited.format(pause=_span(timedelta(seconds=letter.hold_off_s)))
    parts = [waited if letter.hold_off_s else words.at_once, words.no_window]
    if entry.repeat_count:
        parts.append(words.repeated.format(count=entry.repeat_count))
    return "; ".join(parts)


def _station(entry: Entry) -> str:
    return f"{entry.station} {entry.station_name}" if entry.station_name else entry.station


def _where(entry: Entry, words: Words) -> str:
    if entry.charge_point_number == 0:
        return words.of_station
    return words.of_charge_point.format(number=entry.charge_point_number)


def _common(letter: Letter, words: Words) -> str:
    """The site and the most frequent code of many errors."""
    sites = {entry.site for entry in letter.entries}
    site = next(iter(sites)) if len(sites) == 1 else None
    code, _ = Counter(entry.code for entry in letter.entries).most_common(1)[0]
    return (f" {words.at_site.format(site=site)}" if site else "") + f": {code}"


def _worst(entries: Sequence[Entry]) -> str:
    return max((entry.severity for entry in entries), key=_SEVERITY_ORDER.index)


def _moment(at: datetime, zone: ZoneInfo) -> str:
    return f"{at.astimezone(zone):%Y-%m-%d %H:%M} ({zone.key})"


def _span(length: timedelta) -> str:
    """A length of time, roughly: `45 s`, `12 min`, `3 h 05 min`, `2 d 4 h`."""
    seconds = max(0, int(length.total_seconds()))
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if days:
        return f"{days} d {hours % 24} h"
    if hours:
        return f"{hours} h {minutes % 60:02} min"
    return f"{minutes} min" if minutes else f"{seconds} s"
