"""A summary in words. Every sentence follows from the numbers; none knows how a session ended."""

from collections.abc import Iterable, Sequence

from domain.bot import Factor
from domain.decision import Reason
from domain.trade import Exit
from domain.values import Dollars
from domain.version import Measure
from orchestrator.baselines import Every
from orchestrator.summary import BotReport, Forecasts, ModelReport, Summary

MINUS, SPACE, NONE = "\N{MINUS SIGN}", "\N{NO-BREAK SPACE}", "\N{EN DASH}"

LAYERS = {
    "safety": "Safety",
    "inference": "Inference",
    "advisor": "Advisor",
    "correlation": "Correlation",
    "sizing": "Sizing",
    "seal": "Seal",
}
"""The layers in the order in which a decision meets them."""

CAUSES = {
    Reason.OK: "no objection",
    Reason.KILLED: "a kill switch was set",
    Reason.SWITCHES_UNREADABLE: "the kill switches could not be read",
    Reason.LOSS_STREAK: "too many losses in a row",
    Reason.DAILY_LOSS: "the day had lost too much",
    Reason.DRAWDOWN: "too far below the peak of its equity",
    Reason.REPEAT_ORDERS: "the same order too often in one session",
    Reason.STALE: "the newest bar was overdue",
    Reason.DATA: "the data of the bar could not be trusted",
    Reason.CLOSED: "the exchange was closed",
    Reason.MAX_OPEN: "as many positions open as the bot may hold",
    Reason.MAX_DAILY: "as many entries as the bot may make in a session",
    Reason.DEGRADED: "decisions come too late, so half the size",
    Reason.FEATURE_UNKNOWN: "a feature that is needed had no value",
    Reason.UNTRAINED: "no trained model to ask",
    Reason.NO_QUORUM: "too few models answered",
    Reason.NO_CONSENSUS: "the models did not agree, or not with the setup",
    Reason.NO_SETUP: "the strategy saw nothing to trade",
    Reason.LOW_PROBABILITY: "the probability was below the least that is asked",
    Reason.NOVEL: "the market was like nothing its models had learned from",
    Reason.NO_CREDIT: "the credit was too small",
    Reason.NO_REWARD: "it could win too little for what it could lose",
    Reason.NO_SURFACE: "the options could not be priced",
    Reason.ADVISED: "the advisor changed it",
    Reason.CORRELATED: "it would move with what is held already",
    Reason.SHARED_RISK: "the risk that bots share was used up",
    Reason.SYMBOL_CAP: "the risk of this symbol was used up",
    Reason.TOTAL_CAP: "the risk of the desk was used up",
    Reason.NO_EDGE: "no edge after costs, so no size",
    Reason.TOO_SMALL: "the size came to less than one unit",
    Reason.SIZED: "it was sized",
    Reason.EXPIRED: "it came after its deadline",
    Reason.FAILED: "it could not be decided",
}

EXITS = {
    Exit.PROFIT_TARGET: "profit target",
    Exit.STOP: "stop",
    Exit.GAP_STOP: "gap through the stop",
    Exit.PARTIAL: "half at 1 R",
    Exit.TRAIL: "trailing stop",
    Exit.BREAK_EVEN: "break-even stop",
    Exit.REVERSE: "on the wrong side",
    Exit.MAX_LOSS: "greatest loss",
    Exit.EMERGENCY: "emergency",
    Exit.TIME: "time",
    Exit.EXPIRY: "expiry",
    Exit.ASSIGNED: "assigned at expiry",
    Exit.CALLED_AWAY: "called away at expiry",
    Exit.SESSION_END: "end of the replay",
}

CRITERIA = {
    "trades": "trades",
    "pnl": "profit",
    "win_rate": "share of winners",
    "profit_factor": "profit factor",
}

RULINGS = {
    "PROMOTE": "promoted",
    "HOLD": "held",
    "REJECT": "rejected",
    "ROLLBACK": "rolled back to",
    "RETIRE": "retired",
}

SWITCHES = {
    "HUMAN": "thrown by a person",
    "LOSS_STREAK": "losses in a row",
    "DAILY_LOSS": "loss of a day",
    "DRAWDOWN": "drawdown",
    "REPEAT_ORDERS": "repeated orders",
    "STALE_DATA": "stale data",
    "INTEGRITY": "integrity",
    "UNREADABLE": "unreadable switches",
    "MIXED_BUILDS": "workers of different code",
    "CLOCK_SKEW": "a clock that is off",
    "DRILL": "a drill",
    "DRILL_FAILED": "a kill switch that did not work in a drill",
}


def signed(text: str, value: float) -> str:
    return f"{MINUS}{text}" if value < 0 else text


def number(value: float, digits: int = 0) -> str:
    """Return a number with thousands set off and a true minus.

    Examples
    --------
    >>> number(-1234.5, 1) == "\N{MINUS SIGN}1,234.5"
    True
    """
    text = f"{abs(value):,.{digits}f}"
    return signed(text, value if text.strip("0.,") else 0.0)


