"""Champions answer, keep current, and keep the last good version."""

from collections.abc import Callable

import numpy as np
import pytest

from domain import examples
from domain.bot import Bot
from domain.decision import Context
from domain.errors import Transient
from domain.version import Version
from models import catalog
from models.base import Artifact, Model
from models.examples import artifact
from models.serving import Champions
from tests.models.made import Shelf, graph, samples, version


@pytest.fixture(scope="module")
def wisdoms() -> list[Artifact]:
    """Three versions of WISDOM, each from other samples."""
    return [wisdom(seed).export() for seed in (1, 2, 3)]


@pytest.fixture(scope="module")
def prophet() -> Artifact:
    model = catalog.create("prophet-condor")
    return model.fit(*samples(model, bars=200)).export(facts={"gain": 0.1, "gain@1.2": 0.05})


def wisdom(seed: int) -> Model:
    model = catalog.create("wisdom", seed)
    return model.fit(*samples(model, bars=200, seed=seed))


def asking(bot: Bot | None = None, **features: float | None) -> Context:
    """Return a context that knows every feature of the bot's models, but for those that are None.

    Every number is exact in single precision, as those of a real context are.
    """
    bot = bot or examples.bot()
    known = dict.fromkeys(
        (f for name in bot.models for f in catalog.entry(name).load().market_features()), 0.25
    )
    mixed = known | features
    return examples.context(bot=bot, features={k: v for k, v in mixed.items() if v is not None})


def probability(champions: Champions, model: str = "wisdom") -> float | None:
    return next(p.probability for p in champions.answer(asking()) if p.model == model)


def test_every_model_of_the_bot_is_asked_in_order(
    wisdoms: list[Artifact], prophet: Artifact
) -> None:
    bot = examples.bot(models=("prophet-condor", "wisdom"))
    first, second = Champions(Shelf(wisdoms[0], prophet)).answer(asking(bot))
    assert (first.model, first.version) == ("prophet-condor", prophet.version)
    assert (second.model, second.version) == ("wisdom", wisdoms[0].version)
    assert (first.target, second.target) == ("survives", "survives")
    assert first.reason == second.reason == ""


def test_an_answer_is_what_the_trained_model_says(wisdoms: list[Artifact]) -> None:
    model = wisdom(1)
    X = samples(model, bars=200, seed=1)[0].assign(strike_distance=np.float32(1.2))
    champions = Champions(Shelf(wisdoms[0]))
    for row, expected in zip(range(5), model.predict(X[:5]), strict=True):
        features = {k: float(v) for k, v in X.iloc[row].items() if k != "strike_distance"}
        [answer] = champions.answer(asking(examples.bot(models=("wisdom",)), **features))
        assert answer.probability == pytest.approx(expected, abs=1e-5)


def test_the_strikes_of_the_bot_move_the_answer_and_choose_the_facts(prophet: Artifact) -> None:
    champions = Champions(Shelf(prophet))

    def ask(distance: float) -> tuple[float, dict[str, float]]:
        bot = examples.bot(models=("prophet-condor",), distance=distance)
        [answer] = champions.answer(asking(bot))
        assert answer.probability is not None
        return answer.probability, answer.facts

    near, far = ask(0.8), ask(1.2)
    assert near[0] < far[0]
    assert near[1]["base_rate"] == prophet.facts["base_rate@0.8"]
    assert far[1]["base_rate"] == prophet.facts["base_rate@1.2"]
    assert (near[1]["gain"], far[1]["gain"]) == (0.1, 0.05)
    assert not any("@" in fact for fact in near[1])


def test_a_model_without_champion_abstains_and_says_so(wisdoms: list[Artifact]) -> None:
    answers = Champions(Shelf(wisdoms[0])).answer(asking())
    assert [a.probability is None for a in answers] == [False, True]
    assert answers[1].reason == "no champion; train one with `omega train prophet-condor`"
    assert answers[1].facts == {}


def test_an_unknown_feature_is_named_and_only_its_models_abstain(
    wisdoms: list[Artifact], prophet: Artifact
) -> None:
    champions = Champions(Shelf(wisdoms[0], prophet))
    first, second = champions.answer(asking(vix=None, is_friday=None))
    assert (first.probability, first.reason) == (None, "unknown: vix")
    assert (second.probability, second.reason) == (None, "unknown: vix, is_friday")
    assert first.version == wisdoms[0].version
    first, second = champions.answer(asking(is_friday=None))
    assert first.probability is not None
    assert (second.probability, second.reason) == (None, "unknown: is_friday")


def test_a_bot_without_strikes_gets_no_answer_about_strikes(wisdoms: list[Artifact]) -> None:
    bot = examples.bot(models=("wisdom",), distance=None)
    [answer] = Champions(Shelf(wisdoms[0])).answer(asking(bot))
    assert (answer.probability, answer.reason) == (None, "unknown: strike_distance")


def test_what_is_no_probability_is_an_abstention(wisdoms: list[Artifact]) -> None:
    row = ((0.5, 0.5), 0.1)
    odd = artifact(onnx=graph(scale=1.0), golden=(row,), knots=((0.0, 9.0), (0.1, 0.1)))
    bot = examples.bot(models=("wisdom",), distance=1.2)
    champions = Champions(Shelf(odd))
    [answer] = champions.answer(asking(bot, vix=-1.0))
    assert answer.probability == 0.1
    [answer] = champions.answer(asking(bot, vix=30.0))
    assert answer.probability is None
    assert "gave no probability" in answer.reason


def test_a_new_champion_answers_from_the_next_question_on(wisdoms: list[Artifact]) -> None:
    shelf = Shelf(wisdoms[0])
    champions = Champions(shelf)
    before = probability(champions)
    shelf.put(wisdoms[1])
    after = probability(champions)
    assert champions.versions() == {"wisdom": wisdoms[1].version}
    assert before != after
    assert after == probability(Champions(Shelf(wisdoms[1])))


