"""What every model in the catalog promises. A new model is tested by its line there."""

import json

import numpy as np
import pandas as pd
import pytest

from domain import examples
from domain.errors import FeatureMismatch, InsufficientData, IntegrityError, ModelError
from learning import trainer
from learning.significance import auc, block, score
from market.features.catalog import CATALOG as FEATURES
from models import catalog, parity
from models.base import FROM_TRADE, Artifact, Model
from models.onnx import Served
from tests.models.made import samples

HERE = [n for n, line in catalog.CATALOG.items() if not trainer.lacking_extra(line.load().extra)]
EVERY = pytest.mark.parametrize("name", HERE)
BARS, LEARNED = 600, 400
"""In all, and those that a model is fitted on; what comes after is new to it: nine blocks of the
longest horizon, enough for an interval."""


def split(model: Model) -> tuple[pd.DataFrame, pd.Series, pd.DataFrame, pd.Series]:
    X, y = samples(model, BARS)
    old = X.index < X.index.unique()[LEARNED]
    return X[old], y[old], X[~old], y[~old]


@pytest.fixture(scope="module")
def fitted() -> dict[str, Model]:
    models = {name: catalog.create(name, seed=3) for name in HERE}
    return {name: model.fit(*split(model)[:2]) for name, model in models.items()}


def test_every_model_of_the_catalog_is_tested() -> None:
    if absent := set(catalog.CATALOG) - set(HERE):
        pytest.skip(f"{', '.join(sorted(absent))}: what they are trained with is not installed")
    assert list(catalog.CATALOG) == HERE


@EVERY
def test_what_a_model_says_of_itself_is_complete(name: str) -> None:
    model = catalog.create(name)
    assert model.name == name
    assert model.title
    assert len(model.retrain.split()) == 5
    assert len(set(model.features)) == len(model.features)
    assert set(model.market_features()) <= FEATURES.keys()
    assert model.market_features()
    assert ("strike_distance" in model.features) == bool(model.target.distances)
    assert model.target.horizon > 0


@EVERY
def test_same_data_and_seed_give_the_same_version(fitted: dict[str, Model], name: str) -> None:
    twin = catalog.create(name, seed=3)
    twin.fit(*split(twin)[:2])
    assert twin.export().version == fitted[name].export().version


@EVERY
def test_one_changed_label_gives_another_version(fitted: dict[str, Model], name: str) -> None:
    twin = catalog.create(name, seed=3)
    X, y, _, _ = split(twin)
    y.iloc[0] = 1 - y.iloc[0]
    assert twin.fit(X, y).export().version != fitted[name].export().version


@EVERY
def test_what_serves_says_what_was_trained(fitted: dict[str, Model], name: str) -> None:
    model = fitted[name]
    assert parity.check(model, model.export(), split(model)[2]) <= 1e-5


@EVERY
def test_served_probabilities_equal_the_models_own(fitted: dict[str, Model], name: str) -> None:
    model = fitted[name]
    X, served = split(model)[2], Served(model.export())
    x = X[list(served.artifact.features)].to_numpy(np.float32)
    np.testing.assert_allclose(served.predict(x), model.predict(X), rtol=0, atol=1e-5)
    alone = [float(served.predict(row[None])[0]) for row in x[:20]]
    np.testing.assert_allclose(alone, served.predict(x[:20]), rtol=0, atol=1e-6)


@EVERY
def test_probabilities_are_probabilities(fitted: dict[str, Model], name: str) -> None:
    X = split(fitted[name])[2]
    wild = pd.concat([X, X * 1e6, X * -1e6])
    p = fitted[name].predict(wild.astype(np.float32))
    assert p.shape == (len(wild),)
    assert ((p > 0) & (p < 1)).all()


@EVERY
def test_mean_probability_is_near_the_base_rate(fitted: dict[str, Model], name: str) -> None:
    _, _, X, y = split(fitted[name])
    error = 3 * np.sqrt(y.mean() * (1 - y.mean()) / len(y))
    assert fitted[name].predict(X).mean() == pytest.approx(y.mean(), abs=error)


