"""A decision does not depend on how it is run: five hundred of them, in four ways."""

import shutil
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from time import monotonic

import numpy as np
import pytest

from domain.book import Limits
from domain.bot import Bot, Factor
from domain.decision import Context
from domain.settings import Settings
from orchestrator import canvas
from orchestrator.desk import Desk
from storage import decisions
from tests.parity.test_parity import Hashes, eager, fused, inline, recorded
from tests.system.fleet import WIDE, ask, now, unbound, until, up
from workers.app import create
from workers.lifecycle import bound, open_desk

pytestmark = pytest.mark.system

MANY = 500
NOISE = 0.2
"""Standard deviation of what each feature is multiplied by, so that no two contexts are alike."""


def contexts(desk: Desk) -> list[Context]:
    """Return contexts that lead to every kind of decision, orders among them.

    Half of them of the bots as they are, half of bots without limits; half of all about options.
    """
    rng, found = np.random.default_rng(7), []
    for make, limits in ((Bot.model_copy, Limits()), (unbound, WIDE)):
        desk.settings = desk.settings.model_copy(update={"limits": limits})
        bots = [make(bot) for bot in desk.bots.values()]
        for factor in Factor:
            found += ask(desk, MANY // 4, [bot for bot in bots if bot.factor is factor])
    return [
        context.model_copy(
            update={
                "features": {
                    name: value * (1 + NOISE * rng.standard_normal())
                    for name, value in context.features.items()
                }
            }
        )
        for context in found
    ]


def live(desk: Desk, asked: list[Context]) -> Hashes:
    """Through a fleet, batch after batch: what one reserves, the next must find reserved.

    Its limits are those that guardrails go by; a decision goes by those in its context.
    """
    settings = desk.settings.model_copy(update={"limits": WIDE})
    with up(settings, "--workers", "decision=2") as fleet, create(fleet.client()) as client:
        client.set_current()
        for first in range(0, MANY, canvas.BATCH):
            batch = asked[first : first + canvas.BATCH]
            decisions.pend(desk.store, batch, now())
            canvas.publish(batch)
            until(lambda part=batch: len(recorded(desk, part)) == len(part), 30, "it is sealed")
    return recorded(desk, asked)


def test_500_contexts_inline_eager_fused_and_through_a_fleet_are_the_same_decisions(
    trading: Settings, tmp_path: Path
) -> None:
    ways: tuple[Callable[[Desk, list[Context]], Hashes], ...] = (inline, eager, fused, live)
    for way in ways:
        shutil.copytree(trading.home, tmp_path / way.__name__)
    with bound(open_desk(trading)) as desk:
        asked = contexts(desk)
    found: dict[str, Hashes] = {}
    for way in ways:
        settings = trading.model_copy(update={"home": tmp_path / way.__name__})
        with bound(open_desk(settings)) as desk:
            if way is not live:
                decisions.pend(desk.store, asked, now())
            began = monotonic()
            found[way.__name__] = way(desk, asked)
            sys.stdout.write(f"{way.__name__}: {monotonic() - began:.1f} s\n")
            made = decisions.many(desk.store, [context.id for context in asked])
    kinds = Counter(one.code.value for one in made)
    ordered = sum(one.quantity > 0 for one in made)
    sys.stdout.write(f"{ordered} orders; {dict(kinds)}\n")
    assert len(found["inline"]) == len({context.id for context in asked}) == MANY
    for way in ways[1:]:
        other = found[way.__name__]
        assert [key for key, body in found["inline"].items() if other.get(key) != body] == []
    assert len(kinds) > 5
    assert ordered >= 20
