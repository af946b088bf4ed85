"""F2: rules, what became of each error by them, and the deliveries, over HTTP."""

from datetime import datetime
from typing import Annotated, Any, Self
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Path, Query, status
from pydantic import AfterValidator, BaseModel, Field
from sqlmodel import col, select
from sqlmodel.sql.expression import SelectOfScalar

from csms.exceptions import Invalid
from csms.fleet.escalation.model import Delivery, DeliveryAttempt, Escalation, EscalationRule
from csms.fleet.escalation.rules import (
    AttemptResult,
    Channel,
    DeliveryState,
    EscalationState,
    GroupBy,
    Kind,
    Language,
)
from csms.fleet.escalation.service import (
    add_rule,
    add_test,
    check_target,
    delete_rule,
    get_delivery,
    get_rule,
    organisation_of,
    renew_secret,
    webhook_secret,
    why,
)
from csms.fleet.escalation.texts import trial_letter
from csms.ids import Id
from csms.mail import is_address
from csms.rights import Area
from csms.station.errors import Severity, Source, get_error
from csms.station.information import Station, StationDep
from csms.web import (
    Page,
    PageDep,
    PeriodDep,
    Reading,
    RuntimeDep,
    Shown,
    Strict,
    Writing,
    may_read,
    may_write,
    page_of,
    within,
)

router = APIRouter()
CONDITIONS_MAX = 200
RECIPIENTS_MAX = 20
WEEK_S = 7 * 86400
DAY_S = 86400


def _address(text: str) -> str:
    if not text.isascii() or not is_address(text):
        raise ValueError("not an e-mail address")
    return text


def _time_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (LookupError, ValueError, OSError) as error:
        raise ValueError("not a time zone; use a name such as Europe/Berlin or UTC") from error
    return name


Text = Annotated[str, Field(min_length=1, max_length=255)]
Texts = Annotated[list[Text], Field(max_length=CONDITIONS_MAX)]
Address = Annotated[str, Field(max_length=254), AfterValidator(_address)]
ZoneName = Annotated[str, Field(max_length=64), AfterValidator(_time_zone)]
RuleId = Annotated[Id, Path(description="the rule's id")]


class RuleBody(Strict):
    """A rule: which errors (conditions; an empty list means any), when, to whom."""

    name: Text = Field(examples=["Night shift"])
    is_active: bool = True
    codes: Texts = Field([], description="OCPP error codes, `Faulted`, `Offline`, or vendor codes")
    sources: list[Source] = Field([], max_length=CONDITIONS_MAX)
    severities: list[Severity] = Field([], max_length=CONDITIONS_MAX, examples=[["error", "critical"]])
    sites: Texts = Field([])
    tags: Texts = Field([])
    stations: Texts = Field([], description="OCPP identities")
    hold_off_s: int = Field(300, ge=0, le=WEEK_S, description="an error that ends before this is not told")
    roll_up_s: int = Field(60, ge=0, le=DAY_S, description="how long a group gathers errors for one message")
    group_by: GroupBy = Field(GroupBy.SITE, description="whose errors share a message")
    messages_per_hour_max: int = Field(
        20,
        ge=1,
        le=1000,
        description="alarms; what comes above it is told in one message. All-clears go where there is room",
    )
    sends_all_clear: bool = Field(default=False, description="tell when an error that was told has ended")
    escalates_open_after_window: bool = Field(
        default=False,
        description="tell of errors that began inside a maintenance window, if they are still open at its end",
    )
    channel: Channel = Field(examples=["email"])
    recipients: list[Address] = Field([], max_length=RECIPIENTS_MAX, examples=[["night@example.com"]])
    url: Annotated[str, Field(max_length=2000)] | None = Field(None, description="of a webhook rule")
    language: Language = Language.ENGLISH
    time_zone: ZoneName = Field("UTC", description="of the times in mails", examples=["Europe/Berlin"])