@EVERY
def test_a_planted_edge_is_found(fitted: dict[str, Model], name: str) -> None:
    _, _, X, y = split(fitted[name])
    p = fitted[name].predict(X)
    base = fitted[name].export().facts["base_rate"]
    assert np.mean((p - y) ** 2) < np.mean((base - y) ** 2)
    assert p[y == 1].mean() > p[y == 0].mean() + 0.05
    assert auc(p, y.to_numpy(float)) > 0.65


@EVERY
def test_in_shuffled_labels_nothing_is_found(name: str) -> None:
    model = catalog.create(name, seed=3)
    X, y, new, truth = split(model)
    rng = np.random.default_rng(11)
    p = model.fit(X, pd.Series(rng.permutation(y), index=y.index)).predict(new)
    told, base = rng.permutation(truth).astype(float), np.full(len(new), y.mean())
    length = block(model.target.horizon, len(new.index.unique()))
    area = score(p, told, new.index.to_numpy(), {"base": base}, rng, length)["auc"]
    assert area.low is not None
    assert area.high is not None
    error = (area.high - area.low) / (2 * 1.96)
    assert abs(area.value - 0.5) <= 4 * error


@EVERY
def test_base_rate_and_thresholds_are_learned(fitted: dict[str, Model], name: str) -> None:
    model = fitted[name]
    X, y, _, _ = split(model)
    facts = model.export(facts={"gain": 0.1}).facts
    assert facts["base_rate"] == pytest.approx(y.mean())
    assert facts["low"] == pytest.approx(y.mean() - 0.15)
    assert facts["high"] == pytest.approx(y.mean() - 0.05)
    assert (facts["n"], facts["gain"]) == (len(y), 0.1)
    for distance in model.target.distances:
        here = y[np.isclose(X["strike_distance"], distance)]
        assert facts[f"base_rate@{distance:g}"] == pytest.approx(here.mean())
        assert facts[f"n@{distance:g}"] == len(here)


@pytest.mark.parametrize("name", [name for name in HERE if catalog.entry(name).target.distances])
def test_further_away_is_never_less_safe(fitted: dict[str, Model], name: str) -> None:
    X, y, new, _ = split(fitted[name])
    backwards = X.assign(strike_distance=2 - X["strike_distance"])
    for model in (fitted[name], catalog.create(name).fit(backwards, y)):
        curve = [
            model.predict(new.assign(strike_distance=np.float32(d))) for d in (0.7, 0.9, 1.1, 1.3)
        ]
        assert (np.diff(curve, axis=0) >= 0).all()


@EVERY
def test_a_missing_feature_is_named(fitted: dict[str, Model], name: str) -> None:
    model = fitted[name]
    X, y, new, _ = split(model)
    for feature in model.features:
        with pytest.raises(FeatureMismatch, match=feature):
            model.predict(new.drop(columns=feature))
        with pytest.raises(FeatureMismatch, match=feature):
            catalog.create(name).fit(X.drop(columns=feature), y)


@EVERY
def test_an_unknown_number_is_named_and_never_imputed(fitted: dict[str, Model], name: str) -> None:
    model = fitted[name]
    X, y, new, _ = split(model)
    served = Served(model.export())
    for unknown in (np.nan, np.inf):
        for column, feature in enumerate(model.features):
            holed = new[:3].copy()
            holed.iloc[1, column] = unknown
            with pytest.raises(FeatureMismatch, match=f"unknown {feature}$"):
                model.predict(holed)
            with pytest.raises(FeatureMismatch, match=f"unknown {feature}$"):
                served.predict(holed.to_numpy(np.float32))
        X.iloc[5, 0] = unknown
        with pytest.raises(FeatureMismatch, match=f"unknown in some rows: {model.features[0]}$"):
            catalog.create(name).fit(X, y)


