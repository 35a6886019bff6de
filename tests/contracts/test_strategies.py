"""What every strategy in the catalog promises. A new strategy is tested by its line there."""

import pytest

from domain import examples
from domain.decision import Context
from domain.values import Action
from market.features.catalog import CATALOG as FEATURES
from trading.bots.catalog import BOTS
from trading.strategies.catalog import CATALOG

EVERY = pytest.mark.parametrize("name", CATALOG)


def evidence(name: str) -> dict[str, float]:
    """Return what a desk says of a bot that has not traded."""
    hear = CATALOG[name].evidence
    return {} if hear is None else hear((), examples.CLOSE)


def context(name: str) -> Context:
    bot = next(bot for bot in BOTS.values() if bot.strategy == name)
    known = dict.fromkeys(FEATURES, 0.01) | {"vix": 11.0} | evidence(name)
    return examples.context(bot=bot, symbol=bot.symbols[0], features=known)


@EVERY
def test_some_bot_trades_it(name: str) -> None:
    assert any(bot.strategy == name for bot in BOTS.values())


@EVERY
def test_the_same_context_gives_the_same_answer(name: str) -> None:
    strategy = CATALOG[name]
    assert strategy.setup(context(name)) == strategy.setup(context(name))
    first = strategy.propose(context(name), None, None)
    assert first == strategy.propose(context(name), None, None)


@EVERY
def test_it_reads_no_feature_that_it_does_not_name(name: str) -> None:
    strategy, full = CATALOG[name], context(name)
    named = {key: full.features[key] for key in (*strategy.features, *evidence(name))}
    bare = full.model_copy(update={"features": named})
    assert strategy.setup(bare) == strategy.setup(full)
    assert strategy.propose(bare, None, None) == strategy.propose(full, None, None)


@EVERY
def test_a_setup_says_why(name: str) -> None:
    setup = CATALOG[name].setup(context(name))
    assert setup.action in Action
    assert setup.reason


@EVERY
def test_what_is_proposed_adds_up(name: str) -> None:
    proposal = CATALOG[name].propose(context(name), None, None)
    assert (proposal.entry > 0) == (proposal.action is Action.SELL)
    assert proposal.max_loss > proposal.costs > 0
    assert bool(proposal.legs) != bool(proposal.stop)