class RuleChange(Strict):
    """What to change; fields left out stay as they are. The channel of a rule cannot change."""

    name: Text | None = None
    is_active: bool | None = None
    codes: Texts | None = None
    sources: Annotated[list[Source], Field(max_length=CONDITIONS_MAX)] | None = None
    severities: Annotated[list[Severity], Field(max_length=CONDITIONS_MAX)] | None = None
    sites: Texts | None = None
    tags: Texts | None = None
    stations: Texts | None = None
    hold_off_s: int | None = Field(None, ge=0, le=WEEK_S)
    roll_up_s: int | None = Field(None, ge=0, le=DAY_S)
    group_by: GroupBy | None = None
    messages_per_hour_max: int | None = Field(None, ge=1, le=1000)
    sends_all_clear: bool | None = None
    escalates_open_after_window: bool | None = None
    recipients: Annotated[list[Address], Field(max_length=RECIPIENTS_MAX)] | None = None
    url: Annotated[str, Field(max_length=2000)] | None = None
    language: Language | None = None
    time_zone: ZoneName | None = None


class RuleShown(Shown):
    """An escalation rule."""

    id: Id
    name: str
    is_active: bool
    created_at: datetime
    codes: list[str]
    sources: list[Source]
    severities: list[Severity]
    sites: list[str]
    tags: list[str]
    stations: list[str]
    hold_off_s: int
    roll_up_s: int
    group_by: GroupBy
    messages_per_hour_max: int
    sends_all_clear: bool
    escalates_open_after_window: bool
    channel: Channel
    recipients: list[str]
    url: str | None
    language: Language
    time_zone: str


class RuleMade(RuleShown):
    """A new rule, with its webhook's secret, which is never shown again."""

    webhook_secret: str | None = Field(
        description="signs the webhooks (Standard Webhooks 1.0, `webhook-signature`); null for e-mail rules"
    )


class Secret(Shown):
    """A new secret, never shown again."""

    webhook_secret: str


class EscalationShown(Shown):
    """The news of one error by one rule, and what became of it."""

    id: Id
    station_id: str = Field(description="the station's OCPP identity", examples=["CP-0001"])
    error_id: Id
    rule_id: Id
    rule_name: str
    kind: Kind
    state: EscalationState
    reason: str | None = Field(description="why nobody was told, or not yet")
    created_at: datetime
    hold_off_until: datetime
    due_at: datetime = Field(description="when it is looked at next, while it is waiting")
    maintenance_window_id: Id | None = Field(description="the window that suppressed or held it")
    message_id: Id | None = Field(description="GET /deliveries?message_id=… shows who got it")
    ended_at: datetime | None

    @classmethod
    def of(cls, row: Escalation, station: Station) -> Self:
        fields = {name: getattr(row, name, None) for name in cls.model_fields}
        return cls(**fields | {"station_id": station.identity, "maintenance_window_id": row.window_id})


class ErrorEscalations(Shown):
    """Who was told of an error, or why nobody was."""

    answer: str = Field(
        examples=["nobody: it began inside the maintenance window until 2027-03-01 12:00:00 UTC (rule «Night shift»)"]
    )
    items: list[EscalationShown]


class DeliveryShown(Shown):
    """A message on its way to one recipient."""

    id: Id = Field(description="`webhook-id` of a webhook; part of a mail's `Message-ID`")
    message_id: Id = Field(description="the same for all recipients of a message")
    rule_id: Id
    rule_name: str
    kind: Kind
    channel: Channel
    target: str = Field(description="e-mail address or URL")
    subject: str
    error_count: int
    state: DeliveryState
    created_at: datetime
    sent_at: datetime | None
    attempts: int
    next_attempt_at: datetime | None = Field(description="null once it is sent or given up")
    problem: str | None = Field(description="of the last attempt that failed")

    @classmethod
    def of(cls, row: Delivery, **more: object) -> Self:
        is_over = row.state in (DeliveryState.SENT, DeliveryState.FAILED)
        fields = {name: getattr(row, name, None) for name in cls.model_fields}
        return cls(**fields | {"next_attempt_at": None if is_over else row.next_attempt_at} | more)


