from datetime import UTC, datetime

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from simulators.battery import CARS, Battery, Supply
from simulators.fault import Fault
from simulators.v16.connector import Connector, Reservation, Status

pytestmark = pytest.mark.feature("F5")

SUPPLY = Supply.ac()
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


class ConnectorLife(RuleBasedStateMachine):
    """Whatever happens in whatever order, the status fits the facts and no energy is lost or invented."""

    def __init__(self) -> None:
        super().__init__()
        self.connector = Connector(1, SUPPLY)
        self.now_s = 0.0
        self.charged_wh = 0
        self.register_wh = 0.0

    @rule(seconds=st.floats(0.0, 7_200.0))
    def time_passes(self, seconds: float) -> None:
        self.now_s += seconds
        was_charging = self.connector.status is Status.CHARGING
        before = self.connector.meter.register_wh
        self.connector.advance_to(self.now_s)
        assert was_charging or self.connector.meter.register_wh == before

    @precondition(lambda self: self.connector.battery is None)
    @rule(soc=st.floats(0.0, 1.0))
    def plug_in(self, soc: float) -> None:
        self.connector.plug_in(Battery(CARS[3], SUPPLY, soc=soc), self.now_s)

    @rule()
    def unplug(self) -> None:
        self.connector.unplug(self.now_s)
        assert self.connector.battery is None

    @precondition(lambda self: self.connector.can_start)
    @rule()
    def begin(self) -> None:
        self.connector.authorized_tag = "TAG"
        if self.connector.is_ready:
            self.connector.begin("TAG", self.now_s, NOON)

    @rule()
    def end(self) -> None:
        transaction = self.connector.end(self.now_s)
        if transaction is not None:
            self.charged_wh += self.connector.meter.energy_wh - transaction.meter_start_wh

    @rule()
    def fail(self) -> None:
        self.end()
        self.connector.fault = Fault()
        assert self.connector.status is Status.FAULTED

    @rule()
    def repair(self) -> None:
        self.connector.fault = None

    @rule(is_operative=st.booleans())
    def change_availability(self, is_operative: bool) -> None:
        if self.connector.transaction is not None and not is_operative:
            self.connector.is_change_scheduled = True
        else:
            self.connector.is_operative = is_operative

    @rule()
    def reserve(self) -> None:
        if self.connector.status is Status.AVAILABLE:
            self.connector.reservation = Reservation(1, "TAG", NOON)

    @invariant()
    def status_fits_the_facts(self) -> None:
        connector = self.connector
        charging = {Status.CHARGING, Status.SUSPENDED_EV, Status.SUSPENDED_EVSE}
        assert (connector.status in charging) == (connector.transaction is not None and connector.fault is None)
        if connector.status is Status.AVAILABLE:
            assert connector.battery is None
            assert connector.can_start
        if connector.status is Status.FINISHING:
            assert connector.battery is not None
        if connector.status is Status.CHARGING:
            assert connector.battery is not None

    @invariant()
    def energy_is_neither_lost_nor_invented(self) -> None:
        running = self.connector.transaction
        running_wh = 0 if running is None else self.connector.meter.energy_wh - running.meter_start_wh
        assert self.charged_wh + running_wh == self.connector.meter.energy_wh
        assert self.connector.meter.register_wh >= self.register_wh
        self.register_wh = self.connector.meter.register_wh


TestConnectorLife = ConnectorLife.TestCase
TestConnectorLife.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


def test_a_car_that_comes_back_into_a_running_charge_gets_no_energy_for_its_absence() -> None:
    connector = Connector(1, SUPPLY)
    connector.plug_in(Battery(CARS[3], SUPPLY), 0.0)
    connector.begin("TAG", 0.0, NOON)
    battery = connector.unplug(600.0)
    assert battery is not None
    before = connector.meter.register_wh
    assert connector.status is Status.SUSPENDED_EV
    connector.plug_in(battery, 6_000.0)
    connector.advance_to(6_000.0)
    assert connector.meter.register_wh == before