def money(value: Dollars) -> str:
    """Return whole dollars."""
    text = number(value)
    return f"{MINUS}${text[1:]}" if text.startswith(MINUS) else f"${text}"


def percent(share: float, digits: int = 1) -> str:
    """Return a share as per cent.

    Examples
    --------
    >>> percent(0.1234) == "12.3\N{NO-BREAK SPACE}%"
    True
    """
    return f"{number(100 * share, digits)}{SPACE}%"


def share_of(n: int, whole: int) -> str:
    """Return a part as per cent, and what is hardly any as hardly any."""
    return f"<{SPACE}0.1{SPACE}%" if 0 < n / whole < 0.0005 else percent(n / whole)


def interval(measure: Measure | None, digits: int = 2, scale: float = 1.0) -> str:
    """Return a measure's 95 % interval in brackets, or nothing where it has none."""
    if measure is None or measure.low is None or measure.high is None:
        return ""
    low, high = (number(scale * bound, digits) for bound in (measure.low, measure.high))
    return f"[{low},{SPACE}{high}]"


def span(summary: Summary) -> str:
    start, end = summary.window.start, summary.window.end
    return f"{start.day} {start:%B %Y} to {end.day} {end:%B %Y}"


def listed(words: Iterable[str]) -> str:
    """Return words as a list in a sentence.

    Examples
    --------
    >>> listed(["a", "b", "c"])
    'a, b and c'
    """
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last


def went(gain: float) -> str:
    """Say what became of money, as a verb: ``gained 1.2 %``."""
    text = percent(abs(gain))
    if not text.strip(f"0.{SPACE}%"):
        return "came out even"
    return f"{'gained' if gain > 0 else 'lost'} {text}"


def earned(value: Dollars) -> str:
    """Say what became of dollars: ``lost $1,200``."""
    if not round(value):
        return "came out even"
    return f"{'earned' if value > 0 else 'lost'} {money(abs(value))}"


def headline(summary: Summary) -> str:
    """Say how the session ended, beside having done nothing but hold the market."""
    held = [f"{baseline.title} {went(baseline.curve.gain)}" for baseline in summary.baselines]
    beside = f"; bought and held, {listed(held)}" if held else ""
    return f"The desk {went(summary.money.gain)}{beside}."


SEEN = (
    "The exits of the condors and the sizes of the trees were chosen on 2014 to 2018, the very "
    "years of the packaged history: expect less of years that nobody has looked at."
)
"""What no interval on this page can show."""


def findings(summary: Summary) -> list[str]:
    """Say what else there is to know, the plainest first."""
    told = [groups(summary), trades(summary), gate(summary), forecasters(summary)]
    told += [every(summary), costs(summary), vetoes(summary), SEEN]
    return [sentence for sentence in told if sentence]


def groups(summary: Summary) -> str:
    """Say what each kind of bot came to."""
    idle = [bot for bot in summary.bots.values() if not (bot.wanted or bot.record.n)]
    traders = [bot for bot in summary.bots.values() if bot not in idle]
    sellers = [bot for bot in traders if bot.factor is Factor.VOLATILITY]
    told = []
    if sellers:
        pnl = sum(bot.money.pnl for bot in sellers)
        n = sum(bot.record.n for bot in sellers)
        names = listed(bot.title for bot in sellers)
        told.append(f"{names} {earned(pnl)} after costs with {n:,} option trades")
    told += [
        f"{bot.title} {earned(bot.money.pnl)} with {bot.record.n:,} trades"
        for bot in traders
        if bot.factor is Factor.PRICE
    ]
    if idle:
        told.append(f"{listed(bot.title for bot in idle)} did not trade")
    return "; ".join(told) + "." if told else ""


def trades(summary: Summary) -> str:
    """Say whether the closed trades show anything."""
    record = summary.record
    if not record.n or record.win_rate is None:
        return "No trade was closed, so nothing can be said of what the desk can do."
    text = f"Of {record.n:,} trades {percent(record.win_rate.value)} won"
    if record.mean_win is not None and record.mean_loss is not None:
        ratio = -record.mean_loss.value / record.mean_win.value
        text += f", and a loser cost {number(ratio, 2)} times what a winner brought"
    return f"{text}. {chance(record.profit_factor)}"


def chance(factor: Measure | None) -> str:
    """Say whether a profit factor can be told from chance."""
    if factor is None:
        return "Without a loss a profit factor cannot be measured, and nothing is shown."
    text = f"The profit factor is {number(factor.value, 2)}"
    if factor.low is None or factor.high is None:
        return f"{text}, from too few trades for an interval (n={factor.n:,})."
    text += f" {interval(factor)}"
    if factor.low > 1:
        return f"{text}: more than chance explains, on this one history."
    if factor.high < 1:
        return f"{text}: a loss that chance does not explain."
    return f"{text}, which cannot be told from 1: this record may be chance."


