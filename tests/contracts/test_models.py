"""What every model in the catalog promises. A new model is tested by its line there."""

import json
from hashlib import sha256
from itertools import pairwise

import lightgbm as lgb
import numpy as np
import onnx
import pandas as pd
import pytest
import xgboost as xgb

from domain import examples
from domain.errors import FeatureMismatch, InsufficientData, IntegrityError, ModelError
from domain.values import canonical
from learning.significance import auc, block, score
from market.features.catalog import CATALOG as FEATURES
from models import availability, catalog, parity
from models.base import FROM_TRADE, Artifact, Model
from models.boosting import XGBoosted
from models.explain import group
from models.forest import Forest
from models.lgbm import Lgbm
from models.onnx import Served
from models.serving import Champions
from tests.models.made import Shelf, asked_alone, context, samples, version

HERE = [
    n for n, line in catalog.CATALOG.items() if not availability.lacking_extra(line.load().extra)
]
EVERY = pytest.mark.parametrize("name", HERE)
BARS, LEARNED = 500, 400
"""In all, and those that a model is fitted on; what comes after is new to it."""
MORE = 600
"""In all, for an interval: nine blocks of the longest horizon are new."""


def split(
    model: Model, bars: int = BARS
) -> tuple[pd.DataFrame, pd.Series, pd.DataFrame, pd.Series]:
    X, y = samples(model, bars)
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
    assert auc(p, y.to_numpy(float)) > 0.6


@EVERY
def test_in_shuffled_labels_nothing_is_found(name: str) -> None:
    model = catalog.create(name, seed=3)
    X, y, new, truth = split(model, MORE)
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


def rows(model: Model) -> np.ndarray:
    """Return new rows, one in twenty of their numbers unknown, in the columns of the artifact."""
    x = split(model)[2][list(model.export().features)].to_numpy(np.float32)[:200]
    return np.where(np.random.default_rng(5).random(x.shape) < 0.05, np.float32(np.nan), x)


@EVERY
def test_what_its_features_add_is_what_the_training_library_says(
    fitted: dict[str, Model], name: str
) -> None:
    """The libraries that say so are XGBoost and LightGBM; for all, it adds up to the answer."""
    model, x = fitted[name], rows(fitted[name])
    served = Served(model.export())
    if served.shapley is None:
        pytest.skip("its graph is no forest; what it adds is measured by asking")
    told = served.shapley.every(x)
    if isinstance(model, XGBoosted):
        said = np.asarray(model._booster.predict(xgb.DMatrix(x), pred_contribs=True), float)
    elif isinstance(model, Lgbm):
        said = np.asarray(model._booster.predict(x, pred_contrib=True, num_threads=1))
        assert isinstance(model._booster, lgb.Booster)
    else:
        said = np.column_stack([told, np.full(len(x), served.shapley.base)])
    np.testing.assert_allclose(told, said[:, :-1], rtol=0, atol=1e-5)
    np.testing.assert_allclose(served.shapley.base, said[:, -1], rtol=0, atol=1e-5)
    odds = served.shapley.base + told.sum(axis=1)
    np.testing.assert_allclose(1 / (1 + np.exp(-odds)), model.raw(x), rtol=0, atol=1e-6)


@EVERY
def test_an_answer_carries_what_its_features_added(fitted: dict[str, Model], name: str) -> None:
    model = fitted[name]
    served = Served(model.export())
    ask = asked_alone(served)
    x = split(model)[2][list(served.artifact.features)].to_numpy(np.float32)[:50]
    for row in x:
        answer = ask(row)
        if answer.probability is None:
            continue
        why = answer.why
        assert why is not None
        assert all(part == round(part, 6) != 0 for part in why.parts.values())
        if why.kind == "shap":
            odds = why.base + sum(why.parts.values()) + why.rest
            raw = float(served.raw(row[None])[0])
            assert 1 / (1 + np.exp(-odds)) == pytest.approx(raw, abs=2e-5)
        else:
            background = np.array(served.artifact.background, np.float32)
            assert why.base == pytest.approx(float(served.predict(background[None])[0]), abs=1e-6)
            assert why.parts.keys() <= {group(name) for name in served.artifact.features}
    first = group(next(iter(served.artifact.features)))
    assert ask(x[0]).why == ask(x[0]).why
    assert any(first in (a.why.parts if a.why else {}) for a in (ask(row) for row in x))


