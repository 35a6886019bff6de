"""What the gate makes of every learner where the truth is known: an edge that is there, and none.

The whole way of a training is gone: split, purge, embargo, both fits, intervals. The gate calls a
version better than the base rate when the 95 % interval of its skill lies above zero, which of
noise is one in forty.
"""

import numpy as np
import pytest
from scipy.stats import binom

from learning import promotion
from learning.dataset import Dataset
from learning.trainer import HOLDOUT, examine
from learning.walkforward import holdout
from models import catalog
from models.base import Model
from tests.models.made import samples

EVERY = pytest.mark.parametrize("name", catalog.CATALOG)
SEEDS, LEVEL = 40, 0.025
BARS = 1000
"""The hold-out is a fifth: 200, nine blocks of a label of 21 sessions."""
MOST = int(binom.ppf(0.999, SEEDS, LEVEL))
"""Of forty versions that learned noise, as many may pass by chance in all but one case of 1,000."""


def made(model: Model, seed: int, noise: bool) -> Dataset:
    X, labels = samples(model, BARS, seed)
    y = labels.to_numpy(np.float64)
    bars = X.index.unique().to_numpy().astype("datetime64[s]")
    place = np.searchsorted(bars, X.index.to_numpy().astype("datetime64[s]"))
    if noise:  # one coin per bar, as rows of one bar share what happened
        y = (np.random.default_rng(seed).random(len(bars)) < 0.6)[place].astype(np.float64)
    ends = np.minimum(place + model.target.horizon, len(bars) - 1)
    return Dataset(
        X=X,
        y=y,
        r=np.full(len(X), np.nan),
        starts=bars[place],
        ends=bars[ends],
        symbols=np.full(len(X), "SPX"),
    )


def beats(name: str, seed: int, noise: bool) -> bool:
    data = made(catalog.create(name), seed, noise)
    cut = holdout(data.starts, data.ends, HOLDOUT)
    return promotion.beats_base(examine(name, data, cut, seed)["skill"])


@EVERY
def test_an_edge_that_is_there_passes(name: str) -> None:
    assert beats(name, seed=7, noise=False)


@EVERY
def test_noise_passes_no_more_often_than_the_gate_says(name: str) -> None:
    assert sum(beats(name, seed, noise=True) for seed in range(SEEDS)) <= MOST
