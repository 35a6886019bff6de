"""When VALOR enters, on which side, and that its own mistakes speak to it."""

from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import pytest

from domain import examples
from domain.book import Costs
from domain.bot import Factor
from domain.decision import Context
from domain.errors import DataError, FeatureMismatch, SettingsError
from domain.trade import Exit, Position, Trade
from domain.values import Action
from market.features.catalog import CATALOG as FEATURES
from risk.sizing import size
from trading import accounting, exits
from trading.bots.valor import BRACKETS, VALOR
from trading.brokers.base import Quote
from trading.brokers.paper import PaperBroker
from trading.examples import EXPIRES, OPENED, bar, future, order
from trading.strategies import flip
from trading.strategies.base import Setup

NIGHT = datetime(2017, 3, 4, 3, tzinfo=UTC)
POSITIVE = {
    "bar_flip_pct": 0.3,
    "bar_gamma_positive": 1.0,
    "bar_change_6": 0.004,
    "vix": 12.0,
}
NEGATIVE = POSITIVE | {"bar_flip_pct": -0.3, "bar_gamma_positive": 0.0}


def mes(features: dict[str, float] = POSITIVE, **fields: Any) -> Context:
    plain: dict[str, Any] = {"bot": VALOR, "symbol": "SPX", "price": 5_000.0, "surface": None}
    return examples.context(**(plain | {"features": features} | fields))


def away(percent: float, **fields: Any) -> Setup:
    base = POSITIVE if percent > 0 else NEGATIVE
    return flip.setup(mes(base | {"bar_flip_pct": percent}, **fields))


# the setup


def test_above_the_flip_in_positive_gamma_it_is_sold_back_to_it() -> None:
    for moved in (0.01, 0.0, -0.01):
        answer = flip.setup(mes(POSITIVE | {"bar_change_6": moved}))
        assert answer.action is Action.SELL
    assert answer.reason == "+0.30 % above the flip in positive gamma: back to it"
    assert answer.evidence["reach"] == 0.5


@pytest.mark.parametrize(
    ("moved", "action"), [(0.004, Action.BUY), (-0.004, Action.SELL), (0.0, Action.HOLD)]
)
def test_below_the_flip_in_negative_gamma_it_goes_along(moved: float, action: Action) -> None:
    assert flip.setup(mes(NEGATIVE | {"bar_change_6": moved})).action is action


@pytest.mark.parametrize(
    "odd",
    [
        POSITIVE | {"bar_gamma_positive": 0.0},
        NEGATIVE | {"bar_gamma_positive": 1.0},
        POSITIVE | {"bar_flip_pct": 0.0},
        NEGATIVE | {"bar_flip_pct": 0.0},
    ],
)
def test_where_gamma_and_flip_disagree_it_holds(odd: dict[str, float]) -> None:
    answer = flip.setup(mes(odd))
    assert answer.action is Action.HOLD
    assert "disagree" in answer.reason


@pytest.mark.parametrize(
    ("percent", "in_session", "overnight"),
    [
        (0.15, True, True),
        (0.16, True, False),
        (0.5, True, False),
        (0.51, False, False),
        (-0.15, True, True),
        (-0.16, True, False),
        (-0.5, True, False),
        (-0.51, False, False),
    ],
)
def test_near_is_half_a_percent_and_less_overnight(
    percent: float, in_session: bool, overnight: bool
) -> None:
    assert (away(percent).action is not Action.HOLD) is in_session
    night = away(percent, asof=NIGHT, deadline=NIGHT)
    assert (night.action is not Action.HOLD) is overnight
    assert night.evidence["overnight"] == 1.0


@pytest.mark.parametrize("missing", flip.FEATURES)
def test_unknown_gamma_is_no_setup_and_says_what_to_import(missing: str) -> None:
    known = {name: value for name, value in POSITIVE.items() if name != missing}
    with pytest.raises(FeatureMismatch, match=f"flip needs {missing} of SPX; import") as said:
        flip.setup(mes(known))
    assert "GEX_FLIP" in str(said.value)
    with pytest.raises(FeatureMismatch):
        flip.propose(mes(known), None, None)


def test_the_gamma_of_another_index_is_no_gamma_of_this_one() -> None:
    with pytest.raises(FeatureMismatch, match="MNQ follows NDX; import option chains of NDX"):
        flip.setup(mes(symbol="MNQ"))
    with pytest.raises(SettingsError, match="SPY is no known future"):
        flip.setup(mes(symbol="SPY"))
    assert flip.setup(mes(symbol="MES")) == flip.setup(mes(symbol="SPX"))


def test_a_side_that_the_bot_does_not_trade_is_held() -> None:
    long = VALOR.model_copy(update={"sides": (Action.BUY,)})
    answer = flip.setup(mes(bot=long))
    assert answer.action is Action.HOLD
    assert answer.reason.startswith("valor does not sell: ")


# what it proposes