@EVERY
def test_every_probability_lies_in_its_interval(fitted: dict[str, Model], name: str) -> None:
    model = fitted[name]
    served = Served(model.export())
    ask = asked_alone(served)
    x = split(model)[2][list(served.artifact.features)].to_numpy(np.float32)
    answers = [ask(row) for row in x[:200]]
    known = [a for a in answers if a.probability is not None]
    assert len(known) > 0.95 * len(answers)
    for answer in known:
        assert answer.low is not None
        assert answer.high is not None
        assert 0 <= answer.low <= answer.probability <= answer.high <= 1
        assert 0 < answer.high - answer.low < 0.6
    for low, high in pairwise(sorted(known, key=lambda a: float(a.probability or 0))):
        assert float(low.probability or 0) <= float(high.probability or 0)


@EVERY
def test_what_is_like_nothing_it_learned_from_gets_no_probability(
    fitted: dict[str, Model], name: str
) -> None:
    artifact = fitted[name].export()
    champions = Champions(Shelf(artifact))
    usual, odd = artifact.golden[0][0], list(artifact.golden[0][0])
    column = artifact.novelty.columns[0]
    odd[column] = 40.0
    [known] = champions.answer(context(artifact, usual))
    [new] = champions.answer(context(artifact, odd))
    assert known.probability is not None
    assert known.facts["novelty"] <= known.facts["novelty_limit"]
    assert (new.probability, new.low, new.high, new.why) == (None, None, None, None)
    assert new.reason.startswith(f"out of distribution: {artifact.features[column]} 40 is ")
    assert new.facts == {
        "novelty": new.facts["novelty"],
        "novelty_limit": artifact.novelty.limit,
    }
    assert new.facts["novelty"] > artifact.novelty.limit
    assert new.novel
    assert not known.novel


@EVERY
def test_of_what_it_did_not_learn_from_hardly_anything_is_unheard_of(
    fitted: dict[str, Model], name: str
) -> None:
    model = fitted[name]
    served = Served(model.export())
    ask = asked_alone(served)
    x = split(model)[2][list(served.artifact.features)].to_numpy(np.float32)[:800]
    silent = sum(ask(row).probability is None for row in x)
    assert silent <= 0.02 * len(x)


