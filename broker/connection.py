"""One connection's life: texts in, pieces for the dispatcher, answers out; the calls towards the station.

The reader (`receive`) never waits: it hands a text to the pure conversation and queues what comes out. The
station's calls are handled one at a time, in order; our calls towards it go one at a time too, and neither
waits for the other (OCPP-J 4.1.1).
"""

import asyncio
from collections import deque
from collections.abc import Awaitable
from typing import Any
from uuid import uuid4

import structlog

from broker.calls import PendingCall, asked_for
from broker.dispatch import Dispatcher
from broker.limits import TokenBucket
from broker.metrics import REFUSED_ANSWERS, REFUSED_CALLS, TRAFFIC, UNMATCHED_ANSWERS
from broker.pace import Pace
from broker.socket import Socket
from broker.strangers import Strangers
from csms.calls import Answered, Disconnected, Expired, Offline, Order, Outcome, Refused, TimedOut
from csms.clock import Clock
from csms.ocpp import conversation as ocpp
from csms.ocpp import frames
from csms.ocpp.errors import ErrorKind, OcppError, word
from csms.routing import PREPARE_S, ConnectedStation, Outside, Preparer, Registration, Routes
from csms.station.communication_logs import FrameOutcome, record, record_answer_refused, record_handled
from csms.station.connections import Cause
from csms.store import Owner, Work

log = structlog.get_logger(__name__)

STORED_REFUSALS_PER_MINUTE = 60
"""Frames that could not be used are stored up to that rate; beyond it they are only counted."""

SCHEMA_BREACHES = frozenset(
    {
        ErrorKind.FORMATION,
        ErrorKind.PROPERTY_CONSTRAINT,
        ErrorKind.OCCURRENCE_CONSTRAINT,
        ErrorKind.TYPE_CONSTRAINT,
    }
)
"""B8: what a strict station is refused for; counted as breaches of its make."""

Waiting = ocpp.Call | ocpp.Send | ocpp.Refused | ocpp.Duplicate | ocpp.AnswerRefused | ocpp.Late