class AttemptShown(Shown):
    """One try to send."""

    number: int
    started_at: datetime
    ended_at: datetime | None
    result: AttemptResult
    detail: str | None = Field(description="what the receiver answered, or what kept it from answering")


class DeliveryDetails(DeliveryShown):
    """A delivery with its text, its payload and all attempts."""

    text: str
    payload: dict[str, Any] = Field(description="what a webhook carries")
    attempt_list: list[AttemptShown] = Field(description="the first try first")


# --- rules --------------------------------------------------------------------------------------------------------


@router.get("/escalation-rules", summary="Rules", dependencies=[may_read(Area.OPERATION)])
async def list_rules(work: Reading, page: PageDep) -> Page[RuleShown]:
    """Newest first."""
    rows, cursor = await page_of(work, select(EscalationRule), page)
    return Page(items=[RuleShown.model_validate(row) for row in rows], next_cursor=cursor)


@router.post(
    "/escalation-rules",
    status_code=status.HTTP_201_CREATED,
    summary="Make a rule",
    dependencies=[may_write(Area.OPERATION)],
    responses={409: {"description": "there are too many rules"}},
)
async def create_rule(work: Writing, runtime: RuntimeDep, body: RuleBody) -> RuleMade:
    """Errors that are open already are not told by a new rule."""
    owner = organisation_of(work)
    rule = EscalationRule(**body.model_dump(mode="json"), organisation_id=owner, created_at=work.now)
    rule.channel, rule.group_by, rule.language = body.channel, body.group_by, body.language
    await add_rule(work, rule, runtime.settings.webhook_allowed_hosts)
    secret = webhook_secret(rule, runtime.secret_key) if rule.channel is Channel.WEBHOOK else None
    return RuleMade(**RuleShown.model_validate(rule).model_dump(), webhook_secret=secret)


@router.get("/escalation-rules/{rule_id}", summary="One rule", dependencies=[may_read(Area.OPERATION)])
async def show_rule(work: Reading, rule_id: RuleId) -> RuleShown:
    """The secret of a webhook rule is never shown again."""
    return RuleShown.model_validate(await get_rule(work, rule_id))


@router.patch("/escalation-rules/{rule_id}", summary="Change a rule", dependencies=[may_write(Area.OPERATION)])
async def update_rule(work: Writing, runtime: RuntimeDep, rule_id: RuleId, body: RuleChange) -> RuleShown:
    """Conditions and times concern errors raised from now on; recipients also those that are waiting."""
    rule = await get_rule(work, rule_id, to_change=True)
    for name in body.model_fields_set:
        value = getattr(body, name)
        if value is None and name != "url":
            raise Invalid(f"`{name}` cannot be null; leave it out to keep it", place=f"body/{name}")
        setattr(rule, name, [str(one) for one in value] if isinstance(value, list) else value)
    check_target(rule, runtime.settings.webhook_allowed_hosts)
    return RuleShown.model_validate(rule)


@router.delete(
    "/escalation-rules/{rule_id}",
    status_code=status.HTTP_204_NO_CONTENT,
    summary="Delete a rule",
    dependencies=[may_write(Area.OPERATION)],
)
async def remove_rule(work: Writing, rule_id: RuleId) -> None:
    """What is waiting is not told any more; the history stays."""
    await delete_rule(work, await get_rule(work, rule_id, to_change=True))


@router.post(
    "/escalation-rules/{rule_id}/test",
    status_code=status.HTTP_202_ACCEPTED,
    summary="Send a test message",
    dependencies=[may_write(Area.OPERATION)],
)
async def test_rule(work: Writing, rule_id: RuleId) -> list[DeliveryShown]:
    """It goes the way of all messages; GET /deliveries/{id} shows how it went."""
    rule = await get_rule(work, rule_id)
    subject, text = trial_letter(rule.name, rule.language)
    return [DeliveryShown.of(delivery) for delivery in add_test(work, rule, subject, text)]


