"""F2: errors reach people through rules, windows, groups and limits; and who was not told can be seen."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlmodel import col, select

from csms.clock import FixedClock
from csms.fleet.escalation import Delivery, Escalation, EscalationRule
from csms.fleet.escalation.jobs import deliver_due, escalate_due
from csms.fleet.escalation.rules import Channel, EscalationState, GroupBy, Kind
from csms.fleet.escalation.service import why
from csms.mail import Failed, MemoryMail
from csms.routing import Registration
from csms.runtime import Runtime
from csms.station.errors import StationError
from csms.station.errors.jobs import watch_offline
from csms.station.errors.service import resolve_by_hand
from csms.station.information import Station
from csms.station.maintenance_windows import MaintenanceWindow, reload
from csms.station.maintenance_windows.jobs import announce_ends
from csms.station.maintenance_windows.service import change_window, end_window, get_window, plan_window
from csms.station.operational_management import ServicePackage, switch_package
from csms.store import Store
from tests.builders import CallingStation, connect, make_organisation, make_station

pytestmark = pytest.mark.feature("F2")

MINUTE = timedelta(minutes=1)


@dataclass
class Bench:
    """One installation with a mailer that keeps its mails, and the work of its workers at the push of a button."""

    runtime: Runtime
    clock: FixedClock
    mailer: MemoryMail

    @property
    def store(self) -> Store:
        return self.runtime.store

    async def work(self) -> None:
        """What workers do all the time, once."""
        await self.runtime.outbox.deliver_due()
        await announce_ends(self.runtime)
        await self.runtime.outbox.deliver_due()
        await escalate_due(self.runtime)
        await deliver_due(self.runtime)
        await self.runtime.outbox.deliver_due()

    async def pass_time(self, **parts: float) -> None:
        self.clock.advance(**parts)
        await self.work()

    async def add_rule(self, **fields: Any) -> EscalationRule:
        owner = await make_organisation(self.store)
        values = {
            "name": "Night shift",
            "organisation_id": owner.id,
            "channel": Channel.EMAIL,
            "recipients": ["night@example.com"],
            "hold_off_s": 300,
            "roll_up_s": 0,
            "created_at": self.clock(),
        }
        async with self.store.writing() as work:
            rule = EscalationRule(**values | fields)
            work.session.add(rule)
            return rule

    async def station(self, **fields: Any) -> CallingStation:
        station = await make_station(self.store, **fields)
        async with self.store.writing() as work:
            await switch_package(work, station, ServicePackage.SUPPORT_360, is_on=True)
        return await connect(self.store, station)

    async def window(self, caller: CallingStation, *, starts_in: timedelta, lasts: timedelta) -> MaintenanceWindow:
        """For the whole station; the connected station hears of it."""
        async with self.store.writing() as work:
            station = await work.session.get_one(Station, caller.connected.id)
            start = work.now + starts_in
            window = await plan_window(
                work, station, number=None, starts_at=start, ends_at=start + lasts, comment="new cable"
            )
        async with self.store.reading() as work:
            await reload(work, [caller.connected])
        return window

    async def escalations(self) -> list[Escalation]:
        async with self.store.reading() as work:
            return list((await work.session.exec(select(Escalation).order_by(col(Escalation.id)))).all())

    async def states(self) -> list[EscalationState]:
        return [one.state for one in await self.escalations()]

    async def identities(self, site: str) -> list[str]:
        async with self.store.reading() as work:
            return list((await work.session.exec(select(Station.identity).where(Station.site == site))).all())

    def subjects(self) -> list[str]:
        return [mail.subject for mail in self.mailer.mails]


@pytest.fixture
def bench(runtime: Runtime, clock: FixedClock) -> Bench:
    mailer = MemoryMail(clock)
    runtime.mailer = mailer
    return Bench(runtime, clock, mailer)


async def fault(caller: CallingStation, number: int = 1, code: str = "GroundFailure") -> None:
    await caller.call("StatusNotification", connectorId=number, errorCode=code, status="Faulted")


async def recover(caller: CallingStation, number: int = 1) -> None:
    await caller.call("StatusNotification", connectorId=number, errorCode="NoError", status="Available")


# --- hold-off -----------------------------------------------------------------------------------------------------


async def test_an_error_that_stays_is_told_once_after_the_hold_off(bench: Bench) -> None:
    await bench.add_rule()
    caller = await bench.station()
    await fault(caller)
    await bench.work()
    await bench.pass_time(seconds=299)
    assert bench.subjects() == []
    assert await bench.states() == [EscalationState.WAITING]
    await bench.pass_time(seconds=1)
    assert bench.subjects() == [f"Critical: {caller.connected.identity}, charge point 1: GroundFailure"]
    assert bench.mailer.mails[0].to == "night@example.com"
    await fault(caller)  # repeated by the station
    await bench.pass_time(hours=1)
    assert len(bench.mailer.mails) == 1
    assert await bench.states() == [EscalationState.SENT]


async def test_an_error_that_ends_before_the_hold_off_is_not_told(bench: Bench) -> None:
    await bench.add_rule(sends_all_clear=True)
    caller = await bench.station()
    await fault(caller)
    await bench.pass_time(minutes=4)
    await recover(caller)
    await bench.pass_time(hours=1)
    assert bench.subjects() == []
    (escalation,) = await bench.escalations()
    assert escalation.state is EscalationState.CANCELLED
    assert escalation.reason is not None
    assert "before anybody had to be told" in escalation.reason


async def test_an_error_whose_end_is_not_heard_yet_is_not_told(bench: Bench) -> None:
    await bench.add_rule()
    caller = await bench.station()
    await fault(caller)
    await bench.work()
    bench.clock.advance(minutes=10)
    await recover(caller)
    await escalate_due(bench.runtime)  # before the outbox brought the news
    assert await bench.states() == [EscalationState.CANCELLED]
    await bench.work()
    assert bench.subjects() == []


async def test_news_of_an_error_that_is_over_already_opens_nothing(bench: Bench) -> None:
    await bench.add_rule(hold_off_s=0)
    caller = await bench.station()
    await fault(caller)
    await recover(caller)
    await bench.work()
    assert await bench.states() == [EscalationState.CANCELLED]
    assert bench.subjects() == []


async def test_only_rules_that_fit_and_are_active_tell(bench: Bench) -> None:
    await bench.add_rule(name="other code", codes=["HighTemperature"], hold_off_s=0)
    await bench.add_rule(name="off", is_active=False, hold_off_s=0)
    strangers = await make_organisation(bench.store, "Strangers")
    await bench.add_rule(name="strangers", organisation_id=strangers.id, hold_off_s=0)
    await bench.add_rule(name="fits", codes=["GroundFailure"], severities=["critical"], hold_off_s=0)
    await fault(await bench.station())
    await bench.work()
    assert [one.rule_name for one in await bench.escalations()] == ["fits"]


async def test_an_error_that_gets_worse_reaches_a_rule_for_worse_ones(bench: Bench) -> None:
    await bench.add_rule(severities=["error", "critical"], hold_off_s=0)
    caller = await bench.station()
    await caller.call("StatusNotification", connectorId=1, errorCode="WeakSignal", status="Available")
    await bench.work()
    assert bench.subjects() == []
    await fault(caller, code="WeakSignal")
    await bench.work()
    assert len(bench.subjects()) == 1


async def test_what_gets_worse_has_its_hold_off_from_then(bench: Bench) -> None:
    await bench.add_rule(severities=["error", "critical"])
    caller = await bench.station()
    await caller.call("StatusNotification", connectorId=1, errorCode="WeakSignal", status="Available")
    await bench.pass_time(days=1)
    await fault(caller, code="WeakSignal")
    await bench.pass_time(minutes=4)
    assert bench.subjects() == []
    await bench.pass_time(minutes=1)
    assert len(bench.subjects()) == 1


async def test_a_charge_point_out_of_order_is_told_although_only_a_warning_has_a_code(bench: Bench) -> None:
    await bench.add_rule(severities=["error", "critical"])
    caller = await bench.station()
    await caller.call("StatusNotification", connectorId=1, errorCode="WeakSignal", status="Available")
    await fault(caller, code="NoError")
    await bench.work()
    await bench.pass_time(minutes=5)
    assert [subject.rpartition(": ")[2] for subject in bench.subjects()] == ["Faulted"]


async def test_a_deleted_station_keeps_back_nobody_elses_alarms(bench: Bench, api: httpx.AsyncClient) -> None:
    await bench.add_rule(group_by=GroupBy.ALL, sends_all_clear=True)
    waiting, told, other = [await bench.station() for _ in range(3)]
    await fault(told)
    await bench.work()
    await bench.pass_time(minutes=6)
    await recover(told)
    await bench.runtime.outbox.deliver_due()
    await fault(waiting)
    await bench.runtime.outbox.deliver_due()
    for caller in (waiting, told):
        answer = await api.delete(f"/api/v1/stations/{caller.connected.identity}")
        assert answer.status_code == 204, answer.text
    await fault(other)
    await bench.work()
    await bench.pass_time(minutes=6)
    assert len(bench.subjects()) == 2
    assert other.connected.identity in bench.subjects()[1]
    reasons = [one.reason for one in await bench.escalations() if one.state is EscalationState.CANCELLED]
    assert reasons == ["the station was deleted"] * 2
    listed = await api.get("/api/v1/errors")
    assert [item["station_id"] for item in listed.json()["items"]] == [other.connected.identity]
    csv = await api.get("/api/v1/errors", headers={"Accept": "text/csv"})
    assert len(csv.text.splitlines()) == 2
    assert (await api.get("/api/v1/fleet/overview")).json()["with_open_errors"] == 1


async def test_a_rule_in_trouble_does_not_keep_back_the_others(bench: Bench) -> None:
    await bench.add_rule(name="broken", time_zone="Nowhere/Never", hold_off_s=0)
    await bench.add_rule(name="fine", hold_off_s=0)
    await fault(await bench.station())
    await bench.runtime.outbox.deliver_due()
    with pytest.raises(ExceptionGroup, match="rules that could not be worked through"):
        await escalate_due(bench.runtime)
    await deliver_due(bench.runtime)
    assert {one.rule_name: one.state for one in await bench.escalations()} == {
        "broken": EscalationState.WAITING,
        "fine": EscalationState.SENT,
    }


async def test_a_rule_switched_off_tells_nothing_more(bench: Bench) -> None:
    rule = await bench.add_rule()
    await fault(await bench.station())
    await bench.work()
    async with bench.store.writing() as work:
        (await work.session.get_one(EscalationRule, rule.id)).is_active = False
    await bench.pass_time(hours=1)
    (escalation,) = await bench.escalations()
    assert (escalation.state, escalation.reason) == (EscalationState.CANCELLED, "the rule was switched off")


# --- maintenance windows ------------------------------------------------------------------------------------------


@pytest.mark.feature("S16")
async def test_an_error_inside_a_window_is_never_told_and_the_reason_can_be_read(bench: Bench) -> None:
    await bench.add_rule(hold_off_s=0)
    caller = await bench.station()
    window = await bench.window(caller, starts_in=timedelta(0), lasts=60 * MINUTE)
    await fault(caller)
    await bench.work()
    await bench.pass_time(hours=3)  # still open long after the window
    assert bench.subjects() == []
    (escalation,) = await bench.escalations()
    assert (escalation.state, escalation.window_id) == (EscalationState.SUPPRESSED, window.id)
    assert escalation.reason == "it began inside the maintenance window until 2026-01-01 01:00:00 UTC"


@pytest.mark.feature("S16")
async def test_a_rule_may_tell_at_the_end_of_a_window_what_began_inside_and_is_open(bench: Bench) -> None:
    await bench.add_rule(escalates_open_after_window=True)
    caller = await bench.station()
    await bench.window(caller, starts_in=timedelta(0), lasts=60 * MINUTE)
    await fault(caller, 1)
    await fault(caller, 2)
    await bench.pass_time(minutes=30)
    await recover(caller, 2)
    await bench.pass_time(minutes=29)
    assert bench.subjects() == []
    await bench.pass_time(minutes=1)
    assert bench.subjects() == [f"Critical: {caller.connected.identity}, charge point 1: GroundFailure"]


@pytest.mark.feature("S16")
async def test_a_window_that_begins_while_an_error_is_pending_holds_it_until_its_end(bench: Bench) -> None:
    await bench.add_rule()
    caller = await bench.station()
    await fault(caller)
    window = await bench.window(caller, starts_in=2 * MINUTE, lasts=60 * MINUTE)
    await bench.work()
    await bench.pass_time(minutes=5)
    (escalation,) = await bench.escalations()
    assert (escalation.state, escalation.window_id) == (EscalationState.WAITING, window.id)
    assert escalation.reason is not None
    assert "until 2026-01-01 01:02:00 UTC" in escalation.reason
    for _ in range(11):
        await bench.pass_time(minutes=5)  # looked at again and again
    assert bench.subjects() == []
    await bench.pass_time(minutes=2)
    assert len(bench.subjects()) == 1


@pytest.mark.feature("S16")
async def test_an_error_held_by_a_window_that_ends_meanwhile_is_not_told(bench: Bench) -> None:
    await bench.add_rule()
    caller = await bench.station()
    await fault(caller)
    await bench.window(caller, starts_in=2 * MINUTE, lasts=60 * MINUTE)
    await bench.work()
    await bench.pass_time(minutes=10)
    await recover(caller)
    await bench.pass_time(hours=2)
    assert bench.subjects() == []
    assert await bench.states() == [EscalationState.CANCELLED]


@pytest.mark.feature("S16")
async def test_a_window_ended_early_by_hand_lets_held_errors_go_at_once(bench: Bench) -> None:
    await bench.add_rule()
    caller = await bench.station()
    await fault(caller)
    window = await bench.window(caller, starts_in=MINUTE, lasts=600 * MINUTE)
    await bench.work()
    await bench.pass_time(minutes=6)
    assert bench.subjects() == []
    bench.clock.advance(seconds=10)
    async with bench.store.writing() as work:
        station = await work.session.get_one(Station, caller.connected.id)
        await end_window(work, station, await get_window(work, station, window.id, to_change=True))
    await bench.work()
    assert len(bench.subjects()) == 1


@pytest.mark.feature("S16")
async def test_a_window_that_was_made_longer_goes_on_holding(bench: Bench) -> None:
    await bench.add_rule()
    caller = await bench.station()
    await fault(caller)
    window = await bench.window(caller, starts_in=MINUTE, lasts=30 * MINUTE)
    await bench.work()
    await bench.pass_time(minutes=6)
    async with bench.store.writing() as work:
        station = await work.session.get_one(Station, caller.connected.id)
        locked = await get_window(work, station, window.id, to_change=True)
        await change_window(work, station, locked, ends_at=work.now + 60 * MINUTE)
    await bench.work()
    await bench.pass_time(minutes=59)
    assert bench.subjects() == []
    await bench.pass_time(minutes=1)
    assert len(bench.subjects()) == 1


@pytest.mark.feature("S16")
async def test_a_window_that_ends_before_the_hold_off_changes_nothing(bench: Bench) -> None:
    await bench.add_rule(hold_off_s=3600)
    caller = await bench.station()
    await fault(caller)
    await bench.window(caller, starts_in=MINUTE, lasts=10 * MINUTE)
    await bench.pass_time(minutes=59)
    assert bench.subjects() == []
    await bench.pass_time(minutes=1)
    assert len(bench.subjects()) == 1


@pytest.mark.feature("S16")
async def test_a_window_holds_a_mail_that_could_not_be_sent_before_it(bench: Bench) -> None:
    await bench.add_rule()
    caller = await bench.station()
    bench.mailer.fail_next(Failed("451 come back later", permanent=False))
    await fault(caller)
    await bench.work()
    await bench.pass_time(minutes=5)
    await bench.window(caller, starts_in=timedelta(0), lasts=60 * MINUTE)
    for _ in range(5):
        await bench.pass_time(minutes=10)
    assert bench.subjects() == []
    for _ in range(3):
        await bench.pass_time(minutes=5)
    assert len(bench.subjects()) == 1


async def test_a_rule_switched_off_does_not_go_on_trying(bench: Bench) -> None:
    rule = await bench.add_rule(hold_off_s=0)
    caller = await bench.station()
    bench.mailer.fail_next(Failed("451 come back later", permanent=False))
    await fault(caller)
    await bench.work()
    async with bench.store.writing() as work:
        (await work.session.get_one(EscalationRule, rule.id)).is_active = False
    await bench.pass_time(minutes=5)
    assert bench.subjects() == []
    (escalation,) = await bench.escalations()
    assert (escalation.state, escalation.reason) == (
        EscalationState.FAILED,
        "not sent any more: the rule was switched off",
    )


async def test_what_gets_worse_after_the_window_is_told(bench: Bench) -> None:
    for name, severities in (("all", []), ("bad", ["error", "critical"])):
        await bench.add_rule(name=name, severities=severities)
    caller = await bench.station()
    await bench.window(caller, starts_in=timedelta(0), lasts=60 * MINUTE)
    await caller.call("StatusNotification", connectorId=1, errorCode="WeakSignal", status="Available")
    await bench.work()
    await bench.pass_time(days=3)
    assert await bench.states() == [EscalationState.SUPPRESSED]
    await fault(caller, code="WeakSignal")
    await bench.pass_time(minutes=6)
    assert await bench.states() == [EscalationState.SENT, EscalationState.SENT]
    assert len(bench.subjects()) == 2


async def test_what_gets_worse_inside_the_window_is_not_told(bench: Bench) -> None:
    for name, severities in (("all", []), ("bad", ["error", "critical"])):
        await bench.add_rule(name=name, severities=severities)
    caller = await bench.station()
    await bench.window(caller, starts_in=timedelta(0), lasts=60 * MINUTE)
    await caller.call("StatusNotification", connectorId=1, errorCode="WeakSignal", status="Available")
    await bench.work()
    await fault(caller, code="WeakSignal")
    await bench.pass_time(minutes=6)
    await bench.pass_time(hours=2)
    assert await bench.states() == [EscalationState.SUPPRESSED, EscalationState.SUPPRESSED]
    assert bench.subjects() == []


async def test_a_window_for_one_charge_point_leaves_the_others_alone(bench: Bench) -> None:
    await bench.add_rule(hold_off_s=0, group_by=GroupBy.NONE)
    caller = await bench.station()
    await recover(caller, 1)
    await recover(caller, 2)
    async with bench.store.writing() as work:
        station = await work.session.get_one(Station, caller.connected.id)
        await plan_window(work, station, number=1, starts_at=None, ends_at=work.now + 60 * MINUTE, comment="")
    await fault(caller, 1)
    await fault(caller, 2)
    await bench.work()
    assert bench.subjects() == [f"Critical: {caller.connected.identity}, charge point 2: GroundFailure"]


# --- groups and limits --------------------------------------------------------------------------------------------


@pytest.mark.feature("S5")
async def test_stations_of_one_site_that_go_offline_together_are_one_mail(bench: Bench) -> None:
    await bench.add_rule(sources=["offline"], hold_off_s=0, roll_up_s=60)
    for _ in range(3):
        await make_station(bench.store, site="Harbour", offline_since=bench.clock())
    await make_station(bench.store, site="Airport", offline_since=bench.clock())
    bench.clock.advance(minutes=5)
    await watch_offline(bench.runtime)
    await bench.work()
    assert bench.subjects() == []  # still gathering
    late = await make_station(bench.store, site="Harbour", offline_since=bench.clock() - 5 * MINUTE)
    await watch_offline(bench.runtime)
    await bench.pass_time(minutes=1)
    (alone,) = await bench.identities("Airport")
    assert set(bench.subjects()) == {
        f"Error: {alone}, whole station: Offline",
        "Error: 4 errors at 4 stations at Harbour: Offline",
    }
    assert len(bench.subjects()) == 2
    assert late.identity in "".join(mail.text for mail in bench.mailer.mails)
    assert set(await bench.states()) == {EscalationState.SENT}


async def test_above_the_hourly_limit_the_rest_is_one_mail_and_then_waits(bench: Bench) -> None:
    await bench.add_rule(hold_off_s=0, group_by=GroupBy.NONE, messages_per_hour_max=3)
    caller = await bench.station()
    for number in range(1, 6):
        await fault(caller, number)
    await bench.work()
    assert len(bench.subjects()) == 3
    assert bench.subjects()[2] == f"Critical: {caller.connected.identity}: 3 errors: GroundFailure"
    assert "hourly limit" in bench.mailer.mails[2].text
    await bench.pass_time(minutes=10)
    await fault(caller, 6)
    await bench.work()
    await fault(caller, 7)
    await bench.work()
    assert len(bench.subjects()) == 3
    waiting = [one for one in await bench.escalations() if one.state is EscalationState.WAITING]
    assert [one.reason for one in waiting] == [
        "the rule's limit of 3 messages an hour is reached; told after 2026-01-01 01:00:00 UTC"
    ] * 2
    await bench.pass_time(minutes=50)
    assert len(bench.subjects()) == 5
    assert await bench.states() == [EscalationState.SENT] * 7


async def test_all_clears_take_no_alarms_place_under_the_limit(bench: Bench) -> None:
    await bench.add_rule(hold_off_s=0, group_by=GroupBy.NONE, messages_per_hour_max=4, sends_all_clear=True)
    caller = await bench.station()
    for _ in range(3):
        await fault(caller)
        await bench.work()
        await recover(caller)
        await bench.work()
    await fault(caller)
    await bench.work()
    assert [subject.partition(": ")[0] for subject in bench.subjects()] == [
        *("Critical", "All clear", "Critical", "All clear", "Critical", "Critical")
    ]


async def test_who_is_written_down_twice_is_told_once(bench: Bench) -> None:
    await bench.add_rule(hold_off_s=0, recipients=["a@example.com", "b@example.com", "a@example.com"])
    await fault(await bench.station())
    await bench.work()
    assert sorted(mail.to for mail in bench.mailer.mails) == ["a@example.com", "b@example.com"]


async def test_several_recipients_get_the_same_message(bench: Bench) -> None:
    await bench.add_rule(hold_off_s=0, recipients=["a@example.com", "b@example.com"], messages_per_hour_max=1)
    await fault(await bench.station())
    await bench.work()
    assert sorted(mail.to for mail in bench.mailer.mails) == ["a@example.com", "b@example.com"]
    async with bench.store.reading() as work:
        deliveries = (await work.session.exec(select(Delivery))).all()
    assert len({delivery.message_id for delivery in deliveries}) == 1


async def test_hundreds_of_offline_stations_are_one_message(bench: Bench) -> None:
    await bench.add_rule(sources=["offline"], hold_off_s=0, group_by=GroupBy.ALL)
    owner = await make_organisation(bench.store)
    async with bench.store.writing() as work:
        work.session.add_all(
            Station(
                identity=f"MASS-{number:05}",
                organisation_id=owner.id,
                created_at=work.now,
                registration=Registration.ACCEPTED,
                offline_since=work.now,
            )
            for number in range(250)
        )
    bench.clock.advance(hours=1)
    await watch_offline(bench.runtime)
    await bench.work()
    assert bench.subjects() == ["Error: 250 errors at 250 stations: Offline"]
    assert "… and 200 more." in bench.mailer.mails[0].text


# --- all clear ----------------------------------------------------------------------------------------------------


async def test_those_who_were_told_get_the_all_clear_if_the_rule_says_so(bench: Bench) -> None:
    await bench.add_rule(hold_off_s=0, sends_all_clear=True)
    await bench.add_rule(name="silent", hold_off_s=0)
    caller = await bench.station()
    await fault(caller)
    await bench.work()
    await bench.pass_time(minutes=5)
    await recover(caller)
    await bench.work()
    await bench.work()
    assert [subject.partition(":")[0] for subject in bench.subjects()] == ["Critical", "Critical", "All clear"]
    clears = [one for one in await bench.escalations() if one.kind is Kind.ALL_CLEAR]
    assert [one.state for one in clears] == [EscalationState.SENT]


async def test_an_error_that_ends_while_its_message_is_on_the_way_gets_its_all_clear_after_it(bench: Bench) -> None:
    await bench.add_rule(hold_off_s=0, sends_all_clear=True)
    caller = await bench.station()
    await fault(caller)
    await bench.runtime.outbox.deliver_due()
    await escalate_due(bench.runtime)
    await recover(caller)
    await bench.runtime.outbox.deliver_due()
    assert await bench.states() == [EscalationState.DUE]
    await bench.work()
    await bench.work()
    assert [subject.partition(":")[0] for subject in bench.subjects()] == ["Critical", "All clear"]


async def test_a_fault_whose_code_comes_later_gets_no_all_clear(bench: Bench) -> None:
    await bench.add_rule(hold_off_s=0, sends_all_clear=True)
    caller = await bench.station()
    await fault(caller, code="NoError")
    await bench.work()
    await fault(caller, code="PowerMeterFailure")
    await bench.work()
    await bench.work()
    assert [subject.rpartition(" ")[2] for subject in bench.subjects()] == ["Faulted", "PowerMeterFailure"]


async def test_resolved_by_hand_is_over_too(bench: Bench) -> None:
    await bench.add_rule(hold_off_s=0, sends_all_clear=True)
    caller = await bench.station()
    await fault(caller)
    await bench.work()
    async with bench.store.writing() as work:
        station = await work.session.get_one(Station, caller.connected.id)
        error = (await work.session.exec(select(StationError))).one()
        await resolve_by_hand(work, station, error.id)
    await bench.work()
    await bench.work()
    assert [subject.partition(":")[0] for subject in bench.subjects()] == ["Critical", "All clear"]


# --- why was nobody told? -----------------------------------------------------------------------------------------


async def answer_of(api: httpx.AsyncClient, caller: CallingStation) -> tuple[str, list[dict[str, Any]]]:
    path = f"/api/v1/stations/{caller.connected.identity}"
    (error, *_) = (await api.get(f"{path}/errors")).json()["items"]
    found = await api.get(f"{path}/errors/{error['id']}/escalations")
    assert found.status_code == 200, found.text
    return found.json()["answer"], found.json()["items"]


@pytest.mark.feature("S16")
async def test_the_reason_for_silence_can_be_read_over_http(bench: Bench, api: httpx.AsyncClient) -> None:
    caller = await bench.station()
    await fault(caller, 1)
    await bench.work()
    answer, items = await answer_of(api, caller)
    assert (answer, items) == ("nobody: no rule that was active when it was raised concerns this error", [])

    await bench.add_rule()
    await bench.window(caller, starts_in=timedelta(0), lasts=60 * MINUTE)
    bench.clock.advance(seconds=1)
    await fault(caller, 2)
    await bench.work()
    answer, (item,) = await answer_of(api, caller)
    reason = "it began inside the maintenance window until 2026-01-01 01:00:00 UTC"
    assert answer == f"nobody: {reason} (rule «Night shift»)"
    assert (item["state"], item["reason"], item["station_id"]) == ("suppressed", reason, caller.connected.identity)
    listed = await api.get(f"/api/v1/stations/{caller.connected.identity}/escalations?state=suppressed")
    assert listed.json()["items"] == [item]
    assert (await api.get(f"/api/v1/stations/{caller.connected.identity}/escalations?state=sent")).json()["items"] == []


async def test_the_answer_follows_the_escalation(bench: Bench) -> None:
    await bench.add_rule()
    await fault(await bench.station())
    await bench.work()
    assert why(await bench.escalations()) == (
        "nobody yet: waits until 2026-01-01 00:05:00 UTC whether it ends by itself (rule «Night shift»)"
    )
    await bench.pass_time(minutes=5)
    assert why(await bench.escalations()) == "told by the rules «Night shift»"


async def test_the_answer_names_who_was_told_and_why_others_were_not(bench: Bench) -> None:
    await bench.add_rule(name="At once", hold_off_s=0)
    await bench.add_rule(name="Later", hold_off_s=600)
    caller = await bench.station()
    await fault(caller)
    await bench.work()
    assert why(await bench.escalations()) == (
        "told by the rules «At once»; not by others: waits until 2026-01-01 00:10:00 UTC whether it ends by itself "
        "(rule «Later»)"
    )
