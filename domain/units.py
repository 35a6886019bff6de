"""Amounts per share and per contract, kept apart by type, and the Greeks in either.

A contract is a hundred shares, so an amount that lost its unit is wrong by a hundred. There is no
arithmetic between the two, and the only way from one to the other is a method that says so.
"""

from typing import Generic, Self, TypeVar

from pydantic import model_validator

from domain.values import Value


class _Amount(Value):
    amount: float

    def __add__(self, other: Self) -> Self:
        # the type checker refuses another unit; this is for who does not ask it
        return type(self)(amount=self.amount + self._same(other))

    def __sub__(self, other: Self) -> Self:
        return type(self)(amount=self.amount - self._same(other))

    def __neg__(self) -> Self:
        return type(self)(amount=-self.amount)

    def __lt__(self, other: Self) -> bool:
        return self.amount < self._same(other)

    def __le__(self, other: Self) -> bool:
        return self.amount <= self._same(other)

    def times(self, number: float) -> Self:
        """Return so many of it, in the same unit."""
        return type(self)(amount=number * self.amount)

    def _same(self, other: Self) -> float:
        if type(other) is not type(self):
            mine, theirs = type(self).__name__, type(other).__name__
            raise TypeError(f"{mine} and {theirs} do not mix; convert one by its method")
        return other.amount


class PerShare(_Amount):
    """Points: an amount for one share of the underlying, as options are quoted."""

    def per_contract(self, multiplier: float) -> "PerContract":
        """Return the same for a contract of `multiplier` shares, in dollars.

        Examples
        --------
        >>> PerShare(amount=3.02).per_contract(100)
        PerContract(amount=302.0)
        """
        return PerContract(amount=self.amount * multiplier)


class PerContract(_Amount):
    """Dollars: an amount for one contract, which is what an account gains or loses."""

    def per_share(self, multiplier: float) -> PerShare:
        """Return the same for one of the `multiplier` shares of a contract, in points."""
        return PerShare(amount=self.amount / multiplier)


Unit = TypeVar("Unit", PerShare, PerContract)


class Greeks(Value, Generic[Unit]):
    """What an option, or several, gain when one thing changes and the others stay.

    Parameters
    ----------
    delta
        When the underlying rises by a point.
    gamma
        What delta gains when the underlying rises by a point.
    theta
        When a session passes (1/252 of a year, not a calendar day); below 0 for what is bought.
    vega
        When the implied volatility rises by one point, from 15 % to 16 %.
    """

    delta: Unit
    gamma: Unit
    theta: Unit
    vega: Unit

    @model_validator(mode="after")
    def _one_unit(self) -> Self:
        if len({type(greek) for greek in self._all()}) > 1:
            raise ValueError("Greeks per share and per contract do not mix")
        return self

    def __add__(self, other: "Greeks[Unit]") -> Self:
        mine, theirs = self._all(), other._all()
        delta, gamma, theta, vega = (a + b for a, b in zip(mine, theirs, strict=True))
        return type(self)(delta=delta, gamma=gamma, theta=theta, vega=vega)

    def times(self, number: float) -> Self:
        """Return those of so many, in the same unit."""
        delta, gamma, theta, vega = (greek.times(number) for greek in self._all())
        return type(self)(delta=delta, gamma=gamma, theta=theta, vega=vega)

    def _all(self) -> tuple[Unit, Unit, Unit, Unit]:
        return self.delta, self.gamma, self.theta, self.vega


def per_contract(greeks: Greeks[PerShare], multiplier: float) -> Greeks[PerContract]:
    """Return the Greeks of a contract of `multiplier` shares, in dollars."""
    return Greeks[PerContract](
        delta=greeks.delta.per_contract(multiplier),
        gamma=greeks.gamma.per_contract(multiplier),
        theta=greeks.theta.per_contract(multiplier),
        vega=greeks.vega.per_contract(multiplier),
    )