def gate(summary: Summary) -> str:
    """Say whether the desk and its bots are viable strategies."""
    passed = [bot.title for bot in summary.bots.values() if bot.gate.passed]
    failed = [bot.title for bot in summary.bots.values() if not bot.gate.passed]
    verdict = "passes" if summary.mvs.passed else "fails"
    missed = [CRITERIA[c.name] for c in summary.mvs.criteria if not c.passed]
    why = f" on {listed(missed)}" if missed else ""
    text = f"The desk {verdict} the gate for a minimum viable strategy{why}"
    alone = [
        f"{listed(titles)} {outcome}"
        for titles, outcome in ((passed, "passed"), (failed, "failed"))
        if titles
    ]
    return f"{text}; each by itself, {' and '.join(alone)}."


def called(title: str) -> str:
    """Return a model's title as it stands in a sentence, without a comma."""
    return title.replace(", ", " ")


def forecasters(summary: Summary) -> str:
    """Say which models could be told from their base rates by what came true."""
    better: list[str] = []
    worse: list[str] = []
    same: list[str] = []
    for model in summary.models.values():
        skill = model.live.skill
        if skill is None or skill.low is None or skill.high is None:
            continue
        group = better if skill.low > 0 else worse if skill.high < 0 else same
        group.append(called(model.title))
    told = []
    if better:
        told.append(f"{listed(better)} predicted better than the base rate")
    if worse:
        told.append(f"{listed(worse)} predicted worse than the base rate")
    if same:
        told.append(f"{listed(same)} added nothing that could be told from noise")
    return f"By what came true of every prediction, {'; '.join(told)}." if told else ""


def every(summary: Summary) -> str:
    """Say what the condors would have brought without any choice."""
    told = []
    for horizon in sorted({each.horizon for each in summary.every}, reverse=True):
        some = [each for each in summary.every if each.horizon == horizon and each.r is not None]
        if some:
            means = [f"{number(e.r.value, 3)} for {e.bot.upper()}" for e in some if e.r]
            days = "one session" if horizon == 1 else f"{horizon} sessions"
            told.append(f"over {days} {listed(means)}{sure([e.r for e in some if e.r])}")
    if not told:
        return ""
    return (
        "Selling a condor at every close and holding it would have brought, in units of risk a "
        f"trade after costs, {'; '.join(told)}."
    )


def sure(means: Sequence[Measure]) -> str:
    """Say how many of some means can be told from zero, or nothing where nobody knows."""
    bounds = [(m.low, m.high) for m in means if m.low is not None and m.high is not None]
    if len(bounds) < len(means):
        return ""
    known = sum(low > 0 or high < 0 for low, high in bounds)
    count = "none" if not known else "all" if known == len(means) else f"{known} of {len(means)}"
    return f" ({count} can be told from zero)"


def costs(summary: Summary) -> str:
    """Say what trading cost."""
    share = summary.money.cost_share
    if not summary.money.costs:
        return ""
    beside = f", {percent(share)} of what the winners brought" if share is not None else ""
    return f"Trading cost {money(summary.money.costs)}{beside}."


def vetoes(summary: Summary) -> str:
    """Say how often the desk held, and what for."""
    held = summary.decisions - summary.wanted
    text = f"{percent(held / summary.decisions)} of {summary.decisions:,} decisions were to hold"
    if not summary.vetoes["codes"]:
        return f"{text}."
    code, n = next(iter(summary.vetoes["codes"].items()))
    return f"{text}; the most frequent reason, {n:,} times: {cause(code)}."


def cause(code: str) -> str:
    return CAUSES[Reason(code)]


def target(model: ModelReport) -> str:
    """Say what a model predicts."""
    days = "1 session" if model.horizon == 1 else f"{model.horizon} sessions"
    return f"{'inside the strikes' if model.target == 'survives' else 'higher'} after {days}"


def verdict(forecasts: Forecasts) -> str:
    """Say what is known of a model by what came true, in the words of the promotion gate."""
    skill = forecasts.skill
    if skill is None:
        return "nothing that it predicted has come true yet"
    if skill.low is None or skill.high is None:
        return "too few sessions came true to say"
    if skill.low > 0:
        return "better than its base rate, beyond the 95 % interval"
    if skill.high < 0:
        return "worse than its base rate, beyond the 95 % interval"
    return "adds nothing that could be told from noise"


def beside(bot: BotReport, taken: Every) -> str:
    """Say whether a bot's choice of trades can be told from taking every one."""
    own, free = bot.record.expectancy_r, taken.r
    if own is None or free is None:
        return "nothing to compare"
    if own.low is None or own.high is None:
        return "too few trades to compare"
    if own.low > free.value:
        return "better than taking every trade"
    if own.high < free.value:
        return "worse than taking every trade"
    return "cannot be told from taking every trade"