class StationConnection:
    """A station on this node; it is also the dispatcher's piece for the call that is being handled."""

    def __init__(
        self,
        socket: Socket,
        station: ConnectedStation,
        *,
        routes: Routes,
        dispatcher: Dispatcher,
        outside: Outside,
        strangers: Strangers,
        clock: Clock,
    ) -> None:
        settings = outside.settings
        self.socket = socket
        self.station = station
        self.owner = Owner(station.id, 0)
        self.intent: Cause | None = None
        self.messages_in = 0
        self.messages_out = 0
        self.last_message_at = clock()
        self.has_news = True
        self.outdated_by: set[str] = set()
        """Kinds of news that what features remember of the station does not know yet."""
        self._conversation = ocpp.Conversation(station.version, lenient=station.is_lenient)
        self._routes = routes
        self._dispatcher = dispatcher
        self._outside = outside
        self._strangers = strangers
        self._settings = settings
        self._clock = clock
        self._waiting: deque[Waiting] = deque()
        self._handling: Waiting | None = None
        self._reply: str | None = None
        self._pace = Pace(socket, self._waiting, settings)
        self._refusals = TokenBucket(STORED_REFUSALS_PER_MINUTE / 60, STORED_REFUSALS_PER_MINUTE)
        self._orders: deque[PendingCall] = deque()
        self._current: PendingCall | None = None
        self._asked: set[str] = set()
        self._is_closed = False
        self._is_held = False
        self._preparing: asyncio.Task[None] | None = None
        self._idle: asyncio.Event | None = None

    def set_leniency(self, *, is_lenient: bool) -> None:
        """B8: from the next message on."""
        self.station.is_lenient = is_lenient
        self._conversation.is_lenient = is_lenient

    # --- from the station -----------------------------------------------------------------------------------

    def receive(self, text: str) -> None:
        """Take one text off the wire; never waits, never raises for what a station sends."""
        TRAFFIC.messages_in += 1
        self.messages_in += 1
        self.last_message_at = self._clock()
        self.has_news = True
        received = self._conversation.receive(text)
        if type(received) is ocpp.Call:
            self._queue(received)
        elif type(received) is ocpp.Answer:
            self._on_answer(received)
        elif isinstance(received, ocpp.Send):
            self._queue(received)
        elif isinstance(received, ocpp.AnswerRefused):
            self._on_answer_refused(received)
        else:
            self._on_unusable(received)
        self._pace.count(text)

    def _on_answer_refused(self, refused: ocpp.AnswerRefused) -> None:
        REFUSED_ANSWERS.inc()
        if self._may_store(refused.text):
            self._queue(refused)

    def _on_unusable(self, received: ocpp.Received) -> None:
        match received:
            case ocpp.Refused(reply=reply):
                REFUSED_CALLS.labels(word(received.error.kind, self.station.version)).inc()
                if self._may_store(received.text):
                    self._queue(received)
                elif reply is not None:
                    self._send(reply)
            case ocpp.Duplicate(reply=reply):
                if reply is not None:
                    self._send(reply)
            case ocpp.Late():
                UNMATCHED_ANSWERS.inc()
                if self._conversation.is_flooding:
                    self.shut(1008, "too many answers that nobody asked for", Cause.FLOOD)
                elif self._may_store(received.text):
                    self._queue(received)
            case _:
                log.debug("ignored a frame", station=self.station.identity)

    def _may_store(self, unusable: str) -> bool:
        return self._refusals.take() and self._is_heard(unusable)

    def _is_heard(self, text: str) -> bool:
        """Whether this frame may be kept: of a station that nobody has accepted only some are."""
        is_accepted = self.station.registration is Registration.ACCEPTED
        return is_accepted or self._strangers.may_store(self.station.identity, text)

    def _queue(self, received: Waiting) -> None:
        self._waiting.append(received)
        if self._handling is None:
            self._next()

    def _next(self) -> None:
        if self._waiting and not self._is_closed and not self._is_held:
            self._handling = self._waiting.popleft()
            if type(self._handling) is not ocpp.Call or not self._prepares(self._handling):
                self._dispatcher.submit(self)
        elif self._idle is not None:
            self._idle.set()

    def _prepares(self, call: ocpp.Call) -> bool:
        """Whether others must be asked first; the call is submitted when that is done, or takes too long."""
        prepare = self._routes.preparer(self.station.version, call.action)
        if prepare is None or self.station.registration is not Registration.ACCEPTED:
            return False
        self._preparing = asyncio.ensure_future(self._prepare(prepare, call))
        self._preparing.add_done_callback(self._prepared)
        return True

    async def _prepare(self, prepare: Preparer, call: ocpp.Call) -> None:
        try:
            async with asyncio.timeout(PREPARE_S):
                await prepare(self._outside, self.station, call.payload)
        except TimeoutError:
            log.warning("what a call needs could not be had in time", action=call.action)
        except Exception:
            log.exception("what a call needs could not be had", action=call.action, station=self.station.identity)

    def _prepared(self, _task: asyncio.Task[None]) -> None:
        """Also when it was cut off before it began."""
        self._preparing = None
        self._dispatcher.submit(self)

    def _hurry(self) -> None:
        """Nobody waits any longer for what is being prepared."""
        if self._preparing is not None:
            self._preparing.cancel()

    # --- handing over to a newer connection -------------------------------------------------------------------

    async def hold(self) -> None:
        """Take up no further call, and return when the one under way is stored.

        A newer connection then reads what it must know of the station. Were a call of this one stored only after that,
        the newer one would take its repeat for something new (ROBUSTNESS, promise 2).
        """
        self._is_held = True
        self._hurry()
        await self.idle()

    def release(self) -> None:
        """Go on after all: the newer connection did not come about."""
        self._is_held = False
        if self._handling is None:
            self._next()

    async def idle(self) -> None:
        """Return when no call is being handled."""
        while self._handling is not None:
            self._idle = self._idle or asyncio.Event()
            self._idle.clear()
            await self._idle.wait()

    # --- the dispatcher's piece -------------------------------------------------------------------------------

    def handle(self, work: Work) -> Awaitable[None]:
        """Handle the call whose turn it is: its rows and its exchange are noted in `work`, its reply kept."""
        handling = self._handling
        work.owner = self.owner
        if type(handling) is ocpp.Call and not self.outdated_by:
            return self._handle_call(work, handling)  # nearly all; each coroutine less is time for another message
        return self._handle_any(work, handling)

    async def _handle_any(self, work: Work, handling: Waiting | None) -> None:
        if self.outdated_by:
            await self._reload(work)
        match handling:
            case ocpp.Call() as call:
                await self._handle_call(work, call)
            case ocpp.Send() as sent:
                self._reply = None
                await self._handle_send(work, sent)
            case ocpp.AnswerRefused() as refused_answer:
                self._reply = None
                await record_answer_refused(work, self.station, refused_answer)
            case ocpp.Refused() as refused:
                self._reply = refused.reply
                self._record_refused(work, refused)
            case ocpp.Late() as late:
                self._reply = None
                self._record(work, FrameOutcome.LATE, from_station=False, answer=late.text, message_id=late.message_id)

    async def _reload(self, work: Work) -> None:
        kinds, self.outdated_by = self.outdated_by, set()  # what is heard meanwhile is for the next time
        try:
            await self._routes.reload(work, self.station, kinds)
        except BaseException:
            self.outdated_by |= kinds
            raise

    async def _handle_call(self, work: Work, call: ocpp.Call) -> None:
        try:
            answer = await self._answering(work, call)
        except OcppError as error:
            self._refuse(work, call, error)
        except Exception:
            log.exception("handler failed", action=call.action, station=self.station.identity)
            self._refuse(work, call, OcppError(ErrorKind.INTERNAL, "the central system failed; send it again later"))
        else:
            self._reply = frames.result_text(call.message_id, answer)
            record_handled(work, self.station, call, answer=self._reply)

    async def _handle_send(self, work: Work, sent: ocpp.Send) -> None:
        """A message that is never answered, whatever becomes of it (2.1 part 4, 4.1.4)."""
        error: OcppError | None = None
        try:
            await self._answering(work, sent)
        except OcppError as refusal:
            error = refusal
        except Exception:
            log.exception("handler failed", action=sent.action, station=self.station.identity)
            error = OcppError(ErrorKind.INTERNAL, "the central system failed")
        if error is not None:
            work.discard()
            if not self._is_heard(sent.text):
                return
        self._record(
            work,
            FrameOutcome.SENT if error is None else FrameOutcome.REFUSED,
            from_station=True,
            action=sent.action,
            message_id=sent.message_id,
            request=sent.text,
            error_code=None if error is None else word(error.kind, self.station.version),
            repairs=sent.repairs,
            violation=sent.violation,
        )

    def _answering(self, work: Work, call: ocpp.Call | ocpp.Send) -> Awaitable[dict[str, Any]]:
        """What the features answer. Raises OcppError, also at once: for a station that may not send this yet."""
        if self.station.registration is not Registration.ACCEPTED and not self._may_come_early(call.action):
            raise OcppError(ErrorKind.SECURITY, "this station is not accepted yet; an operator must accept it")
        if call.action == "BootNotification" and not self._is_heard(call.text):
            raise OcppError(ErrorKind.SECURITY, "this station is not accepted yet, and boots too often")
        return self._routes.handle(work, self.station, call.action, call.payload)

    def _may_come_early(self, action: str) -> bool:
        """Before the station is accepted: BootNotification (OCPP-J 1.6 errata 3.8), and what we asked for."""
        is_pending = self.station.registration is Registration.PENDING
        return action == "BootNotification" or (is_pending and action in self._asked)

    def _refuse(self, work: Work, call: ocpp.Call, error: OcppError) -> None:
        """Forget what the handler noted; keep only the exchange with its CALLERROR."""
        work.discard()
        code = word(error.kind, self.station.version)
        REFUSED_CALLS.labels(code).inc()
        self._reply = frames.error_text(
            call.message_id, error.kind, error.description, error.details, self.station.version
        )
        if self._is_heard(call.text):
            record_handled(work, self.station, call, answer=self._reply, error_code=code)

    def committed(self) -> None:
        """What was noted is durable: now the answer may leave (ROBUSTNESS promise 1)."""
        handled, self._handling = self._handling, None
        if isinstance(handled, ocpp.Call):
            self._conversation.answered(handled.message_id, self._reply)
        if self._reply is not None:
            self._send(self._reply)
        self._go_on()

    def failed(self) -> None:
        """Nothing was kept: say so in a CALLERROR, so that the station sends it again."""
        handled, self._handling = self._handling, None
        if isinstance(handled, ocpp.Call):
            self._conversation.answered(handled.message_id, None)
            error = "could not be stored; send it again later"
            self._send(frames.error_text(handled.message_id, ErrorKind.INTERNAL, error, {}, self.station.version))
        self._go_on()

    def _go_on(self) -> None:
        self._next()
        self._pace.answered()

    # --- records ----------------------------------------------------------------------------------------------

    def _record_refused(self, work: Work, refused: ocpp.Refused) -> None:
        self._record(
            work,
            FrameOutcome.REFUSED if refused.action else FrameOutcome.MALFORMED,
            from_station=True,
            action=refused.action,
            message_id=refused.message_id,
            request=refused.text,
            answer=refused.reply,
            error_code=word(refused.error.kind, self.station.version),
            violation=refused.error.description if refused.error.kind in SCHEMA_BREACHES else None,
        )

    def _record(self, work: Work, outcome: FrameOutcome, *, from_station: bool, **parts: Any) -> None:
        record(
            work,
            organisation_id=self.station.organisation_id,
            station_id=self.station.id,
            connection_id=self.station.connection_id,
            at=work.now,
            from_station=from_station,
            outcome=outcome,
            **parts,
        )

    # --- towards the station ----------------------------------------------------------------------------------

    async def call(self, order: Order) -> Outcome:
        """Send a call in its turn and wait for its outcome (ROBUSTNESS 20 to 24)."""
        if self._is_closed:
            return Offline("the connection has ended")
        if len(self._orders) >= self._settings.commands_waiting_max:
            return Expired(f"{len(self._orders)} commands wait for this station already; try again later")
        pending = PendingCall(order)
        self._orders.append(pending)
        if self._current is None:
            self._send_next_call()
        return await pending.outcome(on_expired=self._drop_order)

    def _drop_order(self, pending: PendingCall) -> None:
        """Its time in the queue ran out before its turn came."""
        if pending in self._orders:
            self._orders.remove(pending)

    def _send_next_call(self) -> None:
        while self._orders and self._current is None:
            pending = self._orders.popleft()
            if not pending.is_settled:
                self._send_call(pending)

    def _send_call(self, pending: PendingCall) -> None:
        order = pending.order
        pending.message_id = str(uuid4())
        text = self._conversation.call(pending.message_id, order.action, order.payload)
        pending.text = text
        pending.sent_at = self._clock()
        if not self._send(text):
            self._conversation.give_up(pending.message_id)
            pending.settle(Offline("the connection is closing"))
            return
        self._current = pending
        pending.timer = asyncio.get_running_loop().call_later(order.timeout_s, self._time_out, pending)

    def _time_out(self, pending: PendingCall) -> None:
        if self._current is pending and pending.message_id is not None:
            self._conversation.give_up(pending.message_id)
            self._finish(pending, TimedOut(pending.order.timeout_s), FrameOutcome.TIMED_OUT)

    def _on_answer(self, answer: ocpp.Answer) -> None:
        pending = self._current
        if pending is None or pending.message_id != answer.message_id:
            return
        pending.answer = answer
        if answer.error is not None:
            code, description, details = answer.error
            self._finish(pending, Refused(code, description, details), FrameOutcome.REFUSED)
        else:
            payload = answer.payload or {}
            self._asked.add(asked_for(pending.order, payload) or "")
            self._finish(pending, Answered(payload), FrameOutcome.ANSWERED)

    def _finish(self, pending: PendingCall, outcome: Outcome, frame: FrameOutcome) -> None:
        """Free the way for the next call; the outcome is told once its exchange is durable."""
        self._current = None
        if pending.timer is not None:
            pending.timer.cancel()
        task = asyncio.ensure_future(self._store_outcome(pending, outcome, frame))
        pending.storing = task
        if not self._is_closed:
            self._send_next_call()

    async def _store_outcome(self, pending: PendingCall, outcome: Outcome, frame: FrameOutcome) -> None:
        async def fill(work: Work) -> None:
            if isinstance(outcome, Answered):
                await self._note_answered(work, pending, outcome)
            self._record_order(work, pending, frame)

        await self._dispatcher.write(fill)
        pending.settle(outcome)

    async def _note_answered(self, work: Work, pending: PendingCall, outcome: Answered) -> None:
        order = pending.order
        try:
            await self._routes.answered(work, self.station, order.action, order.payload, outcome.payload)
        except Exception:
            log.exception("answer handler failed", action=order.action, station=self.station.identity)
            work.discard()

    def _record_order(self, work: Work, pending: PendingCall, frame: FrameOutcome) -> None:
        answer = pending.answer
        self._record(
            work,
            frame,
            from_station=False,
            action=pending.order.action,
            message_id=pending.message_id,
            request=pending.text,
            answer=answer.text if answer else None,
            answered_at=work.now if answer else None,
            error_code=answer.error[0] if answer and answer.error else None,
            repairs=answer.repairs if answer else (),
            violation=answer.violation if answer else None,
        )

    # --- the end ----------------------------------------------------------------------------------------------

    def _send(self, text: str) -> bool:
        is_sent = self.socket.send_text(text)
        if is_sent:
            TRAFFIC.messages_out += 1
            self.messages_out += 1
        return is_sent

    def shut(self, code: int, reason: str, intent: Cause) -> None:
        """Close from our side; the history will say why."""
        if self.intent is None and not self._is_closed:
            self.intent = intent
            task = asyncio.ensure_future(self.socket.close(code, reason))
            self._closing = task

    def lost(self) -> None:
        """The socket is gone: settle what waits."""
        self._is_closed = True
        self._pace.end()
        self._waiting.clear()
        self._hurry()
        self.give_up_calls("the connection ended")

    def give_up_calls(self, why: str) -> None:
        """Nobody will answer here any more: what was sent may have been done, what was not sent was not."""
        for pending in self._orders:
            pending.settle(Offline(f"{why} before the call's turn"))
        self._orders.clear()
        current = self._current
        if current is not None:
            self._conversation.give_up(current.message_id or "")
            self._finish(current, Disconnected(f"{why} before the answer"), FrameOutcome.DISCONNECTED)
