"""New champions while decisions are under way: none fails, and none is decided by a relic."""

import socket
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import cycle, islice
from time import monotonic
from typing import NamedTuple

import pytest
from sqlalchemy import text

from domain.errors import IntegrityError
from domain.settings import Settings
from learning import trainer
from market import calendar
from models.catalog import CATALOG
from orchestrator import canvas
from orchestrator.desk import Desk
from storage import artifacts, audit, dead, decisions, engine, registry
from storage.registry import Why
from tests.system.fleet import SESSION, ask, children, until, up
from trading.bots.catalog import BOTS
from workers.app import create

pytestmark = pytest.mark.system

Looking = Callable[[Settings], Desk]
PROMOTIONS, EACH = 20, 100
"""Decisions that are sent before each promotion."""
IN_FLIGHT = 200
TRADERS = [BOTS[name] for name in ("fortress", "anchor", "samson", "autotrader")]
MODELS = tuple(
    dict.fromkeys(m for bot in TRADERS for m in bot.models if not CATALOG[m].load().extra)
)
"""What they ask and what has a champion here."""
DRILL = Why(who="test", reason="drill")


class Reign(NamedTuple):
    """From when until when a version may have been champion; the borders count on both sides."""

    version: str
    begins: datetime
    ends: datetime


def challengers(desk: Desk) -> dict[str, str]:
    """Train and register a second version of every model, of four weeks before the first."""
    asof, settings, found = calendar.opens(SESSION) - timedelta(days=28), desk.settings, {}
    for name in MODELS:
        trained = trainer.train(name, desk.feed.panel(), asof, settings.seed, settings.costs)
        artifacts.put(desk.store, trained.artifact.to_bytes())
        assert registry.register(desk.store, trained.version)
        found[name] = trained.version.version
    return found


def serving(desk: Desk, model: str) -> str:
    """Return the version that the registry calls champion."""
    version = registry.champion(desk.store, model)
    assert version is not None
    return version.version


def reigns(desk: Desk, done: dict[int, datetime]) -> dict[str, list[Reign]]:
    """Return the reigns of every model; `done` says when the promotion of a ruling had returned.

    A ruling is dated before it is committed, so until then the predecessor reigned on.
    """
    found: dict[str, list[Reign]] = {}
    for name in MODELS:
        rulings = registry.ledger(desk.store, name)
        ends = [*(done[ruling.id] for ruling in rulings[1:]), desk.clock.now()]
        found[name] = [Reign(r.version, r.at, end) for r, end in zip(rulings, ends, strict=True)]
    return found


def test_twenty_promotions_under_load_fail_no_decision_and_leave_no_relic(
    home: Settings, looking: Looking, record_property: Callable[[str, object], None]
) -> None:
    desk = looking(home)
    spare, asked, done = challengers(desk), [], {}
    with up(home, "--workers", "decision=2") as fleet, create(fleet.client()) as client:
        client.set_current()
        began = monotonic()
        for model in islice(cycle(MODELS), PROMOTIONS):
            until(lambda: decisions.waiting(desk.store)[0] < IN_FLIGHT, 60, "there is room")
            fresh = ask(desk, EACH, TRADERS)
            canvas.publish(fresh)
            asked += fresh
            before = serving(desk, model)
            registry.promote(desk.store, model, spare[model], before, DRILL, desk.clock.now())
            done[registry.ledger(desk.store)[-1].id] = desk.clock.now()
            spare[model] = before
            assert decisions.waiting(desk.store)[0], "nothing was in flight"
        until(lambda: not decisions.waiting(desk.store)[0], 60, "every decision is sealed")
        took = monotonic() - began
    told = f"{len(asked)} decisions, {PROMOTIONS} promotions: {len(asked) / took:.0f} a second\n"
    sys.stdout.write(told)
    record_property("reload", told)

    ruled, seen = reigns(desk, done), set()
    sealed_at = {line.id: line.sealed_at for line in decisions.listing(desk.store, limit=10_000)}
    assert {key[0] for key in decisions.count_by(desk.store, "code")}.isdisjoint(
        {"FAILED", "EXPIRED", "UNTRAINED"}
    )
    assert dead.count(desk.store) == 0
    for made in decisions.many(desk.store, [context.id for context in asked]):
        until_then = sealed_at[made.id]
        assert until_then is not None
        for said in made.draft.predictions:
            if said.model not in MODELS:
                continue
            assert said.probability is not None or said.novel, said.reason
            assert any(
                said.version == reign.version
                and reign.begins <= until_then
                and made.context.asof <= reign.ends
                for reign in ruled[said.model]
            ), f"{made.id}: {said.model} {said.version} was no champion then"
            seen.add((said.model, said.version))
    assert len(asked) == PROMOTIONS * EACH == len(sealed_at)
    assert seen == {(name, reign.version) for name in MODELS for reign in ruled[name]}
    assert len(seen) == 2 * len(MODELS)


def test_a_corrupted_challenger_is_refused_by_every_worker_and_the_record_tells(
    home: Settings, looking: Looking
) -> None:
    desk = looking(home)
    champion, spoilt = serving(desk, "xgb"), challengers(desk)["xgb"]
    sha = registry.get(desk.store, "xgb", spoilt).sha256
    file = home.home / "artifacts" / sha[:2] / sha
    content = file.read_bytes()
    file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(IntegrityError):
        registry.promote(desk.store, "xgb", spoilt, champion, DRILL, desk.clock.now())

    asked = []
    with up(home, "--workers", "decision=2") as fleet, create(fleet.client()) as client:
        client.set_current()

        def decided() -> bool:
            fresh = ask(desk, 20, [desk.bots["autotrader"]])
            asked.extend(fresh)
            for context in fresh:
                canvas.publish([context])
            ids = [context.id for context in fresh]
            return until(lambda: len(decisions.many(desk.store, ids)) == 20, 30, "it is sealed")

        until(decided, 60, "the champion answers")
        assert audit.records(desk.store, audit.DESK, "refused") == []
        with engine.writing(desk.store) as conn:
            moved = {"model": "xgb", "version": spoilt}
            conn.execute(text("UPDATE pointers SET version = :version WHERE model = :model"), moved)
            conn.execute(text("UPDATE counters SET value = value + 1 WHERE name = 'registry'"))
        assert serving(desk, "xgb") == spoilt
        workers = {f"{socket.gethostname()}:{pid}" for pid in children(fleet.pid("decision"))}
        assert len(workers) == 2

        def told() -> list[audit.Record]:
            return audit.records(desk.store, audit.DESK, "refused")

        until(
            lambda: decided() and {one.body["process"] for one in told()} == workers,
            60,
            "every worker has refused it",
        )
        until(decided, 30, "the champion answers on")

    assert len(told()) == len(workers), "each tells it once"
    for one in told():
        assert (one.body["model"], one.body["serving"]) == ("xgb", champion)
        assert one.body["why"].startswith(f"{spoilt}: ")
        assert "is not what its name says" in one.body["why"]
    made = decisions.many(desk.store, [context.id for context in asked])
    said = [prediction for one in made for prediction in one.draft.predictions]
    assert {p.version for p in said if p.model == "xgb"} == {champion}
    assert all(p.probability is not None or p.novel for p in said if p.model in MODELS)
    assert ("FAILED",) not in decisions.count_by(desk.store, "code")
    verified = audit.verify(desk.store)
    assert verified.fault is not None, "nobody promoted it: the chain knows of another champion"
    assert verified.fault.what.startswith(f"the champion of xgb is {spoilt}")
