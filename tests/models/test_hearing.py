"""A model that hears others: it is asked with what their champions say, or not at all."""

import numpy as np
import pytest

from domain import examples
from domain.decision import Context
from models import catalog
from models.base import FROM_MODELS, Artifact
from models.onnx import Served
from models.serving import Champions
from tests.models.made import Shelf, samples

BOT = examples.bot(models=("prophet-directional",), distance=None)
BOTH = examples.bot(models=("orion-down", "prophet-directional", "orion-up"), distance=None)


def learned(name: str) -> Artifact:
    model = catalog.create(name)
    return model.fit(*samples(model)).export()


@pytest.fixture(scope="module")
def prophet() -> Artifact:
    return learned("prophet-directional")


@pytest.fixture(scope="module")
def orion() -> list[Artifact]:
    return [learned(name) for name in FROM_MODELS.values()]


def asking(artifacts: list[Artifact], bot=BOT) -> Context:
    known = {f: 0.25 for one in artifacts for f in one.features if f not in FROM_MODELS}
    return examples.context(bot=bot, features=known)


def test_it_is_asked_with_what_the_others_say(prophet: Artifact, orion: list[Artifact]) -> None:
    champions = Champions(Shelf(prophet, *orion))
    context = asking([prophet, *orion])
    [answer] = champions.answer(context)
    said = {
        one.model: champions.answer(context.model_copy(update={"bot": BOTH}))[place].probability
        for place, one in ((2, orion[0]), (0, orion[1]))
    }
    heard = {feature: said[model] for feature, model in FROM_MODELS.items()}
    row = np.array([(context.features | heard)[f] for f in prophet.features], np.float32)
    assert answer.probability == pytest.approx(float(Served(prophet).predict(row[None])[0]))


def test_it_needs_what_the_others_need(prophet: Artifact, orion: list[Artifact]) -> None:
    needed = Champions(Shelf(prophet, *orion)).needs(("prophet-directional",))
    market = {f for one in (prophet, *orion) for f in one.features} - FROM_MODELS.keys()
    assert needed == market


def test_whoever_is_heard_is_asked_once_by_name_and_in_the_order_of_the_bot(
    prophet: Artifact, orion: list[Artifact]
) -> None:
    champions = Champions(Shelf(prophet, *orion))
    answers = champions.answer(asking([prophet, *orion], BOTH))
    assert [p.model for p in answers] == list(BOTH.models)
    assert all(p.probability is not None for p in answers)


def test_where_another_is_silent_it_abstains_and_names_it(
    prophet: Artifact, orion: list[Artifact]
) -> None:
    [answer] = Champions(Shelf(prophet, orion[0])).answer(asking([prophet, orion[0]]))
    assert answer.probability is None
    assert answer.reason == "unknown: orion_down"


def test_trained_without_the_others_it_hears_nobody(orion: list[Artifact]) -> None:
    model = catalog.create("prophet-directional")
    X, y = samples(model)
    alone = model.fit(X.assign(**dict.fromkeys(FROM_MODELS, np.float32(np.nan))), y).export()
    assert alone.absent == tuple(FROM_MODELS)
    champions = Champions(Shelf(alone, *orion))
    [answer] = champions.answer(asking([alone]))
    assert answer.probability is not None
    assert champions.needs(("prophet-directional",)) == set(alone.features)


def test_a_model_without_its_data_says_what_to_import() -> None:
    champions = Champions(Shelf(), unavailable=lambda model: "import a GEX history")
    [answer] = champions.answer(asking([]))
    assert answer.probability is None
    assert answer.reason == "unavailable: import a GEX history"
    [plain] = Champions(Shelf()).answer(asking([]))
    assert "omega train prophet-directional" in plain.reason
