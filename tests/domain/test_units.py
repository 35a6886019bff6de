"""Amounts per share and per contract do not mix: not for the type checker, and not at run time."""

from collections.abc import Callable
from operator import add, le, lt, sub
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mypy import api as mypy
from pydantic import ValidationError

from domain.units import Greeks, PerContract, PerShare, per_contract

ROOT = Path(__file__).parents[2]
SHARE, CONTRACT = PerShare(amount=3.0), PerContract(amount=300.0)
FAIR = """
from domain.units import Greeks, PerContract, PerShare, per_contract
share, contract = PerShare(amount=3.0), PerContract(amount=300.0)
def gained(dollars: PerContract) -> PerContract: return dollars
def of(greeks: Greeks[PerContract]) -> PerContract: return greeks.delta
g: Greeks[PerShare]
"""
MIXED = (
    "share + contract",
    "contract - share",
    "share < contract",
    "share == contract",
    "gained(share)",
    "gained(share.per_contract(100).per_share(100))",
    "share.per_contract(100).per_contract(100)",
    "of(g)",
    "g + per_contract(g, 100)",
    "share + 1.0",
)


def greeks(amount: Callable[..., Any], unit: Any) -> Any:
    return Greeks[unit](**{n: amount(amount=0.5) for n in ("delta", "gamma", "theta", "vega")})


def test_the_type_checker_refuses_every_mixture_and_nothing_else(tmp_path: Path) -> None:
    source = tmp_path / "mixed.py"
    fair = FAIR + "gained(share.per_contract(100) + contract)\nof(per_contract(g, 100))\n"
    source.write_text(fair + "\n".join(MIXED) + "\n")
    settings = ["--config-file", str(ROOT / "pyproject.toml"), "--no-error-summary"]
    told, trouble, _ = mypy.run([*settings, "--cache-dir", str(tmp_path), str(source)])
    first = fair.count("\n") + 1
    lines = {int(line.split(":")[1]) for line in told.splitlines() if ": error:" in line}
    assert trouble == ""
    assert lines == set(range(first, first + len(MIXED))), told


@pytest.mark.parametrize("mix", [add, sub, lt, le])
def test_at_run_time_every_mixture_is_a_type_error(mix: Callable[[Any, Any], Any]) -> None:
    for pair in ((SHARE, CONTRACT), (CONTRACT, SHARE), (SHARE, 1.0), (CONTRACT, 100)):
        with pytest.raises(TypeError, match="do not mix"):
            mix(*pair)
    assert PerContract(amount=3.0) != SHARE


def test_greeks_of_two_units_neither_add_nor_stand_in_one_value() -> None:
    share, dollars = greeks(PerShare, PerShare), greeks(PerContract, PerContract)
    with pytest.raises(TypeError, match="do not mix"):
        share + dollars
    with pytest.raises(ValidationError):
        greeks(PerContract, PerShare)
    mixed = {"delta": SHARE, "gamma": SHARE, "theta": SHARE, "vega": CONTRACT}
    with pytest.raises(ValidationError, match="do not mix"):
        Greeks(**mixed)


def test_a_contract_is_a_hundred_shares_and_back() -> None:
    assert SHARE.per_contract(100) == CONTRACT
    assert CONTRACT.per_share(100) == SHARE
    assert per_contract(greeks(PerShare, PerShare), 100).theta == PerContract(amount=50.0)


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6), st.integers(-9, 9))
def test_amounts_of_one_unit_add_and_order_as_their_numbers(a: float, b: float, n: int) -> None:
    one, other = PerShare(amount=a), PerShare(amount=b)
    assert (one + other).amount == a + b
    assert (one - other).amount == a - b
    assert (-one).amount == -a
    assert one.times(n).amount == n * a
    assert (one < other, one <= other) == (a < b, a <= b)


@pytest.mark.parametrize("unknown", [float("nan"), float("inf")])
def test_an_unknown_amount_is_none(unknown: float) -> None:
    with pytest.raises(ValidationError):
        PerShare(amount=unknown)
