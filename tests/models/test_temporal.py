"""The learners of a sequence: what they are taught, and what is left when PyTorch is not there."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from domain.errors import InsufficientData, ModelError, Unavailable
from domain.values import FloatArray
from models import availability, catalog
from models.nhits import Nhits, interpolation
from models.onnx import Served
from models.patchtst import PatchTst
from models.temporal import BARS, Temporal, alone, exported, library, paths
from tests.models.made import samples

DEEP = [name for name, line in catalog.CATALOG.items() if line.load().extra == "deep"]
EVERY = pytest.mark.parametrize("name", DEEP)
HERE = pytest.mark.skipif(
    availability.lacking_extra("deep"), reason="it needs the extra `deep` (`make deep`)"
)


def walk(bars: int, seed: int = 3) -> FloatArray:
    return np.random.default_rng(seed).normal(size=bars).astype(np.float32)


def windows(daily: FloatArray, length: int) -> FloatArray:
    """Return the last `length` returns at every bar that has them, newest first."""
    return np.array([daily[t - length + 1 : t + 1][::-1] for t in range(length - 1, len(daily))])


# what is taught


def test_the_path_after_a_row_is_read_in_the_row_of_the_same_stock_later() -> None:
    one, other = walk(30, 1), walk(30, 2)
    x = np.stack([windows(one, 12), windows(other, 12)], axis=1).reshape(-1, 12)
    found = paths(x, 5)
    for bar in range(19):
        for stock, daily in enumerate((one, other)):
            told, t = found[2 * bar + stock], bar + 11
            if t + 5 < 30:
                np.testing.assert_array_equal(told, daily[t + 1 : t + 6])
            else:
                assert np.isnan(told).all()


def test_a_path_is_never_made_of_rows_that_were_not_handed_in() -> None:
    x = windows(walk(40), 12)
    whole, cut = paths(x, 5), paths(x[:20], 5)
    assert np.isnan(cut[-5:]).all()
    np.testing.assert_array_equal(cut[:-5], whole[:15])


def test_the_forecast_of_the_next_returns_is_learned_where_rows_know_them() -> None:
    """A label that is noise, and rows whose sign alternates every five bars: the path tells."""
    torch = pytest.importorskip("torch")
    daily = np.sign(np.sin(np.arange(1400) * np.pi / 5 + 0.1)) * 0.01
    x = windows((daily + 0.002 * walk(1400)).astype(np.float32), BARS)
    known = paths(x, 5)
    y = (np.random.default_rng(5).random(len(x)) < 0.5).astype(int)
    index = pd.bdate_range("2000-01-03", periods=len(x))
    frame = pd.DataFrame(x, columns=list(Nhits.features), index=index)
    model = Nhits(seed=1).fit(frame, pd.Series(y, index=index))
    with torch.no_grad():
        forecast = model._network.told(torch.from_numpy(x))[1].numpy()
    some = np.isfinite(known).all(axis=1)
    agreed = np.corrcoef(forecast[some].ravel(), known[some].ravel())[0, 1]
    assert agreed > 0.5


def test_max_pooling_and_interpolation_are_what_the_paper_says() -> None:
    torch = pytest.importorskip("torch")
    parts = Nhits().network(torch, BARS).parts
    row = torch.arange(64.0).reshape(1, 1, 64)
    assert [parts[f"pool{k}"](row).shape[-1] for k in (4, 2, 1)] == [16, 32, 64]
    assert parts["pool4"](row)[0, 0].tolist() == list(range(3, 64, 4))
    assert [parts[f"block{k}"][-1].out_features for k in (4, 2, 1)] == [16 + 1, 32 + 3, 64 + 5]
    np.testing.assert_allclose(
        np.array([1.0, 3.0, 2.0]) @ interpolation(3, 5), [1.0, 2.0, 3.0, 2.5, 2.0]
    )
    np.testing.assert_array_equal(interpolation(5, 5), np.eye(5))


@HERE
@EVERY
def test_a_probability_does_not_depend_on_the_unit_of_the_returns(name: str) -> None:
    """Returns a hundred times as large, as of another stock, are the same shape."""
    X, y = samples(catalog.create(name), bars=200)
    model = catalog.create(name, seed=3).fit(X, y)
    np.testing.assert_allclose(model.predict(X * 0.01), model.predict(X), rtol=0, atol=2e-3)


@HERE
@EVERY
def test_a_sequence_without_movement_has_an_answer(name: str) -> None:
    X, y = samples(catalog.create(name), bars=200)
    served = Served(catalog.create(name, seed=3).fit(X, y).export())
    flat = served.predict(np.zeros((2, BARS), np.float32))
    assert 0 < flat[0] == flat[1] < 1


@HERE
def test_the_newest_bars_are_read_whatever_does_not_fill_a_patch() -> None:
    X, y = samples(PatchTst(), bars=200)
    short = X.assign(**{f"log_return_lag_{n}": np.float32(np.nan) for n in range(60, 64)})
    model = PatchTst(seed=3).fit(short, y)
    moved = X.iloc[:50, :60].copy()
    moved["log_return_lag_0"] += 3
    assert (model.predict(moved) != model.predict(X.iloc[:50, :60])).any()
    few = X.assign(**{f"log_return_lag_{n}": np.float32(np.nan) for n in range(15, 64)})
    with pytest.raises(InsufficientData, match="15 bars of the sequence are known, at least 16"):
        PatchTst(seed=3).fit(few, y)


# the same again


@HERE
def test_another_process_makes_the_same_bytes() -> None:
    code = (
        "from models import catalog; from tests.models.made import samples\n"
        "for name in ('nhits', 'patchtst'):\n"
        "    model = catalog.create(name, seed=3)\n"
        "    print(model.fit(*samples(model, bars=150)).export().sha256)"
    )
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True
    )
    made = [catalog.create(name, seed=3) for name in DEEP]
    here = [model.fit(*samples(model, bars=150)).export().sha256 for model in made]
    assert ran.stdout.split() == here


@HERE
@EVERY
def test_training_leaves_the_library_as_it_was_found(name: str) -> None:
    torch = library(name)
    threads = torch.get_num_threads()
    torch.manual_seed(5)
    drawn = torch.rand(3)
    torch.manual_seed(5)
    model = catalog.create(name, seed=3)
    model.fit(*samples(model, bars=150))
    assert torch.equal(torch.rand(3), drawn)
    assert (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()) == (
        threads,
        False,
    )


@HERE
def test_a_seed_is_not_the_next_one() -> None:
    X, y = samples(Nhits(), bars=150)
    assert Nhits(seed=3).fit(X, y).export().onnx != Nhits(seed=4).fit(X, y).export().onnx


@HERE
@EVERY
def test_the_graph_is_whole_says_nothing_of_this_machine_and_takes_any_number_of_rows(
    name: str,
) -> None:
    torch = library(name)
    with alone(torch, 3):
        from models import temporal

        network = catalog.create(name).network(torch, BARS)  # type: ignore[attr-defined]
        whole = temporal._module(torch, network, np.array([0.0, 1.0])).eval()
        graph = exported(torch, whole, BARS)
    assert b".py" not in graph
    assert b"location" not in graph
    from models.onnx import scores, session

    opened, x = session(graph), np.stack([walk(BARS, seed) for seed in range(700)])
    alike = np.concatenate([scores(opened, x[:1]), scores(opened, x[1:5]), scores(opened, x[5:])])
    np.testing.assert_allclose(scores(opened, x), alike, rtol=0, atol=1e-6)


# without PyTorch


@pytest.fixture
def nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take PyTorch away from this process."""
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setitem(availability.LIBRARIES, "deep", "torch_that_is_not_there")


