"""The life of one decision: context, draft, verdicts, decision."""

from enum import StrEnum
from math import inf, prod
from typing import Literal, Self

from pydantic import AwareDatetime, Field, model_validator

from domain.book import Book, Costs, Limits, Switches
from domain.bot import Bot, Factor
from domain.market import Leg, Regime, Surface
from domain.values import Action, Dollars, Env, Points, Probability, Scale, Value, digest


class Reason(StrEnum):
    """Why a layer spoke as it did: one code for machines beside the sentence for people."""

    OK = "OK"
    # safety
    KILLED = "KILLED"
    SWITCHES_UNREADABLE = "SWITCHES_UNREADABLE"
    LOSS_STREAK = "LOSS_STREAK"
    DAILY_LOSS = "DAILY_LOSS"
    DRAWDOWN = "DRAWDOWN"
    REPEAT_ORDERS = "REPEAT_ORDERS"
    STALE = "STALE"
    DATA = "DATA"
    CLOSED = "CLOSED"
    MAX_OPEN = "MAX_OPEN"
    MAX_DAILY = "MAX_DAILY"
    DEGRADED = "DEGRADED"
    # inference
    FEATURE_UNKNOWN = "FEATURE_UNKNOWN"
    UNTRAINED = "UNTRAINED"
    NO_QUORUM = "NO_QUORUM"
    NO_CONSENSUS = "NO_CONSENSUS"
    NO_SETUP = "NO_SETUP"
    LOW_PROBABILITY = "LOW_PROBABILITY"
    NOVEL = "NOVEL"
    # advisor
    NO_CREDIT = "NO_CREDIT"
    NO_REWARD = "NO_REWARD"
    NO_SURFACE = "NO_SURFACE"
    ADVISED = "ADVISED"
    # correlation
    CORRELATED = "CORRELATED"
    SHARED_RISK = "SHARED_RISK"
    SYMBOL_CAP = "SYMBOL_CAP"
    TOTAL_CAP = "TOTAL_CAP"
    # sizing
    NO_EDGE = "NO_EDGE"
    TOO_SMALL = "TOO_SMALL"
    SIZED = "SIZED"
    # seal
    EXPIRED = "EXPIRED"
    FAILED = "FAILED"


class Context(Value):
    """Everything a decision may look at, frozen at `asof`.

    Layers read nothing else: no clock, no database, no environment. That is what makes a decision
    repeatable in a backtest, in a replay and in an audit.
    """

    id: str
    env: Env
    bot: Bot
    symbol: str
    bar: AwareDatetime
    """Close of the newest bar: the identity of the decision."""
    asof: AwareDatetime
    deadline: AwareDatetime
    due: AwareDatetime | None = None
    """When the newest bar should have closed, by the exchange's calendar; None out of session."""
    price: Points | None
    features: dict[str, float]
    unknown: tuple[str, ...] = ()
    """Features that are needed and have no value, sorted."""
    schema_hash: str
    issues: tuple[str, ...] = ()
    """What data quality found wrong with this symbol's newest bar."""
    regime: Regime | None = None
    surface: Surface | None = None
    book: Book
    degraded: bool = False
    """Whether decisions came too late when this one was due: half the size, one task for all."""
    switches: Switches
    limits: Limits = Limits()
    costs: Costs = Costs()
    correlations: dict[str, float] = {}
    """Of this symbol's factor with that of each exposure, by exposure id."""
    champions: dict[str, str] = {}
    """Model to version, of the champions that are to answer."""


class Why(Value):
    """What the features added to an answer.

    ``shap``: Shapley values of the log-odds before calibration; with `base`, the log-odds of a row
    of which nothing is known, and `rest` they add up to the log-odds. ``occlusion``: the
    probability minus what it would be with the feature at its median, `base` being the answer to
    all medians; they do not add up, for features work together.
    """

    kind: Literal["shap", "occlusion"]
    base: float
    parts: dict[str, float] = {}
    """By feature, or group of lags; to six decimals, those that come to 0 left out."""
    rest: float = 0.0
    """Sum of all others, where a model has too many features for a record."""


class Prediction(Value):
    """What one version of one model says about one context.

    `probability` is None where the model abstains, and `reason` then says why. `facts` are
    measured in training: ``base_rate``, ``low`` and ``high`` thresholds, ``gain`` and ``loss``
    (mean result of winners and losers in units of risk, after costs), ``n``. Of the input itself
    are ``novelty``, how far it lies from what the model learned from, and ``novelty_limit``,
    beyond which the model abstains.
    """

    model: str
    version: str
    target: str
    probability: Probability | None
    low: Probability | None = None
    """Lower end of the 90 % interval of `probability`; None where none was measured."""
    high: Probability | None = None
    """Its upper end."""
    reason: str = ""
    facts: dict[str, float] = {}
    why: Why | None = None

    @property
    def novel(self) -> bool:
        """Whether the input lies beyond what the model learned from."""
        return self.facts.get("novelty", 0.0) > self.facts.get("novelty_limit", inf)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        p, low, high = self.probability, self.low, self.high
        if (low is None) != (high is None) or (p is None and low is not None):
            raise ValueError("an interval has two ends, and lies around a probability")
        if p is not None and low is not None and high is not None and not low <= p <= high:
            raise ValueError(f"the interval [{low}, {high}] is not around {p}")
        return self


