import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import DataError
from risk import scaler

EQUITY = st.floats(-1e6, 1e7)


@pytest.mark.parametrize(
    ("equity", "scale"),
    [
        (95_001.0, 1.0),
        (95_000.0, 0.75),
        (90_001.0, 0.75),
        (90_000.0, 0.5),
        (85_001.0, 0.5),
        (85_000.0, 0.25),
        (-1.0, 0.25),
    ],
)
def test_every_tier_is_reached(equity: float, scale: float) -> None:
    assert scaler.scale(equity, 100_000.0) == scale


@given(EQUITY, EQUITY, st.floats(1.0, 1e7))
def test_it_never_enlarges_and_less_equity_is_never_more_size(
    a: float, b: float, peak: float
) -> None:
    low, high = sorted((a, b))
    assert 0.25 <= scaler.scale(low, peak) <= scaler.scale(high, peak) <= 1.0


def test_a_gain_beyond_the_peak_does_not_enlarge() -> None:
    assert scaler.scale(300_000.0, 100_000.0) == 1.0


def test_without_a_peak_there_is_no_scale() -> None:
    with pytest.raises(DataError):
        scaler.scale(100.0, 0.0)
