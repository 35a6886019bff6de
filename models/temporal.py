"""What the learners of a sequence have in common: how they are trained, and how they are written.

PyTorch is needed to train and to answer natively, never to serve. It is imported where that
happens, and the networks are handed the library: whoever has no PyTorch can read this package,
list it and serve what it made elsewhere.

Stride, learning rate, patience and tempering were chosen out of about ten settings by their skill
on 2016-2018, the years that the members state theirs of: expect less of other years.
"""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from io import BytesIO
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np

from domain.errors import InsufficientData, Unavailable
from domain.values import FloatArray
from models import calibration
from models.base import Target
from models.calibrated import Calibrated
from models.xgb import SURVIVORS

if TYPE_CHECKING:
    import pandas as pd

BARS = 64
"""Of the sequence."""
LEAST = 16
"""Bars of it that must be known: one patch."""
OPSET = 17
INNER = 0.85
"""Share of the training slice that is learned from; the rest says when to stop."""
BATCH = 512
CHUNK = 4096
"""Rows that are answered at once."""
FORECAST = 0.1
"""Weight of the forecast's squared error, in squared deviations, beside the cross-entropy."""
NOTHING = 1e-8
"""Added to a variance: one basis point a day, squared."""
SHARES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
"""Of its slope that a network may be left with. Never none: what is constant has no order."""
ROUND = 1.702
"""Slope at which a logistic curve is closest to the normal distribution."""


class Network(NamedTuple):
    """A network as data: its parts, and the function that they are parts of.

    `forward` takes the parts and float32 of shape (n, bars), oldest bar first. It returns a
    forecast of the next `horizon` returns, shape (n, horizon), in units of `scale`, shape (n, 1):
    the window's own deviation.
    """

    parts: dict[str, Any]
    forward: Callable[[Any, Any], tuple[Any, Any]]


class Temporal(Calibrated):
    """The chance that a stock closes higher five sessions on, from its last 64 returns alone.

    A network forecasts the next five returns in units of the window's own deviation. Their sum
    over the root of five is how many deviations the stock is expected to rise, and a logistic
    curve with a slope and an intercept of its own makes a probability of it: with slope 1.7 and
    intercept 0 that is the chance that a normal variable with this mean is positive.

    What is minimised is the cross-entropy of the label and a tenth of the squared error of the
    forecast. The five returns that came after a row are not handed in; they stand in the row of
    the same stock five sessions later, which `paths` finds. Where it is not there, as for the last
    rows of a slice, only the label teaches.

    Training stops when the cross-entropy of the last 15 % of the training slice, purged like all
    others, does not fall any more. The best epoch is kept, and of its slope as much as those rows
    bear out (temperature scaling [1]_): learning from every fifth session, PatchTST had a skill of
    -0.036 without that and of -0.010 with it (2016-2018, walked forward). The slice that calibrates
    is never looked at. Every session is learned from, although labels of five sessions overlap:
    with every fifth alone, skills were lower by 0.002 (N-HiTS) and 0.01 (PatchTST).

    It is fitted on the first Sunday of a month: a week adds 0.4 % to five years of rows.

    The same data and seed give the same bytes on the same machine and release of PyTorch; another
    processor may add up in another order.

    References
    ----------
    .. [1] C. Guo et al., "On calibration of modern neural networks", ICML 2017.
    """

    features = tuple(f"log_return_lag_{bars}" for bars in range(BARS))
    target = Target("rises", horizon=5, universe="stocks")
    min_samples = 1000
    accepts_nan = False
    extra = "deep"
    limits = (
        "A stock's own returns are all that it sees: neither the market, nor VIX, nor volume. "
        f"{SURVIVORS}"
    )
    retrain = "0 18 1-7 * sun"
    epochs: ClassVar[int] = 12
    patience: ClassVar[int] = 1
    rate: ClassVar[float] = 1e-3
    decay: ClassVar[float] = 1e-2

    @abstractmethod
    def network(self, torch: Any, bars: int) -> Network:
        """Return a fresh network for sequences of so many bars."""

    def learn(
        self, x: FloatArray, y: FloatArray, features: tuple[str, ...], bars: pd.Index
    ) -> bytes:
        torch = library(self.name)
        if len(features) < LEAST:
            raise InsufficientData(
                f"{self.name}: {len(features)} bars of the sequence are known, at least {LEAST} "
                "are needed"
            )
        with alone(torch, self.seed):
            whole = _module(torch, self.network(torch, len(features)), y)
            cut = calibration.cut(bars, self.target.horizon, int(INNER * len(x)))
            self._train(torch, whole, x, y, cut)
            self._network = whole.eval()
            return exported(torch, whole, len(features))

    def _train(
        self, torch: Any, whole: Any, x: FloatArray, y: FloatArray, cut: tuple[int, int]
    ) -> None:
        """Train in place, and leave the parameters of the best epoch."""
        stop, start = cut
        ahead = paths(x[:stop], self.target.horizon)
        known = torch.from_numpy(np.isfinite(ahead))
        rows, label = torch.from_numpy(x), torch.from_numpy(y.astype(np.float32))
        path = torch.from_numpy(np.nan_to_num(ahead))
        entropy = torch.nn.functional.binary_cross_entropy_with_logits
        optimiser = torch.optim.AdamW(whole.parameters(), lr=self.rate, weight_decay=self.decay)
        best, kept, since = np.inf, deepcopy(whole.state_dict()), 0
        for _ in range(self.epochs):
            whole.train()
            for batch in torch.randperm(stop).split(BATCH):
                if len(batch) == 1:  # nothing to normalise a batch by
                    continue
                logit, forecast, scale = whole.told(rows[batch])
                error = (forecast - path[batch] / scale)[known[batch]]
                loss = entropy(logit, label[batch])
                if len(error):
                    loss = loss + FORECAST * error.clamp(-10.0, 10.0).square().mean()
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
            whole.eval()
            with torch.no_grad():
                judged = float(entropy(whole.told(rows[start:])[0], label[start:]))
            since += 1
            if judged < best:
                best, kept, since = judged, deepcopy(whole.state_dict()), 0
            if since == self.patience:
                break
        whole.load_state_dict(kept)
        with torch.no_grad():
            logit, base = whole.told(rows[start:])[0], whole.intercept
            told = [
                float(entropy(base + share * (logit - base), label[start:])) for share in SHARES
            ]
            whole.slope *= SHARES[int(np.argmin(told))]

    def raw(self, x: FloatArray) -> FloatArray:
        self._done()
        torch = library(self.name)
        with alone(torch, self.seed), torch.no_grad():
            parts = torch.from_numpy(np.ascontiguousarray(x, np.float32)).split(CHUNK)
            told = [self._network(part).numpy()[:, 0] for part in parts]
        return np.concatenate(told).astype(np.float64)