@EVERY
def test_a_feature_the_data_does_not_have_is_left_out_and_said(name: str) -> None:
    model = catalog.create(name)
    X, y, new, _ = split(model)
    absent = model.market_features()[-1]
    X[absent] = np.float32(np.nan)
    artifact = model.fit(X, y).export()
    assert artifact.absent == (absent,)
    assert artifact.features == tuple(f for f in model.features if f != absent)
    assert ((p := model.predict(new.drop(columns=absent))) > 0).all()
    assert parity.check(model, artifact, new) <= 1e-5
    assert len(p) == len(new)


@EVERY
def test_one_class_or_too_few_rows_are_not_enough(name: str) -> None:
    model = catalog.create(name)
    X, y, _, _ = split(model)
    for flat in (y * 0, y * 0 + 1):
        with pytest.raises(InsufficientData, match="of the rarer class"):
            model.fit(X, flat)
    few = model.min_samples - 1
    with pytest.raises(InsufficientData, match=f"{few} rows"):
        model.fit(X[:few], y[:few])
    with pytest.raises(ModelError, match="has not been fitted"):
        model.export()


@EVERY
def test_disordered_rows_and_odd_labels_are_refused(name: str) -> None:
    model = catalog.create(name)
    X, y, _, _ = split(model)
    with pytest.raises(ModelError, match="time order"):
        model.fit(X[::-1], y[::-1])
    for odd in (0.5, np.nan):
        with pytest.raises(ModelError, match="0 or 1"):
            model.fit(X, y.astype(float).where(y == 0, odd))
    with pytest.raises(ModelError, match="a label"):
        model.fit(X, y[:-1])


@EVERY
def test_an_unfitted_model_neither_answers_nor_exports(name: str) -> None:
    model = catalog.create(name)
    X = samples(model, bars=5)[0]
    for attempt in (
        lambda: model.predict(X),
        lambda: model.raw(X.to_numpy(np.float32)),
        model.export,
    ):
        with pytest.raises(ModelError, match="has not been fitted"):
            attempt()


@EVERY
def test_an_artifact_survives_the_way_through_bytes(fitted: dict[str, Model], name: str) -> None:
    artifact = fitted[name].export(facts={"gain": 0.1, "loss": 0.6}, schema_hash="0123456789ab")
    content = artifact.to_bytes()
    twin = Artifact.from_bytes(content, artifact.sha256)
    assert twin == artifact
    assert twin.to_bytes() == content
    assert set(twin.features) | set(twin.absent) == set(fitted[name].features)
    assert not set(twin.features) & set(twin.absent)
    assert twin.schema_hash == "0123456789ab"
    Served(twin).self_test()


@EVERY
def test_bytes_that_were_touched_are_refused(fitted: dict[str, Model], name: str) -> None:
    artifact = fitted[name].export()
    content = artifact.to_bytes()
    fields = json.loads(content)
    fields["facts"]["base_rate"] = 0.99
    touched = json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()
    for broken in (content[:-1], content[: len(content) // 2], touched, b"", b"{}", b"\x80\x04"):
        with pytest.raises(IntegrityError, match="train again"):
            Artifact.from_bytes(broken, artifact.sha256)
    for broken in (content[:-1], content[: len(content) // 2], b"", b"{}", b"\x80\x04"):
        with pytest.raises(ModelError, match="no artifact"):
            Artifact.from_bytes(broken)
    assert Artifact.from_bytes(touched).version != artifact.version


@EVERY
def test_a_broken_graph_is_refused(fitted: dict[str, Model], name: str) -> None:
    artifact = fitted[name].export()
    for graph in (artifact.onnx[:-9], artifact.onnx[: len(artifact.onnx) // 2], b"graph"):
        with pytest.raises(ModelError):
            Served(artifact.model_copy(update={"onnx": graph})).self_test()


@EVERY
def test_facts_of_the_trade_come_from_the_bot(name: str) -> None:
    needed = set(catalog.entry(name).features) & FROM_TRADE
    assert needed <= examples.bot().facts().keys()
