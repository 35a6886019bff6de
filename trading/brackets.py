"""How a future is carried through one bar: its stop, its trail, and when it was on the wrong side.

As everywhere (`trading.exits`), what is adverse comes first: the opening gap, the adverse extreme,
and only then the favourable one, which moves the stop of the next bar only. Both sides go through
the same lines: prices are turned into how far ahead the position is, in points, and back.

Distances are shares of the entry price and are not rounded to ticks; what that is worth, less than
a tick, is within the tick that every fill gives away.
"""

from collections.abc import Iterator
from typing import Literal, NamedTuple

from domain.bot import Brackets
from domain.market import Bar
from domain.trade import Exit
from domain.values import Points


class Held(NamedTuple):
    """What a bar may change of a position, and what it changes it by. All in points."""

    side: Literal[-1, 1]
    entry: Points
    """The price it was filled at, > 0."""
    stop: Points
    """The price at which it is given up."""
    best: Points = 0.0
    """How far ahead it has been, >= 0."""

    def ahead(self, price: Points) -> Points:
        """Return how far ahead it is at a price; behind is negative."""
        return self.side * (price - self.entry)


class Hit(NamedTuple):
    """Where it was closed, and why."""

    price: Points
    why: Exit


class _Level(NamedTuple):
    ahead: Points
    price: Points
    why: Exit


def through(bar: Bar, held: Held, rules: Brackets) -> Held | Hit:
    """Return what the bar leaves of it: the position with its new stop, or how it ended.

    What is met on the way to the adverse extreme is filled at the first level on that way. An open
    beyond a level, or a close where nothing else is known of the bar, is filled where it is, and
    named by the furthest level that it lies beyond.
    """
    best = held.best
    if bar.open is not None:
        gap = _beyond(held, best, rules, held.ahead(bar.open))
        if gap is not None:
            why = Exit.GAP_STOP if gap.price == held.stop else gap.why
            return Hit(bar.open, why)
        best = max(best, held.ahead(bar.open))
    against = bar.low if held.side > 0 else bar.high
    if against is None:
        met = _beyond(held, best, rules, held.ahead(bar.close))
        if met is not None:
            return Hit(bar.close, met.why)
    else:
        first = max(_levels(held, best, rules), key=lambda level: level.ahead)
        if held.ahead(against) <= first.ahead:
            return Hit(first.price, first.why)
    toward = bar.high if held.side > 0 else bar.low
    best = max(best, held.ahead(bar.close if toward is None else toward))
    return held._replace(best=best, stop=_raised(held, best, rules))


def first_stop(side: Literal[-1, 1], entry: Points, rules: Brackets) -> Points:
    """Return the price of the first stop."""
    return entry - side * rules.stop * entry


def _levels(held: Held, best: Points, rules: Brackets) -> Iterator[_Level]:
    """Yield every level that closes it, the stop first: of two at one price it is the reason."""
    guard = held.ahead(held.stop)
    why = Exit.STOP if guard < 0 else Exit.TRAIL if guard > 0 else Exit.BREAK_EVEN
    yield _Level(guard, held.stop, why)
    if best < rules.wrong * held.entry:
        yield _behind(held, rules.reverse, Exit.REVERSE)
    yield _behind(held, rules.worst, Exit.MAX_LOSS)
    yield _behind(held, rules.emergency, Exit.EMERGENCY)


def _behind(held: Held, share: float, why: Exit) -> _Level:
    distance = share * held.entry
    return _Level(-distance, held.entry - held.side * distance, why)


def _beyond(held: Held, best: Points, rules: Brackets, seen: Points) -> _Level | None:
    """Return the furthest level that is passed at once, or None."""
    passed = [level for level in _levels(held, best, rules) if seen <= level.ahead]
    return min(passed, key=lambda level: level.ahead) if passed else None


def _raised(held: Held, best: Points, rules: Brackets) -> Points:
    """Return where the next bar's stop belongs; never further away than it is.

    Break-even is the entry itself: what trading cost is lost there.
    """
    if best < rules.even * held.entry:
        return held.stop
    wanted = max(0.0, best - rules.trail * held.entry)
    if wanted <= held.ahead(held.stop):
        return held.stop
    return held.entry + held.side * wanted
