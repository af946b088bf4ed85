"""B1, B7, B8: the protocol state of one connection: direction, duplicates, the one outstanding call.

Text goes in, a value comes out; the host does what the value says. Nothing here waits, and whatever a
station sends, what is remembered stays small: at most ``Limits.in_progress`` message ids, one reply and
one outstanding call.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

from csms.ocpp import confidential, frames, repairs, schema
from csms.ocpp.actions import ACTIONS
from csms.ocpp.errors import ErrorKind, OcppError, word
from csms.ocpp.repairs import AppliedRepair
from csms.ocpp.schema import Violation
from csms.ocpp.versions import Version

# Their answers say what is true now (the clock, an acceptance, a token's state): always asked again.
NEVER_REPLAYED: Final = frozenset(
    {"Authorize", "BootNotification", "GetCertificateChainStatus", "GetCertificateStatus", "Heartbeat"}
)
_NULL_PAYLOAD: Final = (AppliedRepair("null_payload", ""),)
_RESULT_START: Final = f"[{frames.CALLRESULT},"


class CallPending(Exception):
    """A call is outstanding: OCPP-J allows one at a time in each direction (1.6, 4.1.1)."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one connection may make us remember or read."""

    frame_chars: int = frames.MAX_FRAME_CHARS
    in_progress: int = 32
    unmatched_since_call: int = 100
    remembered_reply_chars: int = 16 * 1024


@dataclass(slots=True)
class Call:
    """A request to handle: known action, right direction, payload valid or repaired.

    ``violation`` is the first breach of the schema as the station sent it, ``repairs`` what was done
    about it; both are empty for a payload that was right. After a repair named ``missing_time_kept`` or
    ``unreadable_time_kept`` a required time is missing or unreadable: take the time of receipt.
    """

    message_id: str
    action: str
    payload: dict[str, Any]
    text: str
    repairs: tuple[AppliedRepair, ...] = ()
    violation: Violation | None = None


@dataclass(frozen=True, slots=True)
class Send:
    """A message to handle that is never answered (2.1 only); fields as those of ``Call``."""

    message_id: str
    action: str
    payload: dict[str, Any]
    text: str
    repairs: tuple[AppliedRepair, ...] = ()
    violation: Violation | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """A text that is not handled; ``reply`` is the CALLERROR to send, None where none may be sent."""

    message_id: str | None
    action: str | None
    text: str
    error: OcppError
    reply: str | None