class Proposal(Value):
    """What would be traded, per unit (one spread, one share).

    `entry` is in points: a credit is positive, a debit or a purchase negative. `max_loss`,
    `costs` (in and out) are in dollars per unit, `max_loss` with costs. `multiplier` turns points
    into dollars (100 for index options, 1 for shares, a future's point value).
    """

    structure: str
    action: Action
    factor: Factor
    side: Literal[-1, 1]
    legs: tuple[Leg, ...] = ()
    entry: Points
    max_loss: Dollars = Field(gt=0)
    max_gain: Dollars | None = None
    costs: Dollars
    multiplier: float
    horizon: int
    """Sessions until it expires or is given up."""
    stop: Points | None = None
    """Distance of the first stop from the entry, for shares and futures."""
    distance: float | None = None
    simulated: str = ""


class Effect(StrEnum):
    """How a verdict changes the draft."""

    PASS = "pass"
    ADJUST = "adjust"
    VETO = "veto"


class Verdict(Value):
    """The answer of one layer, with its reason and the numbers behind it."""

    layer: str
    effect: Effect = Effect.PASS
    code: Reason = Reason.OK
    reason: str = ""
    action: Action | None = None
    probability: Probability | None = None
    proposal: Proposal | None = None
    quantity: int | None = None
    scale: Scale = 1.0
    evidence: dict[str, float] = {}


class Draft(Value):
    """A decision in the making: the context, the predictions and the verdicts so far."""

    context: Context
    predictions: tuple[Prediction, ...] = ()
    verdicts: tuple[Verdict, ...] = ()

    @property
    def veto(self) -> Verdict | None:
        """The verdict that ended it, or None."""
        return next((v for v in self.verdicts if v.effect is Effect.VETO), None)

    @property
    def vetoed(self) -> bool:
        return self.veto is not None

    def _last(self, field: str) -> object:
        spoken = [v for v in self.verdicts if getattr(v, field) is not None]
        return getattr(spoken[-1], field) if spoken else None

    @property
    def action(self) -> Action:
        spoken = self._last("action")
        return Action.HOLD if self.vetoed or spoken is None else Action(str(spoken))

    @property
    def probability(self) -> float | None:
        p = self._last("probability")
        return p if isinstance(p, float) else None

    @property
    def proposal(self) -> Proposal | None:
        proposal = self._last("proposal")
        return proposal if isinstance(proposal, Proposal) else None

    @property
    def quantity(self) -> int:
        quantity = self._last("quantity")
        return 0 if self.vetoed or not isinstance(quantity, int) else quantity

    @property
    def scale(self) -> float:
        return 0.0 if self.vetoed else prod(verdict.scale for verdict in self.verdicts)

    def prediction(self, model: str) -> Prediction | None:
        """Return the answer of one model, or None if it was not asked or abstained."""
        answers = (p for p in self.predictions if p.model == model and p.probability is not None)
        return next(answers, None)

    def add(self, verdict: Verdict) -> Self:
        return self.model_copy(update={"verdicts": (*self.verdicts, verdict)})


class OmegaDecision(Value):
    """The one thing a bot may trade on. An order cannot be built from anything else."""

    id: str
    action: Action
    quantity: int = Field(ge=0)
    probability: Probability | None
    code: Reason
    """Of the veto, or OK."""
    reason: str
    draft: Draft

    @classmethod
    def seal(cls, draft: Draft) -> Self:
        """Close a draft. Without a quantity there is no trade, so the action is HOLD."""
        veto, quantity = draft.veto, draft.quantity
        return cls(
            id=draft.context.id,
            action=draft.action if quantity else Action.HOLD,
            quantity=quantity,
            probability=draft.probability,
            code=veto.code if veto else Reason.OK,
            reason=veto.reason if veto else "",
            draft=draft,
        )

    @property
    def context(self) -> Context:
        return self.draft.context

    @property
    def bot(self) -> str:
        return self.draft.context.bot.name

    @property
    def symbol(self) -> str:
        return self.draft.context.symbol

    @property
    def proposal(self) -> Proposal | None:
        return self.draft.proposal

    @property
    def hash(self) -> str:
        """SHA-256 of the canonical JSON: equal decisions, equal hash."""
        return digest(self)


def decision_id(bot: str, symbol: str, bar: AwareDatetime, ask: int = 1) -> str:
    """Return the identity of a decision: one bot, one symbol, one bar.

    A beat that fires twice or a message delivered twice has the same id and changes nothing. A
    person who asks again about the same bar asks a new question: `ask` numbers them.

    Examples
    --------
    >>> from datetime import UTC, datetime
    >>> decision_id("fortress", "SPX", datetime(2018, 2, 5, 21, tzinfo=UTC))
    'fortress-SPX-20180205T2100Z'
    """
    again = f"-{ask}" if ask > 1 else ""
    return f"{bot}-{symbol}-{bar:%Y%m%dT%H%MZ}{again}"
