"""What every bot in the catalog promises. A new bot is tested by its line there."""

import pytest

from domain import examples
from domain.bot import Bot, Factor
from domain.errors import Refused
from domain.values import Action
from market import pricing
from market.features.catalog import CATALOG as FEATURES
from models.catalog import CATALOG as MODELS
from trading.bots.catalog import BOTS, find
from trading.strategies.catalog import CATALOG as STRATEGIES
from trading.strategies.catalog import propose, setup
from trading.structures.catalog import CATALOG as STRUCTURES

EVERY = pytest.mark.parametrize("name", BOTS)


def winged(bot: Bot) -> bool:
    return any(STRUCTURES[name].winged for name in bot.structures)


@EVERY
def test_what_a_bot_names_exists(name: str) -> None:
    bot = BOTS[name]
    assert bot.name == name == bot.title.lower()
    assert bot.strategy in STRATEGIES
    assert set(bot.structures) <= STRUCTURES.keys()
    assert set(bot.features) <= FEATURES.keys()
    assert set(bot.models) <= MODELS.keys()
    assert bot.models
    assert bot.symbols
    assert len(set(bot.symbols)) == len(bot.symbols)


@EVERY
def test_a_bot_asks_for_what_its_strategy_reads(name: str) -> None:
    assert set(STRATEGIES[BOTS[name].strategy].features) <= set(BOTS[name].features)


@EVERY
def test_a_bot_says_how_it_gets_out(name: str) -> None:
    bot = BOTS[name]
    if bot.structures:
        assert bot.horizon > 0
        assert bot.wing is not None or not winged(bot), "what is held to expiry is bounded by wings"
    elif bot.brackets is None:
        assert bot.stop_ranges is not None
        assert bot.trail_ranges is not None


@EVERY
def test_no_trade_may_risk_a_fifth_of_the_capital(name: str) -> None:
    bot = BOTS[name]
    assert 0 < bot.risk_per_trade <= 0.15
    assert 0 < bot.kelly <= 0.5
    assert bot.max_open > 0
    assert bot.max_daily > 0
    assert bot.max_quantity > 0


@EVERY
def test_strikes_can_be_listed(name: str) -> None:
    bot = BOTS[name]
    if bot.structures:
        assert bot.strike_step is not None
        assert bot.wing is not None or not winged(bot)
        assert (bot.wing or 0.0) % bot.strike_step == 0


@EVERY
def test_a_bot_can_propose_on_a_quiet_day(name: str) -> None:
    bot = BOTS[name]
    # beside the market it is told what a desk says of a bot that has not traded
    hear = STRATEGIES[bot.strategy].evidence
    own = {} if hear is None else hear((), examples.CLOSE)
    context = examples.context(
        bot=bot,
        symbol=bot.symbols[0],
        features=dict.fromkeys(bot.features, 0.01) | {"vix": 11.0} | own,
        surface=pricing.shifted(examples.surface(), 2383.0),
    )
    assert setup(context).action in Action
    for structure in bot.structures or (None,):
        proposal = propose(context, structure)
        assert proposal.max_loss > 0
        assert proposal.costs > 0
        assert proposal.horizon == bot.horizon
        assert proposal.factor in Factor


def test_a_bot_that_is_not_there_is_refused_by_name() -> None:
    with pytest.raises(Refused, match="there are fortress, anchor, samson, autotrader"):
        find("lazarus")
