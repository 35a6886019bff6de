"""Who is traded."""

from market import universe


def test_there_are_twenty_stocks_in_order() -> None:
    assert len(universe.STOCKS) == 20
    assert list(universe.STOCKS) == sorted(universe.STOCKS)
