"""A count that answers: what it knows, what it says, and how a context carries it."""

from hypothesis import given
from hypothesis import strategies as st

from models.belief import COLD, FLOOR, PROMOTED, Belief, Count, regime, told

POSITIVE, NEGATIVE = {"bar_gamma_positive": 1.0}, {"bar_gamma_positive": 0.0}
KNOWN = st.none() | st.floats(0.01, 5.0)


def test_the_regime_is_the_sign_of_gamma_and_unknown_where_that_is() -> None:
    assert (regime(POSITIVE), regime(NEGATIVE), regime({})) == ("positive", "negative", None)


@given(st.integers(0, 500), st.integers(0, 500), KNOWN, KNOWN)
def test_a_context_carries_the_belief_of_its_own_regime(
    wins: int, losses: int, gain: float | None, loss: float | None
) -> None:
    known = Belief(wins=wins, losses=losses, gain=gain, loss=loss, low=0.2, high=0.4)
    count = Count(regimes={"positive": known}, promoted=True)
    assert Belief.of(count.facts(POSITIVE)) == known
    assert Belief.of(count.facts(NEGATIVE)) == Belief()
    assert count.facts(POSITIVE)[PROMOTED] == 1.0
    assert count.facts({}) == {}


@given(st.integers(0, 60), st.integers(0, 60))
def test_only_a_cold_start_is_lifted_and_it_is_said(wins: int, losses: int) -> None:
    known = Belief(wins=wins, losses=losses)
    assert known.floored is (known.n < COLD and known.mean < FLOOR)
    assert (known.probability == known.mean) is not known.floored
    assert ("floor" in told(known)) is known.floored