@dataclass(frozen=True, slots=True)
class Duplicate:
    """A call that came before: send ``reply`` again; None while the first one is still being handled."""

    message_id: str
    reply: str | None


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to our outstanding call: ``payload``, or ``error`` as (code, description, details).

    The payload is repaired as far as it goes; ``violation`` is the first breach as sent, ``remaining``
    what no repair could mend (the host decides whether it can use the payload). For an answer that
    cannot be read at all ``error`` is ours and ``violation`` says why. Secrets of the call are masked.
    """

    message_id: str
    action: str
    payload: dict[str, Any] | None
    error: tuple[str, str, dict[str, Any]] | None
    text: str
    repairs: tuple[AppliedRepair, ...] = ()
    violation: Violation | None = None
    remaining: Violation | None = None


@dataclass(frozen=True, slots=True)
class AnswerRefused:
    """The station could not use our answer to its call (2.1 CALLRESULTERROR)."""

    message_id: str
    code: str
    description: str
    details: dict[str, Any]
    text: str


@dataclass(frozen=True, slots=True)
class Late:
    """An answer to no call of ours: it came after its timeout, or nobody asked. Counted and dropped."""

    message_id: str | None
    text: str


@dataclass(frozen=True, slots=True)
class Ignored:
    """A text that asks for nothing: an unknown message type, or a bad message that is never answered."""

    text: str
    reason: str


Received = Call | Send | Refused | Duplicate | Answer | AnswerRefused | Late | Ignored


@dataclass(frozen=True, slots=True)
class Outstanding:
    """Our call that waits for its answer."""

    message_id: str
    action: str
    secrets: tuple[str, ...] = field(default=(), repr=False)


class Conversation:
    """One connection's protocol state, as the CSMS sees it. Not thread safe; it never blocks.

    ``is_lenient`` (B8): repair what breaks its schema, and refuse only what no repair mends; otherwise
    refuse every breach. ``answers_unknown_types`` is for conformance runs by 2.0.1 part 4 of 2020, which
    demanded MessageTypeNotSupported where all later texts say "ignore".
    """

    def __init__(
        self,
        version: Version,
        *,
        lenient: bool = True,
        limits: Limits | None = None,
        answers_unknown_types: bool = False,
    ) -> None:
        self.version = version
        self.is_lenient = lenient
        self.answers_unknown_types = answers_unknown_types
        self.unmatched_count = 0
        self._limits = limits or Limits()
        self._unmatched_since_call = 0
        self._outstanding: Outstanding | None = None
        self._in_progress: dict[str, tuple[int, str]] = {}  # message id -> hash of the text, action
        self._answered: tuple[str, int, str] | None = None  # message id, hash of the text, reply
        self._checks = _CHECKS[version]

    @property
    def outstanding(self) -> Outstanding | None:
        """Our call that waits for its answer, if any."""
        return self._outstanding

    @property
    def is_flooding(self) -> bool:
        """Whether more unasked answers came since our last call than any honest station sends."""
        return self._unmatched_since_call > self._limits.unmatched_since_call

    def receive(self, text: str) -> Received:
        """Take one text message from the station. Never raises, whatever the text."""
        frame = frames.parse(text, self.version, max_chars=self._limits.frame_chars)
        return self._ON[type(frame)](self, frame)

    def call(self, message_id: str, action: str, payload: Mapping[str, Any]) -> str:
        """Register our call as the outstanding one and return the text to send.

        Raises CallPending while another is out, ValueError for a message id that is not 1 to 36
        characters or an action that is not the CSMS's to send, TypeError for a payload without JSON form.
        """
        if self._outstanding is not None:
            raise CallPending(f"{self._outstanding.action} waits for its answer")
        known = ACTIONS[self.version].get(action)
        if known is None or not known.is_to_station:
            raise ValueError(f"{action} is no action that a CSMS sends in {self.version}")
        if not 0 < len(message_id) <= frames.MAX_MESSAGE_ID_CHARS:
            raise ValueError("a message id has 1 to 36 characters")
        text = frames.call_text(message_id, action, payload)
        self._outstanding = Outstanding(message_id, action, confidential.secret_values(action, payload))
        self._unmatched_since_call = 0
        return text

    def give_up(self, message_id: str) -> None:
        """Forget our call after its timeout; its answer, should it still come, is Late."""
        if self._outstanding is not None and self._outstanding.message_id == message_id:
            self._outstanding = None

    def answered(self, message_id: str, reply: str | None) -> None:
        """Note that a call got ``reply`` (its text), or was given up without any (None).

        A CALLRESULT is remembered for a station that did not get it and repeats the call.
        """
        before = self._in_progress.pop(message_id, None)
        if before is None or reply is None or before[1] in NEVER_REPLAYED or not reply.startswith(_RESULT_START):
            return
        if len(reply) <= self._limits.remembered_reply_chars:
            self._answered = (message_id, before[0], reply)

    def _on_call(self, frame: frames.Call) -> Received:
        message_id, action, text = frame.message_id, frame.action, frame.text
        is_valid = self._checks.get(action)
        if is_valid is None:
            is_valid = self._checker(action)
            if is_valid is None:
                return self._wrong_way(message_id, action, text, is_sent=False)
        if message_id in self._in_progress:
            return self._repeated(frame)
        digest = hash(text)
        if self._answered is not None and self._answered[:2] == (message_id, digest):
            return Duplicate(message_id, self._answered[2])
        if len(self._in_progress) >= self._limits.in_progress:
            return self._refuse(message_id, action, text, ErrorKind.GENERIC, "too many calls wait for their answers")
        if is_valid(frame.payload):
            received: Received = Call(message_id, action, frame.payload, text, _NULL_PAYLOAD if frame.had_null else ())
        else:
            received = self._mend(frame, Call)
        if type(received) is Call:
            self._in_progress[message_id] = (digest, action)
        return received

    def _checker(self, action: str) -> Callable[[Any], bool] | None:
        """Compile an action's check at its first use; None when a station may not call it."""
        known = ACTIONS[self.version].get(action)
        if known is None or not known.is_from_station or known.is_sent:
            return None
        is_valid: Callable[[Any], bool] = schema.validator_of(self.version, action, "request").is_valid
        self._checks[action] = is_valid
        return is_valid

    def _mend(self, frame: frames.Call | frames.Send, make: type[Call] | type[Send]) -> Received:
        """Repair, or refuse with the version's word for the breach."""
        message_id, action, text = frame.message_id, frame.action, frame.text
        first = schema.check(self.version, action, "request", frame.payload)
        before = _NULL_PAYLOAD if isinstance(frame, frames.Call) and frame.had_null else ()
        if first is None:
            return make(message_id, action, frame.payload, text, before)
        if not self.is_lenient:
            return self._refuse_breach(message_id, action, text, first, make)
        mended = repairs.repair_breach(self.version, action, "request", frame.payload, breach=first, before=before)
        if mended.remaining is not None:
            return self._refuse_breach(message_id, action, text, mended.remaining, make)
        return make(message_id, action, mended.payload, text, mended.applied, first)

    def _refuse_breach(
        self, message_id: str, action: str, text: str, breach: Violation, make: type[Call] | type[Send]
    ) -> Received:
        if make is Send:  # a SEND is never answered (2.1 part 4, 4.1.4)
            return Refused(message_id, action, text, OcppError(breach.kind, str(breach)), None)
        return self._refuse(message_id, action, text, breach.kind, str(breach))

    def _repeated(self, frame: frames.Call) -> Received:
        """The id of a call in progress: the same call again, or an id used twice."""
        if self._in_progress[frame.message_id] == (hash(frame.text), frame.action):
            return Duplicate(frame.message_id, None)
        description = "the message id belongs to a call in progress"
        return self._refuse(frame.message_id, frame.action, frame.text, ErrorKind.RPC_FRAMEWORK, description)

    def _on_send(self, frame: frames.Send) -> Received:
        known = ACTIONS[self.version].get(frame.action)
        if known is None or not known.is_sent:
            return self._wrong_way(frame.message_id, frame.action, frame.text, is_sent=True)
        return self._mend(frame, Send)

    def _wrong_way(self, message_id: str, action: str, text: str, *, is_sent: bool) -> Refused:
        """Unknown is NotImplemented, known but not the station's to send NotSupported (1.6J, table 7)."""
        if action in ACTIONS[self.version]:
            kind, description = ErrorKind.NOT_SUPPORTED, f"{action[:64]} is not for a station to call"
        else:
            kind, description = ErrorKind.NOT_IMPLEMENTED, f"{self.version} has no action {action[:64]}"
        if is_sent:
            return Refused(message_id, action, text, OcppError(kind, description), None)
        return self._refuse(message_id, action, text, kind, description)

    def _on_result(self, frame: frames.Result) -> Received:
        call = self._settled(frame.message_id)
        if call is None:
            return self._late(frame.message_id, frame.text)
        text = confidential.scrubbed(frame.text, call.secrets)
        first = schema.check(self.version, call.action, "response", frame.payload)
        if first is None:
            return Answer(call.message_id, call.action, frame.payload, None, text)
        mended = repairs.repair_breach(self.version, call.action, "response", frame.payload, breach=first)
        return Answer(call.message_id, call.action, mended.payload, None, text, mended.applied, first, mended.remaining)

    def _on_error(self, frame: frames.Error) -> Received:
        call = self._settled(frame.message_id)
        if call is None:
            return self._late(frame.message_id, frame.text)
        error = (frame.code, frame.description, frame.details)
        text = frame.text
        if call.secrets:
            text = confidential.scrubbed(text, call.secrets)
            clean = frames.parse(text, self.version, max_chars=2 * self._limits.frame_chars)
            error = (
                (clean.code, clean.description, clean.details)
                if isinstance(clean, frames.Error)
                else (word(ErrorKind.GENERIC, self.version), confidential.MASK, {})
            )
        return Answer(call.message_id, call.action, None, error, text)

    def _on_malformed(self, frame: frames.Malformed) -> Received:
        if frame.message_type in {frames.CALLRESULT, frames.CALLERROR}:
            return self._on_bad_answer(frame)
        if not frame.answerable and frame.message_type is not None:
            return Ignored(frame.text, frame.description)
        error = OcppError(frame.kind, frame.description)
        reply = self._error_text(frame.message_id, error) if frame.answerable else None
        return Refused(frame.message_id, frame.action, frame.text, error, reply)

    def _on_bad_answer(self, frame: frames.Malformed) -> Received:
        """An answer that is no good settles its call all the same, so that nobody waits for a timeout."""
        call = self._settled(frame.message_id)
        if call is None:
            return self._late(frame.message_id, frame.text)
        text = confidential.scrubbed(frame.text, call.secrets)
        error: tuple[str, str, dict[str, Any]] = (word(frame.kind, self.version), frame.description, {})
        breach = Violation("", frame.kind, frame.description)
        return Answer(call.message_id, call.action, None, error, text, (), breach, breach)

    def _on_result_error(self, frame: frames.ResultError) -> Received:
        return AnswerRefused(frame.message_id, frame.code, frame.description, frame.details, frame.text)

    def _on_unknown(self, frame: frames.Unknown) -> Received:
        reason = f"message type {frame.message_type} is unknown"
        if not self.answers_unknown_types:
            return Ignored(frame.text, reason)
        message_id = frame.message_id or frames.UNREADABLE_ID
        return self._refuse(message_id, None, frame.text, ErrorKind.MESSAGE_TYPE_NOT_SUPPORTED, reason)

    def _settled(self, message_id: str | None) -> Outstanding | None:
        """Take the outstanding call if the answer is its; only ids of this very connection are compared."""
        call = self._outstanding
        if call is None or call.message_id != message_id:
            return None
        self._outstanding = None
        return call

    def _late(self, message_id: str | None, text: str) -> Late:
        self.unmatched_count += 1
        self._unmatched_since_call += 1
        return Late(message_id, text)

    def _refuse(self, message_id: str, action: str | None, text: str, kind: ErrorKind, description: str) -> Refused:
        error = OcppError(kind, description)
        return Refused(message_id, action, text, error, self._error_text(message_id, error))

    def _error_text(self, message_id: str | None, error: OcppError) -> str:
        return frames.error_text(
            message_id or frames.UNREADABLE_ID, error.kind, error.description, error.details, self.version
        )

    # Functions, not bound methods: a conversation must not refer to itself, so that it goes with its connection.
    _ON: ClassVar[Mapping[type, Callable[["Conversation", Any], Received]]] = {
        frames.Call: _on_call,
        frames.Result: _on_result,
        frames.Error: _on_error,
        frames.Malformed: _on_malformed,
        frames.Send: _on_send,
        frames.ResultError: _on_result_error,
        frames.Unknown: _on_unknown,
    }


# Shared by all connections of a version and filled as actions appear: bounded by the actions there are.
_CHECKS: Final[Mapping[Version, dict[str, Callable[[Any], bool]]]] = {version: {} for version in Version}
