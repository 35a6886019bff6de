"""What may still be reserved when it is sealed."""

import pytest

from domain import examples
from domain.book import Exposure, Switches
from domain.decision import Draft, Effect, Reason
from domain.errors import DataError
from risk.admission import admit
from tests.orchestrator.made import wanting


def held(risk: float, **fields: object) -> Exposure:
    return examples.exposure(**{"id": "x", "symbol": "KO", "risk": risk} | fields)


@pytest.mark.parametrize(
    ("exposures", "correlations", "code", "left"),
    [
        ((held(170_000.0),), {"x": 0.0}, Reason.TOTAL_CAP, 10_000.0),
        ((held(100_000.0),), {"x": 1.0}, Reason.SHARED_RISK, 20_000.0),
        ((held(100_000.0),), {}, Reason.SHARED_RISK, 20_000.0),
        ((held(100_000.0),), {"x": 0.5}, Reason.SHARED_RISK, 70_000.0),
        ((held(80_000.0, symbol="SPX"),), {"x": -1.0}, Reason.SYMBOL_CAP, 10_000.0),
    ],
)
def test_admission_leaves_what_the_tightest_cap_leaves(
    exposures: tuple[Exposure, ...], correlations: dict[str, float], code: Reason, left: float
) -> None:
    """600,000 of equity: 180,000 in all, 120,000 together, 90,000 in one symbol."""
    context = examples.context(correlations=correlations)
    one = wanting(context, 100, examples.proposal(max_loss=1_000.0))
    verdict = admit(one, Switches(), exposures)
    assert (verdict.effect, verdict.code) == (Effect.ADJUST, code)
    assert verdict.quantity == int(left / 1_000)
    whole = wanting(context, 1, examples.proposal(max_loss=left + 1))
    assert admit(whole, Switches(), exposures).effect is Effect.VETO
    small = wanting(context, 1, examples.proposal(max_loss=left))
    assert admit(small, Switches(), exposures).effect is Effect.PASS


def test_admission_never_enlarges() -> None:
    verdict = admit(wanting(examples.context(), 2, examples.proposal()), Switches(), ())
    assert (verdict.effect, verdict.quantity) == (Effect.PASS, None)


def test_admission_counts_only_what_the_context_had_not_seen() -> None:
    mine = held(1.0, bot="fortress")
    seen = examples.context(book=examples.book(exposures=(mine,), open_positions=2))
    draft = wanting(seen, 1, examples.proposal())
    assert admit(draft, Switches(), (mine,)).effect is Effect.PASS
    added = mine.model_copy(update={"id": "y"})
    verdict = admit(draft, Switches(), (mine, added))
    assert (verdict.effect, verdict.code) == (Effect.VETO, Reason.MAX_OPEN)


def test_nothing_is_admitted_that_was_not_proposed() -> None:
    with pytest.raises(DataError, match="of nothing"):
        admit(Draft(context=examples.context()), Switches(), ())