def test_a_rollback_brings_the_old_answers_back(wisdoms: list[Artifact]) -> None:
    shelf = Shelf(wisdoms[0])
    champions = Champions(shelf)
    before = probability(champions)
    shelf.put(wisdoms[1])
    probability(champions)
    shelf.put(wisdoms[0])
    assert probability(champions) == before


def test_nothing_is_loaded_while_nothing_changes(
    wisdoms: list[Artifact], prophet: Artifact
) -> None:
    shelf = Shelf(wisdoms[0], prophet)
    champions = Champions(shelf)
    for _ in range(3):
        champions.answer(asking())
    assert shelf.loads == 2
    shelf.put(wisdoms[1])
    champions.answer(asking())
    assert shelf.loads == 3


def test_a_model_that_no_bot_asks_for_is_never_loaded(
    wisdoms: list[Artifact], prophet: Artifact
) -> None:
    shelf = Shelf(wisdoms[0], prophet)
    champions = Champions(shelf)
    champions.answer(asking(examples.bot(models=("wisdom",))))
    assert champions.versions() == {"wisdom": wisdoms[0].version}
    champions.answer(asking())
    assert set(champions.versions()) == {"wisdom", "prophet-condor"}
    assert shelf.loads == 2


def test_a_retired_champion_stops_answering(wisdoms: list[Artifact]) -> None:
    shelf = Shelf(wisdoms[0])
    champions = Champions(shelf)
    assert probability(champions) is not None
    shelf.drop("wisdom")
    assert probability(champions) is None
    assert champions.versions() == {}


SPOILT: dict[str, Callable[[Artifact], tuple[Artifact, bytes | None, str]]] = {
    "tampered": lambda a: (a, a.to_bytes().replace(b'"base_rate"', b'"base_rata"'), "has hash"),
    "truncated": lambda a: (a, a.to_bytes()[:-100], "has hash"),
    "swapped": lambda a: (a, b"{}", "has hash"),
    "fails its self-test": lambda a: (
        a.model_copy(update={"golden": ((a.golden[0][0], 1 - a.golden[0][1]),)}),
        None,
        "fails its self-test",
    ),
    "untested": lambda a: (a.model_copy(update={"golden": ()}), None, "no golden rows"),
    "no graph": lambda a: (a.model_copy(update={"onnx": b"graph"}), None, "cannot be loaded"),
}


@pytest.mark.parametrize("how", SPOILT)
def test_a_spoilt_champion_leaves_the_last_good_one_in_place(
    wisdoms: list[Artifact], how: str
) -> None:
    shelf = Shelf(wisdoms[0])
    champions = Champions(shelf)
    before = probability(champions)
    spoilt, content, reason = SPOILT[how](wisdoms[1])
    shelf.put(spoilt, content)
    assert probability(champions) == before
    assert champions.versions() == {"wisdom": wisdoms[0].version}
    assert champions.refused["wisdom"].startswith(spoilt.version)
    assert reason in champions.refused["wisdom"]
    loads = shelf.loads
    assert probability(champions) == before
    assert shelf.loads == loads, "a refused artifact is not tried again at every answer"
    shelf.put(wisdoms[2])
    assert probability(champions) != before
    assert champions.refused == {}


@pytest.mark.parametrize("how", SPOILT)
def test_a_spoilt_first_champion_abstains_with_the_reason(
    wisdoms: list[Artifact], how: str
) -> None:
    spoilt, content, reason = SPOILT[how](wisdoms[0])
    shelf = Shelf()
    shelf.put(spoilt, content)
    first, _ = Champions(shelf).answer(asking())
    assert first.probability is None
    assert reason in first.reason


def test_an_artifact_of_another_model_is_refused(wisdoms: list[Artifact]) -> None:
    shelf = Shelf(wisdoms[0])
    line = version(wisdoms[0]).model_copy(update={"model": "prophet-condor"})
    shelf.lines["prophet-condor"] = line
    champions = Champions(shelf)
    _, second = champions.answer(asking())
    assert second.probability is None
    assert "the artifact is wisdom" in champions.refused["prophet-condor"]


def test_features_that_are_computed_differently_today_are_refused() -> None:
    model = wisdom(1)
    trained = model.export(schema_hash="as it was")

    def today(names: tuple[str, ...]) -> str:
        assert names == model.market_features()
        return schema

    schema = "as it was"
    shelf = Shelf(trained)
    champions = Champions(shelf, today)
    before = probability(champions)
    assert before is not None
    schema = "as it is"
    shelf.put(wisdom(2).export(schema_hash="as it was"))
    assert probability(champions) == before
    assert "computed in another way" in champions.refused["wisdom"]


def test_a_busy_store_passes_through_and_is_asked_again(wisdoms: list[Artifact]) -> None:
    class Busy(Shelf):
        busy = True

        def champion(self, model: str) -> Version | None:
            if self.busy:
                raise Transient("the database is locked")
            return super().champion(model)

    shelf = Busy(wisdoms[0])
    champions = Champions(shelf)
    with pytest.raises(Transient):
        champions.answer(asking())
    shelf.busy = False
    assert probability(champions) is not None


def test_needs_are_the_market_features_of_what_answers(
    wisdoms: list[Artifact], prophet: Artifact
) -> None:
    champions = Champions(Shelf(wisdoms[0], prophet))
    assert champions.needs(("wisdom",)) == set(wisdoms[0].features) - {"strike_distance"}
    assert "is_friday" in champions.needs(("wisdom", "prophet-condor"))
    assert champions.needs(("xgb",)) == frozenset()
