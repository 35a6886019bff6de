"""What a card shows is what was judged, on rows that the judged fit had not seen."""

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from domain.book import Costs
from domain.errors import ModelError, Unavailable
from learning import card, trainer
from learning.card import held, influences, latency
from learning.dataset import Dataset, labelled
from learning.standing import About
from learning.trainer import Trained, train
from market.panel import Panel
from models import availability
from models.catalog import CATALOG
from models.prophet import Directional
from models.wisdom import Wisdom
from risk.measures import wilson
from tests.models.made import samples

COSTS = Costs()
ASOF = datetime(2017, 12, 31, 22, tzinfo=UTC)
LATER = datetime(2019, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def trained(packaged: Panel) -> Trained:
    return train("prophet-directional", packaged, ASOF, 7, COSTS)


def test_the_numbers_of_a_card_are_those_of_another_computation(
    trained: Trained, packaged: Panel
) -> None:
    told = held("prophet-directional", trained.version, packaged, 7, COSTS)

    data = labelled(packaged, Directional.target, Directional.features, ASOF, COSTS)
    first = sorted(set(data.starts))[int(len(set(data.starts)) * 0.8)]
    test = data.starts >= first
    begin = list(np.unique(data.starts)).index(first)
    known = data.ends <= np.unique(data.starts)[begin - 5]
    model = Directional(seed=7).fit(data.X[known], pd.Series(data.y[known], data.X[known].index))
    p, y = model.predict(data.X[test]), data.y[test]
    assert np.mean((p - y) ** 2) == pytest.approx(trained.version.measures["brier"].value, abs=1e-6)

    assert (told.rows, told.sessions) == (test.sum(), len(np.unique(data.starts[test])))
    assert told.base_rate == pytest.approx(y.mean())
    assert told.since == trainer.moment(data.starts[test][0])
    assert told.until == trainer.moment(data.ends[test][-1])
    frame = pd.DataFrame({"p": p, "y": y, "start": data.starts[test]})
    assert sum(one.n for one in told.bins) == len(frame)
    assert sum(one.hits for one in told.bins) == y.sum()
    below = 0
    for one in told.bins:
        own = frame.sort_values("p").iloc[below : below + one.n]
        below += one.n
        assert one.predicted == pytest.approx(own["p"].mean())
        assert one.hits == own["y"].sum()
        assert one.sessions == own["start"].nunique()
        n = max(1, round(one.sessions / 5))
        assert (one.low, one.high) == wilson(round(one.happened * n), n)


def test_the_same_data_and_seed_give_the_same_card(trained: Trained, packaged: Panel) -> None:
    fresh = replace(packaged, memo={})
    one, two = (
        held("prophet-directional", trained.version, p, 7, COSTS) for p in (packaged, fresh)
    )
    assert one == two


def test_what_came_after_a_training_does_not_reach_its_card(
    trained: Trained, packaged: Panel
) -> None:
    after = packaged.times > np.datetime64("2017-12-31")
    close = np.where(after[:, None], 1.0, packaged.close)
    other = replace(packaged, close=close, memo={})
    name, version = "prophet-directional", trained.version
    assert held(name, version, other, 7, COSTS) == held(name, version, packaged, 7, COSTS)


def test_a_card_of_other_data_or_of_another_fit_is_refused(
    trained: Trained, packaged: Panel
) -> None:
    changed = replace(packaged, close=packaged.close * 1.001, memo={})
    with pytest.raises(ModelError, match="learned from data"):
        held("prophet-directional", trained.version, changed, 7, COSTS)
    with pytest.raises(ModelError, match="was judged with a Brier of"):
        held("prophet-directional", trained.version, packaged, 8, COSTS)


def planted() -> tuple[Wisdom, Dataset]:
    """Return a fitted WISDOM and rows that are new to it: VIX and the distance tell, nothing else.

    Features are independent of each other, so that none stands in for another.
    """
    X, y = samples(Wisdom(), bars=1500)
    model, new = Wisdom(seed=7), X.index >= X.index.unique()[1000]
    model.fit(X[~new], y[~new])
    bars = X.index[new].to_numpy("datetime64[s]")
    unknown, label = np.full(len(bars), np.nan), y[new].to_numpy(float)
    return model, Dataset(X[new], label, unknown, bars, bars, np.full(len(bars), "SPX"))


def test_importance_finds_the_planted_feature_and_nothing_in_noise() -> None:
    model, rows = planted()
    first, second, *noise = influences(model, rows, np.random.default_rng(3))
    assert (first.features, second.features) == (("vix",), ("strike_distance",))
    for one, least in ((first, 0.02), (second, 0.001)):
        assert one.rise.low is not None
        assert one.rise.low > least
        assert one.rise.n == len(rows) == 1500
    assert len(noise) == len(Wisdom.features) - 2
    assert max(abs(one.rise.value) for one in noise) < 0.001


def test_a_feature_that_never_changes_is_worth_exactly_nothing() -> None:
    _, rows = planted()
    rows = replace(rows, X=rows.X.assign(vix=np.float32(1.0)))
    blind = Wisdom(seed=7).fit(rows.X, rows.label)
    found = influences(blind, rows, np.random.default_rng(3), repeats=3)
    by = {one.features[0]: (one.rise.value, one.rise.low, one.rise.high) for one in found}
    assert by["vix"] == (0.0, 0.0, 0.0)


def test_a_session_takes_the_rows_of_one_other_session(packaged: Panel) -> None:
    for name in ("xgb", "wisdom"):
        entry = CATALOG[name]
        data = labelled(packaged, entry.target, entry.features, ASOF, COSTS).take(slice(0, 3000))
        rng = np.random.default_rng(1)
        source = card._between(data, 10, rng)
        assert sorted(source) == list(range(len(data)))
        assert (data.symbols[source] == data.symbols).all()
        sessions = {(a, b) for a, b in zip(data.starts, data.starts[source], strict=True)}
        whole = len(np.unique(data.starts))
        # symbols that miss a session shift a little; all others of a day move together
        assert len(sessions) < 1.1 * whole
        within = card._within(data, 10, rng)
        assert sorted(within) == list(range(len(data)))
        assert (data.starts[within] == data.starts).all()
        assert (within != np.arange(len(data))).any()


def test_how_long_a_row_takes_is_measured(trained: Trained) -> None:
    told = latency(trained.artifact, times=200)
    assert told.n == 200
    assert 0 < told.p50 <= told.p99
    with pytest.raises(ModelError, match="no golden rows"):
        latency(trained.artifact.model_copy(update={"golden": ()}))


def test_every_learner_says_what_it_is_for() -> None:
    for name in CATALOG:
        told = About.of(name)
        assert told.purpose.splitlines()[0].endswith((".", ":", ","))
        assert told.predicts == CATALOG[name].target.words
        assert told.features == CATALOG[name].features


def test_a_model_whose_extra_is_not_installed_is_unavailable(
    packaged: Panel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Wisdom, "extra", "deep")
    monkeypatch.setitem(availability.LIBRARIES, "deep", "no_such_library")
    why = "it needs the extra `deep` (`make deep`)"
    assert availability.unavailable("wisdom", packaged, ASOF) == why
    with pytest.raises(Unavailable, match="it needs the extra"):
        train("wisdom", packaged, ASOF, 7, COSTS)
    monkeypatch.setitem(availability.LIBRARIES, "deep", "numpy")
    assert availability.unavailable("wisdom", packaged, ASOF) == ""
