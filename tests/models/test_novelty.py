"""A model keeps silent about what is like nothing it learned from, and says what is odd."""

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError

from models import novelty
from models.novelty import Cloud, Clouds, Novelty, learn

BARS = pd.RangeIndex(1500)
NAMES = ("vix", "change", "friday", "weekday")


def rows(seed: int = 7, n: int = len(BARS)) -> NDArray[np.float32]:
    """Return two numbers that move together, a flag, and a weekday."""
    rng = np.random.default_rng(seed)
    vix = 15 + 3 * rng.normal(size=n)
    change = 0.9 * (vix - 15) / 3 + np.sqrt(1 - 0.81) * rng.normal(size=n)
    friday, weekday = np.arange(n) % 5 == 4, np.arange(n) % 5 / 5
    return np.column_stack([vix, change, friday, weekday]).astype(np.float32)


@pytest.fixture(scope="module")
def cloud() -> Cloud:
    return Cloud(learn(rows(), BARS), NAMES)


def distance(cloud: Cloud, one: NDArray[np.float32]) -> float:
    [far] = Clouds([(cloud, 0)]).distances(one)
    return far


def row(
    vix: float, change: float, friday: float = 0.0, weekday: float = 0.2
) -> NDArray[np.float32]:
    return np.array([vix, change, friday, weekday], np.float32)


def test_a_distance_is_that_of_mahalanobis(cloud: Cloud) -> None:
    """The cloud is drawn with a known covariance: 3, 1 and a correlation of 0.9."""
    inverse = np.linalg.inv(np.array([[9.0, 2.7], [2.7, 1.0]]))
    for vix, change in ((15.0, 0.0), (21.0, 2.0), (9.0, -2.5), (18.0, -1.0)):
        away = np.array([vix - 15, change])
        expected = np.sqrt(away @ inverse @ away / 2)
        assert distance(cloud, row(vix, change)) == pytest.approx(expected, rel=0.12, abs=0.1)


def test_new_rows_of_the_same_kind_are_hardly_ever_too_far(cloud: Cloud) -> None:
    far = [distance(cloud, one) for one in rows(seed=8, n=4000)]
    assert np.mean(far) == pytest.approx(np.sqrt(np.pi) / 2, abs=0.05), "of a Rayleigh over root 2"
    assert np.mean(np.array(far) > cloud.limit) < 0.004


def test_what_stands_out_by_itself_is_named_with_its_number(cloud: Cloud) -> None:
    crash = row(37.3, 7.4)
    assert distance(cloud, crash) > cloud.limit
    said = cloud.told(crash)
    assert said.startswith(("vix 37.3 is 7.", "change 7.4 is 7."))
    assert "vix 37.3 is 7." in said
    assert said.count("deviations from what it learned") == 2


def test_what_stands_out_beside_the_others_is_named_so(cloud: Cloud) -> None:
    odd = row(21.0, -2.0)
    assert distance(cloud, odd) > cloud.limit
    assert "deviations from what the others lead to expect" in cloud.told(odd)
    assert "what it learned" not in cloud.told(odd)


def test_flags_and_weekdays_are_no_numbers_that_could_be_far(cloud: Cloud) -> None:
    assert learn(rows(), BARS).columns == (0, 1)
    assert distance(cloud, row(15, 0, friday=99.0)) == distance(cloud, row(15, 0))
    flags = learn(rows()[:, 2:], BARS)
    assert (flags.columns, flags.limit) == ((), 1.0)
    assert distance(Cloud(flags, NAMES[2:]), np.array([9, 9], np.float32)) == 0.0


def test_clouds_side_by_side_say_what_each_says_alone(cloud: Cloud) -> None:
    none = Cloud(learn(rows()[:, 2:], BARS), NAMES[2:])
    side = np.concatenate([[9, 9], row(21.0, -2.0), row(15.0, 0.1)]).astype(np.float32)
    together = Clouds([(none, 0), (cloud, 2), (none, 2), (cloud, 6)])
    far, near = distance(cloud, row(21.0, -2.0)), distance(cloud, row(15.0, 0.1))
    assert far > cloud.limit > near > 0
    assert together.distances(side) == [0.0, far, 0.0, near]


def test_a_level_that_drifts_widens_the_limit() -> None:
    """Rows that helped to make the cloud would call the next stretch of a drift unheard of."""
    drift = rows()
    drift[:, 0] += np.linspace(0, 30, len(drift)).astype(np.float32)
    drift[:, 1] = np.random.default_rng(1).normal(size=len(drift))
    known = learn(drift, BARS)
    cloud = Cloud(known, NAMES)
    own = np.quantile([distance(cloud, one) for one in drift], novelty.SHARE)
    assert known.limit > 1.05 * own


def test_rows_of_one_bar_are_held_out_together() -> None:
    """Stocks of one day resemble each other: parted by rows, each would know its neighbours."""
    rng = np.random.default_rng(3)
    day = np.arange(1000) // 20
    common = rng.normal(size=50)[day]
    x = (common[:, None] + 0.01 * rng.normal(size=(1000, 3))).astype(np.float32)
    whole, torn = learn(x, pd.Index(day)), learn(x[rng.permutation(1000)], pd.RangeIndex(1000))
    assert whole.limit != torn.limit
    shuffled = np.concatenate([rng.permutation(np.arange(20)) + 20 * d for d in range(50)])
    again = learn(x[shuffled], pd.Index(day))
    assert again.limit == pytest.approx(whole.limit, rel=1e-5)


def test_the_same_rows_make_the_same_cloud_and_a_number_more_another() -> None:
    assert learn(rows(), BARS) == learn(rows(), BARS)
    changed = rows()
    changed[700, 0] += 40
    assert learn(changed, BARS) != learn(rows(), BARS)


def test_a_series_that_rests_most_of_the_time_has_a_scale() -> None:
    x = rows()
    x[:, 0] = np.where(np.arange(len(x)) % 10, 0.0, x[:, 0])
    known = learn(x, BARS)
    assert 0 in known.columns
    assert all(scale > 0 for scale in known.scale)


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"scale": (1.0,)}, "centre and a scale"),
        ({"scale": (1.0, 0.0)}, "above 0"),
        ({"columns": (1, 0)}, "columns rise"),
        ({"columns": (1, 1)}, "columns rise"),
        ({"whitening": b"\0" * 11}, "each pair"),
        ({"whitening": b"\0\0\xc0\x7f" * 3}, "finite number"),
        ({"limit": 0.0}, "greater than 0"),
        ({"limit": float("inf")}, "finite"),
    ],
)
def test_what_is_no_cloud_cannot_be_made(fields: dict[str, object], why: str) -> None:
    plain = {
        "columns": (0, 1),
        "centre": (0.0, 0.0),
        "scale": (1.0, 1.0),
        "whitening": np.ones(3, "<f4").tobytes(),
        "limit": 3.0,
    }
    Novelty(**plain)
    with pytest.raises(ValidationError, match=why):
        Novelty(**(plain | fields))