@EVERY
@pytest.mark.usefixtures("nothing")
def test_without_pytorch_training_says_what_to_install(name: str) -> None:
    model = catalog.create(name)
    with pytest.raises(Unavailable, match=rf"{name} is unavailable: it needs the extra `deep`"):
        model.fit(*samples(model))
    with pytest.raises(ModelError, match="has not been fitted"):
        model.export()


@EVERY
def test_what_serves_needs_no_pytorch(name: str) -> None:
    if availability.lacking_extra("deep"):
        pytest.skip("there is nothing to serve: it needs the extra `deep` (`make deep`)")
    model = catalog.create(name, seed=3)
    content = model.fit(*samples(model, bars=150)).export().to_bytes()
    code = (
        "import sys; from models.base import Artifact; from models.onnx import Served\n"
        "served = Served(Artifact.from_bytes(sys.stdin.buffer.read())); served.self_test()\n"
        "print({'torch', 'pandas', 'sklearn'} & set(sys.modules))"
    )
    ran = subprocess.run([sys.executable, "-c", code], input=content, capture_output=True)
    assert (ran.returncode, ran.stdout.decode().strip()) == (0, "set()")


def test_a_catalog_with_deep_members_is_read_without_pytorch() -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from models import catalog\n"
        "print([catalog.create(name).title for name in ('nhits', 'patchtst')])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "['N-HiTS', 'PatchTST']"


def test_both_are_one_question_to_the_same_sequence() -> None:
    for name in DEEP:
        cls = catalog.entry(name).load()
        assert issubclass(cls, Temporal)
        assert cls.features == tuple(f"log_return_lag_{n}" for n in range(64))
        assert cls.target == catalog.entry("xgb").target
