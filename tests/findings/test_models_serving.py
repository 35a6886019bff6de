"""Defects in how the seed systems answered, voted and reloaded, and the rules in their place."""

import json

import numpy as np
import pytest

from domain import examples
from domain.decision import Prediction, Reason
from domain.errors import ModelError
from domain.examples import prediction
from domain.values import Action
from models import catalog
from models.base import Artifact
from models.ensemble import vote
from models.onnx import Served
from models.serving import Champions
from tests.models.made import Shelf, samples


@pytest.fixture(scope="module")
def wisdom() -> Artifact:
    model = catalog.create("wisdom")
    return model.fit(*samples(model, bars=200)).export()


def ask(champions: Champions, features: dict[str, float]) -> Prediction:
    bot = examples.bot(models=("wisdom",))
    [answer] = champions.answer(examples.context(bot=bot, features=features))
    return answer


def whole(artifact: Artifact, value: float = 0.0) -> dict[str, float]:
    return {name: value for name in artifact.features if name != "strike_distance"}


def test_untrained_is_no_probability_of_one_half() -> None:
    """Systems 2, 38 row 1: an untrained or failing model answered 0.5 or a built-in rate."""
    answer = ask(Champions(Shelf()), {})
    assert answer.probability is None
    assert answer.reason
    assert answer.facts == {}


def test_a_missing_feature_is_not_zero(wisdom: Artifact) -> None:
    """Systems 2, 20: what was missing counted as 0, and nobody was told."""
    champions = Champions(Shelf(wisdom))
    assert ask(champions, whole(wisdom)).probability is not None
    for feature in whole(wisdom):
        less = {name: value for name, value in whole(wisdom).items() if name != feature}
        answer = ask(champions, less)
        assert (answer.probability, answer.reason) == (None, f"unknown: {feature}")


def test_a_row_is_neither_padded_nor_cut(wisdom: Artifact) -> None:
    """Systems 20, 30: vectors were padded with zeros, or cut, to the length of the scaler."""
    served, width = Served(wisdom), len(wisdom.features)
    for columns in (width - 1, width + 1):
        with pytest.raises(ModelError, match="cannot answer"):
            served.predict(np.zeros((1, columns), np.float32))
    with pytest.raises(ModelError, match="takes"):
        Served(wisdom.model_copy(update={"features": wisdom.features[:-1], "golden": ()}))


def test_weights_of_absent_members_are_shared_out() -> None:
    """Systems 20: weights of excluded members were dropped and the sum was then too small."""
    ballot = vote([prediction(0.6, "xgb"), prediction(0.6, "lgbm")], gate=0.55)
    assert sum(ballot.weights.values()) == 1.0
    assert (ballot.action, ballot.probability) == (Action.BUY, 0.6)
    assert set(ballot.absent) == {"nhits", "patchtst"}


def test_agreement_does_not_raise_the_probability() -> None:
    """Systems 20: confidence times 1.2 when four agreed, and later a floor of 0.72."""
    members = ("xgb", "lgbm", "nhits", "patchtst")
    ballot = vote([prediction(0.58, name) for name in members], gate=0.55)
    assert ballot.probability == pytest.approx(0.58)


def test_two_that_agree_do_not_overrule_two_that_hold() -> None:
    """Systems 20: any two agreeing members overrode a majority for HOLD."""
    said = {"xgb": 0.7, "lgbm": 0.5, "nhits": 0.7, "patchtst": 0.5}
    ballot = vote([prediction(p, name) for name, p in said.items()], gate=0.55)
    assert (ballot.action, ballot.code) == (Action.HOLD, Reason.NO_CONSENSUS)


def test_one_voice_is_no_ensemble() -> None:
    """Systems 20: a single member decided alone at 0.6 of its confidence."""
    ballot = vote([prediction(0.95, "nhits")], gate=0.55)
    assert (ballot.action, ballot.probability) == (Action.HOLD, None)


def test_a_candidate_is_tested_itself_before_it_answers(wisdom: Artifact) -> None:
    """Systems 29: the smoke test asked the whole ensemble, the old version included."""
    shelf = Shelf(wisdom)
    champions = Champions(shelf)
    before = ask(champions, whole(wisdom))
    row, expected = wisdom.golden[0]
    shelf.put(wisdom.model_copy(update={"golden": ((row, 1 - expected),)}))
    assert ask(champions, whole(wisdom)) == before
    assert "self-test" in champions.refused["wisdom"]


def test_what_was_replaced_does_not_answer_any_more(wisdom: Artifact) -> None:
    """Systems 29: the old session was looked up under another name and never unloaded."""
    shelf = Shelf(wisdom)
    champions = Champions(shelf)
    ask(champions, whole(wisdom))
    other = catalog.create("wisdom", seed=9)
    newer = other.fit(*samples(other, bars=200, seed=9)).export()
    shelf.put(newer)
    assert ask(champions, whole(wisdom)).version == newer.version
    assert champions.versions() == {"wisdom": newer.version}


def test_a_file_that_is_not_what_was_promoted_never_answers(wisdom: Artifact) -> None:
    """Systems 22, 29: no hash was kept, and the registered artifact could be an empty file."""
    for content in (b"", wisdom.to_bytes()[:-1]):
        shelf = Shelf()
        shelf.put(wisdom, content)
        answer = ask(Champions(shelf), whole(wisdom))
        assert answer.probability is None
        assert "has hash" in answer.reason


def test_an_artifact_is_data_and_never_code(wisdom: Artifact) -> None:
    """Systems 3: models were pickles, and loading one ran whatever it contained."""
    assert set(json.loads(wisdom.to_bytes())) == set(Artifact.model_fields)
    with pytest.raises(ModelError, match="no artifact"):
        Artifact.from_bytes(b"cos\nsystem\n(S'true'\ntR.")
