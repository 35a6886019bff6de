"""VALOR through a week of five-minute bars: what its setups come to is counted, and answers."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from domain import examples
from domain.book import Costs
from domain.clock import VirtualClock
from domain.decision import Context, Draft, OmegaDecision, Reason
from domain.trade import Exit
from domain.values import Action
from learning import tally
from market import calendar
from models import belief
from models.belief import Belief, Count
from orchestrator import books
from orchestrator.desk import Desk
from orchestrator.layers.inference import inference
from orchestrator.layers.sizing import payoff
from orchestrator.pipeline import decide
from storage import state, trades
from tests.orchestrator.made import desk_at, packaged, wanting
from tests.orchestrator.within import FIVE, WEEK, Within, at, five_minutes
from trading.bots.catalog import BOTS
from trading.strategies import catalog as strategies
from trading.strategies import flip

VALOR = BOTS["valor"]
MONDAY, TUESDAY, TODAY = WEEK[:3]
KNOWN = {
    "bar_flip_pct": 0.3,
    "bar_gamma_positive": 1.0,
    "bar_change_6": 0.001,
    "vix": 14.0,
}
FACTS = {"gain": 0.9, "loss": 0.8, "base_rate": 0.42}


def gamma(net: float = 4.0, below: float = 0.002) -> Within:
    """Return a week in which dealers are long gamma and the flip is just below the close before."""
    panel = packaged().panel()
    flips = (1 - below) * panel.close[:, 0]
    series = {**panel.series, "GEX_NET": np.full(len(panel), net), "GEX_FLIP": flips}
    return Within(replace(panel, series=series, memo={}), five_minutes())


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with desk_at(tmp_path, at(5, MONDAY), gamma()) as made:
        yield made


def turn(desk: Desk, moment: datetime) -> None:
    desk.clock = desk.wall = VirtualClock(moment)


def through(desk: Desk, *days: date) -> list[OmegaDecision]:
    """Decide on every bar of the days, as a scan does, and return what was decided."""
    made = []
    for day in days:
        for k in range(1, 79):
            turn(desk, at(5 * k, day))
            drafts = [decide(c, desk.answers()).draft for c in desk.scan(["valor"])]
            made += desk.seal(drafts)
    return made


def follow(desk: Desk, asof: datetime) -> int:
    return tally.follow(desk.store, desk.feed, asof, desk.bots, Costs(), 0)


def looked(**fields: Any) -> Context:
    plain: dict[str, Any] = {
        "bot": VALOR,
        "symbol": "SPX",
        "price": 2_000.0,
        "surface": None,
        "features": KNOWN,
    }
    return examples.context(**(plain | fields))


# what a bar shows


def test_within_a_session_the_bar_has_features_of_its_own(desk: Desk) -> None:
    turn(desk, at(150, TODAY))
    [context] = desk.gather(VALOR, ["SPX"], desk.view(desk.clock.now()))
    assert context.unknown == ()
    level = 0.998 * desk.sight(calendar.closes(TUESDAY)).prices["SPX"]
    assert context.price is not None
    away = 100 * (context.price - level) / context.price
    assert context.features["bar_flip_pct"] == pytest.approx(away, rel=1e-5)
    assert context.features["bar_gamma_positive"] == 1.0


def test_at_the_close_they_are_of_its_last_bar(desk: Desk) -> None:
    close = calendar.closes(TODAY)
    turn(desk, close)
    [context] = desk.gather(VALOR, ["SPX"], desk.view(close))
    assert context.bar == close
    assert "bar_flip_pct" in context.features


def test_without_bars_within_sessions_it_holds_and_says_what_to_import(tmp_path: Path) -> None:
    with desk_at(tmp_path, calendar.closes(TODAY), packaged()) as daily:
        [context] = daily.scan(["valor"])
        made = decide(context, daily.answers())
    assert (made.action, made.code) == (Action.HOLD, Reason.FEATURE_UNKNOWN)
    assert "import bars within sessions, a GEX history and option chains" in made.reason


# the count


def test_setups_are_counted_traded_or_not_and_only_when_they_have_ended(desk: Desk) -> None:
    made = through(desk, MONDAY, TUESDAY)
    assert [one.code for one in made[:6]] == 6 * [Reason.FEATURE_UNKNOWN], "no history of bars yet"
    assert {one.code for one in made[6:]} == {Reason.UNTRAINED, Reason.NO_SETUP}
    silent = [one.reason for one in made if one.code is Reason.UNTRAINED]
    assert all("of its setups in this regime have ended, 10 say what" in why for why in silent)
    first = follow(desk, calendar.closes(MONDAY))
    assert first > 10
    assert follow(desk, calendar.closes(MONDAY)) == 0
    second = follow(desk, calendar.closes(TUESDAY))
    assert second > 5
    kept = state.get(desk.store, "tally/valor")
    assert kept is not None
    rows = tally.Tally.model_validate(kept.body).rows
    assert len(rows) == first + second
    for before, row in pairwise(rows):
        assert row.decided >= before.closed, "two that overlap are one"
    assert all(row.closed <= calendar.closes(TUESDAY) for row in rows)
    assert {row.regime for row in rows} == {"positive"}
    known = desk.view(calendar.closes(TUESDAY)).counts["valor"]
    assert known.regimes["positive"].n == len(rows)
    assert not known.promoted


def test_once_ten_have_ended_the_count_answers_and_sizes(desk: Desk) -> None:
    through(desk, MONDAY)
    follow(desk, calendar.closes(MONDAY))
    [known] = desk.view(calendar.closes(MONDAY)).counts["valor"].regimes.values()
    decided = [one for one in through(desk, TUESDAY) if one.code is not Reason.NO_SETUP]
    assert decided
    for one in decided:
        facts = Belief.of(one.context.features)
        assert facts == known
        [said] = [v for v in one.draft.verdicts if v.layer == "inference"]
        assert said.evidence["p"] == known.probability
        assert f"{known.wins} of {known.n} setups paid" in said.reason
        again = decide(one.context, lambda _, said=one.draft.predictions: said)
        assert again.draft.verdicts == one.draft.verdicts[: len(again.draft.verdicts)]


def test_what_was_decided_before_a_restart_is_counted_after_it(desk: Desk, tmp_path: Path) -> None:
    through(desk, MONDAY)
    desk.close()
    with desk_at(tmp_path, calendar.closes(MONDAY), gamma()) as again:
        assert follow(again, calendar.closes(MONDAY)) > 10


def test_a_desk_without_bars_within_sessions_counts_nothing(tmp_path: Path) -> None:
    with desk_at(tmp_path, calendar.closes(TODAY), packaged()) as daily:
        assert follow(daily, calendar.closes(TODAY)) == 0
        assert daily.view(calendar.closes(TODAY)).counts == {}


# who answers


def answer(facts: dict[str, float], p: float | None = None) -> Draft:
    said = () if p is None else (examples.prediction(p, "valor-short", **FACTS),)
    return inference(Draft(context=looked(features=KNOWN | facts), predictions=said))


def counted(wins: int, losses: int, promoted: bool = False, **results: float) -> dict[str, float]:
    known = Belief(wins=wins, losses=losses, **results)
    return Count(regimes={"positive": known}, promoted=promoted).facts(KNOWN)


def test_a_cold_start_is_sized_by_what_training_measured_and_floored() -> None:
    draft = answer({}, 0.3)
    assert (draft.action, draft.probability) == (Action.SELL, 0.52)
    seen = draft.verdicts[-1].evidence
    assert (seen["gain"], seen["loss"], seen["floored"]) == (0.9, 0.8, 1.0)
    assert seen["valor-short"] == 0.3, "in its shadow, and for nothing"
    assert payoff(draft, flip.propose(draft.context, None, None)) == (0.9, 0.8)


def test_a_cold_start_that_nobody_measured_holds() -> None:
    draft = answer(counted(2, 1, gain=1.0, loss=0.8))
    assert draft.veto is not None
    assert draft.veto.code is Reason.UNTRAINED
    assert draft.veto.reason.startswith("3 of its setups in this regime have ended, 10 say")


def test_the_count_answers_until_the_shadow_is_promoted() -> None:
    known = counted(30, 10, gain=0.7, loss=0.9)
    draft = answer(known, 0.55)
    assert draft.probability == pytest.approx(31 / 42)
    assert payoff(draft, flip.propose(draft.context, None, None)) == (0.7, 0.9)
    promoted = answer(known | {belief.PROMOTED: 1.0}, 0.55)
    assert promoted.probability == 0.55
    assert "valor-short gives 0.550" in promoted.verdicts[-1].reason
    silent = answer(known | {belief.PROMOTED: 1.0})
    assert silent.probability == pytest.approx(31 / 42), "a shadow that is silent does not answer"


def test_a_count_below_the_least_probability_holds() -> None:
    draft = answer(counted(10, 30, gain=0.7, loss=0.9), 0.9)
    assert draft.veto is not None
    assert draft.veto.code is Reason.LOW_PROBABILITY
    assert "0.262: 10 of 40 setups paid; 0.500 is the least" in draft.veto.reason


# stop and reverse


def test_a_trade_on_the_wrong_side_from_the_start_speaks_to_the_next_decision(desk: Desk) -> None:
    within, rules = desk.feed.within(), VALOR.brackets
    assert within is not None
    assert rules is not None
    for k in range(7, 77):
        turn(desk, at(5 * k, MONDAY))
        [context] = desk.scan(["valor"])
        assert flip.REVERSAL not in context.features
        opened, high = within.open[k, 0], within.high[k, 0]
        sells = strategies.setup(context).action is Action.SELL
        if sells and high - opened > rules.reverse * opened:
            break
        desk.seal([decide(context, desk.answers()).draft])
    desk.seal([wanting(context, 1, flip.propose(context, None, None))])
    turn(desk, at(5 * (k + 1), MONDAY))
    assert (books.execute(desk), books.mark(desk)) == (1, 1)
    [trade] = trades.trades(desk.store, bot="valor")
    assert trade.why is Exit.REVERSE
    [after] = desk.scan(["valor"])
    assert after.features[flip.REVERSAL] == 1.0
    later = desk.gather(VALOR, ["SPX"], desk.view(desk.clock.now() + 2 * FIVE))
    assert all(flip.REVERSAL not in context.features for context in later)