@pytest.mark.parametrize(
    ("features", "action", "side", "entry"),
    [(POSITIVE, Action.SELL, -1, 5_000.0), (NEGATIVE, Action.BUY, 1, -5_000.0)],
)
def test_a_contract_is_proposed_with_its_stop_and_its_costs(
    features: dict[str, float], action: Action, side: int, entry: float
) -> None:
    made = flip.propose(mes(features), None, None)
    assert (made.structure, made.action, made.side) == ("future", action, side)
    assert (made.entry, made.multiplier, made.legs) == (entry, 5.0, ())
    assert made.stop == 2.5
    assert made.costs == pytest.approx(2 * (0.25 * 5 + 0.62))
    assert made.max_loss == pytest.approx(2.5 * 5 + 3.74)
    assert (made.factor, made.horizon) == (Factor.PRICE, VALOR.horizon)
    plain = "simulated: no margin is called for futures, each is paid for in full"
    assert made.simulated == f"{plain}; filled at the price of the index, as if there were no basis"
    assert flip.propose(mes(features, symbol="MES"), None, None).simulated == plain


def test_there_is_no_proposal_without_a_price_a_side_or_brackets() -> None:
    with pytest.raises(DataError, match="SPX has no price"):
        flip.propose(mes(price=None), None, None)
    with pytest.raises(DataError, match="no side of SPX"):
        flip.propose(mes(POSITIVE | {"bar_flip_pct": 3.0}), None, None)
    bare = VALOR.model_copy(update={"brackets": None})
    with pytest.raises(DataError, match="no brackets"):
        flip.propose(mes(bot=bare), None, None)


def test_contracts_are_bought_for_what_the_bot_has_and_not_on_margin() -> None:
    context = mes(book=examples.book(equity=100_000.0, peak=100_000.0, allocation=1.0))
    made = size(context, flip.propose(context, None, None), 0.6, 1.5, 1.0, 1.0, 1)
    # 100,000 at 25,000 dollars a contract
    assert (made.quantity, made.binding) == (4, "notional")
    poor = mes(book=examples.book(equity=20_000.0, peak=20_000.0, allocation=1.0))
    assert size(poor, flip.propose(poor, None, None), 0.6, 1.5, 1.0, 1.0, 1).quantity == 0


# stop and reverse


def held(side: Literal[-1, 1]) -> Position:
    """Return one contract, bought or sold at 5,000."""
    placed = order(future("SPX", side), 1, VALOR)
    fill = PaperBroker(Costs()).submit(placed, Quote(symbol="SPX", at=OPENED, price=5_000.0))
    return exits.open_position(placed, fill, EXPIRES, VALOR)


def ended(why: Exit, side: Literal[-1, 1] = 1, at: datetime = examples.CLOSE) -> Trade:
    """Return a trade of one contract that was closed at a moment."""
    closing = exits.Closing(quantity=1, price=side * 4_998.0, why=why, costs=1.87)
    return accounting.trade(held(side), closing, at)


def test_a_trade_on_the_wrong_side_speaks_for_the_other() -> None:
    assert flip.evidence([ended(Exit.REVERSE, 1)], examples.CLOSE) == {"reversal": -1.0}
    assert flip.evidence([ended(Exit.REVERSE, -1)], examples.CLOSE) == {"reversal": 1.0}


def test_only_the_newest_trade_speaks_and_only_for_a_while() -> None:
    minutes = timedelta(minutes=1)
    wrong = ended(Exit.REVERSE)
    assert flip.evidence([], examples.CLOSE) == {}
    for why in set(Exit) - {Exit.REVERSE}:
        assert flip.evidence([wrong, ended(why)], examples.CLOSE) == {}
    assert flip.evidence([ended(Exit.STOP), wrong], examples.CLOSE) != {}
    assert flip.evidence([wrong], examples.CLOSE + 5 * minutes) != {}
    assert flip.evidence([wrong], examples.CLOSE + 6 * minutes) == {}
    assert flip.evidence([wrong], examples.CLOSE - minutes) == {}


def test_the_other_side_is_a_setup_of_its_own_and_only_near_the_flip() -> None:
    for reversal, action in ((1.0, Action.BUY), (-1.0, Action.SELL)):
        for features in (POSITIVE, NEGATIVE):
            answer = flip.setup(mes(features | {"reversal": reversal}))
            assert answer.action is action
            assert answer.evidence["reversal"] == reversal
            made = flip.propose(mes(features | {"reversal": reversal}), None, None)
            assert made.action is action
    far = POSITIVE | {"bar_flip_pct": 0.6, "reversal": 1.0}
    assert flip.setup(mes(far)).action is Action.HOLD


def test_closing_on_the_wrong_side_opens_nothing() -> None:
    one = bar(4_999.0, 4_990.0, 5_000.0, 5_000.0, symbol="SPX")
    left, closings = exits.step(held(1), one, VALOR, mes().costs, 1)
    assert left is None
    assert [(closing.why, closing.quantity) for closing in closings] == [(Exit.REVERSE, 1)]


# the bot


def test_valor_names_what_exists() -> None:
    assert VALOR.name == VALOR.title.lower()
    assert set(VALOR.features) <= FEATURES.keys()
    assert set(flip.FEATURES) <= set(VALOR.features)
    assert all(flip.contracts.find(symbol).index == flip.INDEX for symbol in VALOR.symbols)
    assert VALOR.risk_per_trade == 0.01
    assert VALOR.max_quantity == 5
    assert VALOR.p_min == 0.50


def test_its_points_are_those_of_a_contract_at_five_thousand() -> None:
    points = {name: round(5_000 * share, 9) for name, share in BRACKETS.model_dump().items()}
    assert points == {
        "stop": 2.5,
        "even": 1.5,
        "trail": 0.75,
        "worst": 5.0,
        "emergency": 15.0,
        "reverse": 2.0,
        "wrong": 0.5,
    }