def broken(artifact: Artifact, other: Artifact) -> dict[str, bytes]:
    """Return what may lie where an artifact should, by what happened to it."""
    content, rng = artifact.to_bytes(), np.random.default_rng(7)
    fields = json.loads(content)
    found = {
        "truncated by a byte": content[:-1],
        "half of it": content[: len(content) // 2],
        "empty": b"",
        "another model's": other.to_bytes(),
        "a pickle": b"cos\nsystem\n(S'true'\ntR.",
        "a byte more": content + b"\n",
    }
    for name in fields:
        start = content.index(f'"{name}":'.encode())
        spot = start + len(name) + 3
        flipped = bytearray(content)
        flipped[spot] ^= 1 << int(rng.integers(8))
        found[f"a bit flipped in {name}"] = bytes(flipped)
    for place in rng.integers(len(content), size=8).tolist():
        flipped = bytearray(content)
        flipped[place] ^= 1 << int(rng.integers(8))
        found[f"bit flipped at {place}"] = bytes(flipped)
    return found


@EVERY
def test_whatever_is_not_what_was_stored_is_refused_unread_and_the_last_good_one_serves(
    fitted: dict[str, Model], name: str
) -> None:
    good = fitted[name].export()
    asked = context(good, good.golden[0][0])
    other = fitted["wisdom" if name != "wisdom" else "xgb"].export()
    newer = fitted[name].export(facts={"gain": 0.25})
    for what, content in broken(newer, other).items():
        shelf = Shelf(good)
        champions = Champions(shelf)
        before = champions.answer(asked)
        shelf.put(newer, content)
        assert champions.answer(asked) == before, what
        assert champions.versions() == {name: good.version}
        assert "has hash" in champions.refused[name], what


def honest_hash(artifact: Artifact, **fields: object) -> tuple[Artifact, bytes]:
    """Return an artifact as somebody would store it who can make hashes, too."""
    return (changed := artifact.model_copy(update=fields)), changed.to_bytes()


@EVERY
def test_what_has_the_right_hash_and_cannot_serve_is_refused_and_the_last_good_one_serves(
    fitted: dict[str, Model], name: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    good = fitted[name].export()
    asked = context(good, good.golden[0][0])
    x, y = good.knots
    path = tmp_path_factory.mktemp(name) / "model.onnx"
    graph = onnx.load_from_string(good.onnx)
    inside = graph.graph.initializer.add()
    inside.CopyFrom(onnx.numpy_helper.from_array(np.ones(2000, np.float32), "spare"))
    onnx.save_model(graph, path, save_as_external_data=True, location="w.bin", size_threshold=0)
    spoilt: dict[str, tuple[dict[str, object], str]] = {
        "external data": ({"onnx": path.read_bytes()}, "outside of itself"),
        "half a graph": ({"onnx": good.onnx[: len(good.onnx) // 2]}, "cannot be loaded"),
        "falling knots": ({"knots": (x, tuple(reversed(y)))}, "no artifact"),
        "knots beyond 1": ({"knots": (x, (*y[:-1], 1.5))}, "no artifact"),
        "knots of other numbers": (
            {"knots": (x, tuple(v / 2 for v in y)), "low": (), "high": ()},
            "self-test",
        ),
        "an interval elsewhere": ({"low": tuple(min(1.0, v + 0.01) for v in y)}, "no artifact"),
        "half an interval": ({"low": ()}, "no artifact"),
        "no limit": ({"novelty": good.novelty.model_copy(update={"limit": -1.0})}, "no artifact"),
        "other columns": ({"features": good.features[:-1]}, "no artifact"),
        "other answers": ({"golden": tuple((row, 1 - p) for row, p in good.golden)}, "self-test"),
    }
    if good.forest:
        spoilt["other trees"] = ({"forest": altered(good.forest)}, "not those of its graph")
        spoilt["half a forest"] = ({"forest": good.forest[:-7]}, "no forest")
    for what, (fields, why) in spoilt.items():
        shelf = Shelf(good)
        champions = Champions(shelf)
        before = champions.answer(asked)
        artifact, content = honest_hash(good, **fields)
        shelf.put(artifact, content)
        assert champions.answer(asked) == before, what
        assert why in champions.refused[name], what
        assert champions.versions() == {name: good.version}


def altered(content: bytes) -> bytes:
    """Return a packed forest with one leaf worth half a unit of log-odds more."""
    trees = Forest.unpack(content)
    first = trees.trees[0]
    value = first.value + np.where(first.left < 0, 0.5, 0.0)
    return trees._replace(trees=(first._replace(value=value), *trees.trees[1:])).pack()


@EVERY
def test_an_artifact_of_an_older_omega_is_refused_and_says_train_again(
    fitted: dict[str, Model], name: str
) -> None:
    good = fitted[name].export()
    fields = json.loads(good.to_bytes())
    for new in ("novelty", "low", "high", "forest", "background"):
        del fields[new]
    old = json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    digest = sha256(old).hexdigest()
    shelf = Shelf(good)
    champions = Champions(shelf)
    asked = context(good, good.golden[0][0])
    before = champions.answer(asked)
    line = version(good).model_copy(update={"version": digest[:12], "sha256": digest})
    shelf.lines[name], shelf.content[digest[:12]] = line, old
    shelf.moved += 1
    assert champions.answer(asked) == before
    assert "train again" in champions.refused[name]
    for lacking in ("novelty", "low", "forest"):
        less = json.loads(good.to_bytes())
        del less[lacking]
        with pytest.raises(ModelError, match="train again"):
            Artifact.from_bytes(canonical(less).encode())


@EVERY
def test_facts_of_the_trade_come_from_the_bot(name: str) -> None:
    needed = set(catalog.entry(name).features) & FROM_TRADE
    assert needed <= examples.bot().facts().keys()