def paths(x: FloatArray, horizon: int) -> FloatArray:
    """Return the returns that followed each row, oldest first; NaN where no row knows them.

    The row of the same stock `horizon` sessions later holds the sequence of this one, moved on by
    so many places, behind the returns that came after it. Found among the rows handed in, so
    nothing is learned that was not known when the slice ended. Sixty returns that agree to the
    last bit are those of one stock.

    Parameters
    ----------
    x
        float32, shape (n, L), newest return first.

    Examples
    --------
    >>> import numpy as np
    >>> today, later = [0.3, 0.2, 0.1], [0.5, 0.4, 0.3]
    >>> paths(np.array([today, later], np.float32), horizon=2).round(1).tolist()
    [[0.4000000059604645, 0.5], [nan, nan]]
    """
    found = {row.tobytes(): place for place, row in enumerate(x[:, horizon:])}
    out = np.full((len(x), horizon), np.nan, np.float32)
    for place, row in enumerate(x[:, :-horizon]):
        later = found.get(row.tobytes())
        if later is not None:
            out[place] = x[later, :horizon][::-1]
    return out


def library(model: str) -> Any:
    """Import PyTorch; `Unavailable` where it is not there, or cannot be loaded."""
    try:
        import torch
    except (ImportError, OSError, ValueError) as error:  # the last two: a build without its CUDA
        raise Unavailable(
            f"{model} is unavailable: it needs the extra `deep` (`make deep`): {error}"
        ) from error
    return torch


@contextmanager
def alone(torch: Any, seed: int) -> Iterator[None]:
    """Run on one thread and from one seed, and leave the library as it was found."""
    threads = torch.get_num_threads()
    strict = torch.are_deterministic_algorithms_enabled()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        torch.set_num_threads(1)
        torch.use_deterministic_algorithms(True)
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(strict)
            torch.set_num_threads(threads)


def exported(torch: Any, whole: Any, bars: int) -> bytes:
    """Return the graph from ``x`` (n, bars) to ``y`` (n, 1), the probability.

    The exporter that traces is used although the library calls it old: the new one wants two more
    packages and three seconds, and makes the same graph.
    """
    out, axes = BytesIO(), {0: "n"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(
            whole,
            (torch.zeros(2, bars),),
            out,
            dynamo=False,
            opset_version=OPSET,
            input_names=["x"],
            output_names=["y"],
            dynamic_axes={"x": axes, "y": axes},
        )
    return out.getvalue()


def _module(torch: Any, network: Network, y: FloatArray) -> Any:
    """Return the network with its way to a probability, which starts at the base rate."""
    nn = torch.nn

    class Whole(nn.Module):  # type: ignore[misc, name-defined, unused-ignore]
        def __init__(self) -> None:
            super().__init__()
            self.parts = nn.ModuleDict(network.parts)
            self.slope = nn.Parameter(torch.tensor(ROUND))
            base = float(y.mean())
            self.intercept = nn.Parameter(torch.tensor(np.log(base / (1 - base))).float())

        def told(self, x: Any) -> tuple[Any, Any, Any]:
            """Return logits (n,), the forecast (n, horizon), and its unit (n, 1)."""
            forecast, scale = network.forward(self.parts, x.flip(1))
            rise = forecast.sum(1) / forecast.shape[1] ** 0.5
            return self.slope * rise + self.intercept, forecast, scale

        def forward(self, x: Any) -> Any:
            return torch.sigmoid(self.told(x)[0]).unsqueeze(1)

    return Whole()