@router.post(
    "/escalation-rules/{rule_id}/secret",
    summary="Renew the webhook's secret",
    dependencies=[may_write(Area.OPERATION)],
    responses={409: {"description": "it is an e-mail rule"}},
)
async def renew_rule_secret(work: Writing, runtime: RuntimeDep, rule_id: RuleId) -> Secret:
    """The old secret signs nothing from now on."""
    rule = await get_rule(work, rule_id, to_change=True)
    renew_secret(rule)
    return Secret(webhook_secret=webhook_secret(rule, runtime.secret_key))


# --- what became of errors ----------------------------------------------------------------------------------------


@router.get("/stations/{station_id}/escalations", summary="What was told of a station", dependencies=[may_read()])
async def list_escalations(
    station: StationDep,
    work: Reading,
    page: PageDep,
    state: Annotated[list[EscalationState], Query(max_length=6)] = [],  # noqa: B006  # FastAPI copies it
) -> Page[EscalationShown]:
    """Newest first, also what was suppressed or cancelled, with the reason."""
    query = select(Escalation).where(Escalation.station_id == station.id)
    if state:
        query = query.where(col(Escalation.state).in_(state))
    rows, cursor = await page_of(work, query, page)
    return Page(items=[EscalationShown.of(row, station) for row in rows], next_cursor=cursor)


@router.get(
    "/stations/{station_id}/errors/{error_id}/escalations",
    summary="Who was told of an error, or why nobody was",
    dependencies=[may_read()],
)
async def explain_error(
    station: StationDep, work: Reading, error_id: Annotated[Id, Path(description="the error's id")]
) -> ErrorEscalations:
    """One item for each rule that concerns the error."""
    error = await get_error(work, station, error_id)
    query = select(Escalation).where(Escalation.error_id == error.id).order_by(col(Escalation.id))
    rows = (await work.session.exec(query)).all()
    return ErrorEscalations(answer=why(rows), items=[EscalationShown.of(row, station) for row in rows])


# --- deliveries ---------------------------------------------------------------------------------------------------


class DeliveryFilter(BaseModel):
    """Which deliveries to list."""

    state: DeliveryState | None = None
    kind: Kind | None = None
    rule_id: Id | None = None
    message_id: Id | None = None


def _deliveries(filters: Annotated[DeliveryFilter, Query()], period: PeriodDep) -> SelectOfScalar[Delivery]:
    query = select(Delivery)
    for name in DeliveryFilter.model_fields:
        value = getattr(filters, name)
        if value is not None:
            query = query.where(getattr(Delivery, name) == value)
    return within(query, col(Delivery.created_at), period)


@router.get("/deliveries", summary="Messages to people and systems", dependencies=[may_read(Area.OPERATION)])
async def list_deliveries(
    work: Reading, page: PageDep, query: Annotated[SelectOfScalar[Delivery], Depends(_deliveries)]
) -> Page[DeliveryShown]:
    """Newest first; `from` and `to` are about `created_at`."""
    rows, cursor = await page_of(work, query, page)
    return Page(items=[DeliveryShown.of(row) for row in rows], next_cursor=cursor)


@router.get(
    "/deliveries/{delivery_id}", summary="A delivery with all attempts", dependencies=[may_read(Area.OPERATION)]
)
async def show_delivery(
    work: Reading, delivery_id: Annotated[Id, Path(description="the delivery's id")]
) -> DeliveryDetails:
    """What was sent, when it was tried, and what came back."""
    delivery = await get_delivery(work, delivery_id)
    query = select(DeliveryAttempt).where(DeliveryAttempt.delivery_id == delivery.id)
    attempts = await work.session.exec(query.order_by(col(DeliveryAttempt.number)))
    return DeliveryDetails.of(delivery, attempt_list=[AttemptShown.model_validate(one) for one in attempts])
