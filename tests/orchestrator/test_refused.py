"""A champion that a process refuses to ask is told of in the desk's chain."""

from collections.abc import Callable

import pytest

from domain.decision import Context
from domain.version import Stage
from models import catalog
from models.base import Artifact
from orchestrator.desk import Desk
from storage import artifacts, audit, engine, registry
from trading.bots.catalog import BOTS


def spoil(desk: Desk, model: str) -> str:
    """Change the artifact of a champion that this process has not read yet; return its version."""
    version = registry.champion(desk.store, model)
    assert version is not None
    file = desk.store.home / "artifacts" / version.sha256[:2] / version.sha256
    file.write_bytes(file.read_bytes()[:-1])
    return version.version


ASKED = {model for bot in BOTS.values() for model in bot.models}


@pytest.mark.parametrize("name", [name for name in catalog.CATALOG if name in ASKED])
def test_whichever_champion_is_spoilt_it_is_told_of_and_its_predecessor_answers(
    at_next_close: Callable[[str], Desk], name: str
) -> None:
    desk = at_next_close("home")
    asked = next(c for c in desk.scan() if name in c.bot.models)
    [before] = [p for p in desk.answers()(asked) if p.model == name]
    good = registry.champion(desk.store, name)
    if good is None:
        pytest.skip(f"{name} has no champion in this history")
    content = Artifact.from_bytes(desk.registry.artifact(good))
    newer = content.model_copy(update={"facts": content.facts | {"gain": 0.25}})
    artifacts.put(desk.store, newer.to_bytes())
    line = {"version": newer.version, "sha256": newer.sha256, "stage": Stage.CANDIDATE}
    registry.register(desk.store, good.model_copy(update=line))
    why = registry.Why(who="test", reason="a drill")
    registry.promote(desk.store, name, newer.version, good.version, why, desk.clock.now())
    spoil(desk, name)
    desk.registry.look()
    [after] = [p for p in desk.answers()(asked) if p.model == name]
    assert after == before
    [one] = told(desk)
    assert (one.body["model"], one.body["serving"]) == (name, good.version)
    assert one.body["why"].startswith(f"{newer.version}: ")
    assert "is not what its name says" in one.body["why"]
    assert audit.verify(desk.store).ok


def condors(desk: Desk) -> list[Context]:
    return desk.scan(["fortress", "anchor"])


def told(desk: Desk) -> list[audit.Record]:
    return audit.records(desk.store, audit.DESK, "refused")


def test_a_champion_that_is_refused_is_recorded_once(at_next_close: Callable[[str], Desk]) -> None:
    desk = at_next_close("home")
    version = spoil(desk, "wisdom")
    for context in condors(desk):
        answer = desk.answers()
        assert answer(context)[0].probability is None
    [one] = told(desk)
    assert (one.body["model"], one.body["serving"]) == ("wisdom", None)
    assert one.body["why"].startswith(f"{version}: ")
    assert audit.verify(desk.store).ok


def test_an_answer_does_not_wait_for_the_record_of_a_refusal(
    at_next_close: Callable[[str], Desk], monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = at_next_close("home")
    spoil(desk, "wisdom")
    first, second = condors(desk)
    impatient = engine.open_store(desk.settings, wait=0.01)
    with monkeypatch.context() as patch, engine.writing(desk.store):
        patch.setattr(desk, "store", impatient)
        assert desk.answers()(first)[0].probability is None
    assert told(desk) == []
    assert desk.answers()(second)[0].probability is None
    assert len(told(desk)) == 1
    impatient.close()
