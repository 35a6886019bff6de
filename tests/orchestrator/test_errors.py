"""How badly a probability is known bears upon the size, whoever gave it."""

from math import hypot

import pytest

from domain.decision import Draft, Prediction
from domain.examples import prediction
from orchestrator.layers.advisor import advisor
from orchestrator.layers.inference import inference
from orchestrator.layers.sizing import error, sizing
from risk.sizing import standard_error
from tests.orchestrator.made import answered, premium, proposed, sized, stock
from tests.orchestrator.test_scans import day, seen
from tests.orchestrator.test_spreads import FLOOR, heard
from trading.strategies import scan
from trading.structures import odds
from trading.structures.scanner import View


def between(said: Prediction, low: float, high: float) -> Prediction:
    return said.model_copy(update={"low": low, "high": high})


def known(draft: Draft, **ends: tuple[float, float]) -> Draft:
    """Return the draft with an interval in each of these answers."""
    said = tuple(
        between(one, *ends[key]) if (key := one.model.replace("-", "_")) in ends else one
        for one in draft.predictions
    )
    return draft.model_copy(update={"predictions": said})


def test_wisdom_s_interval_is_the_error_of_what_sells_premium() -> None:
    draft = inference(answered(premium(), between(prediction(0.9), 0.85, 0.93)))
    assert error(draft) == standard_error(0.85, 0.93)
    assert error(inference(answered(premium(), wisdom=0.9))) is None


def test_the_error_of_an_ensemble_is_that_of_its_members_weighed_as_they_are() -> None:
    said = (between(prediction(0.6, "xgb"), 0.5, 0.7), between(prediction(0.58, "lgbm"), 0.5, 0.6))
    draft = inference(answered(stock(), *said))
    evidence = draft.verdicts[-1].evidence
    each = standard_error(0.5, 0.7), standard_error(0.5, 0.6)
    weights = evidence["weight_xgb"], evidence["weight_lgbm"]
    assert error(draft) == pytest.approx(sum(w * own for w, own in zip(weights, each, strict=True)))


def test_an_ensemble_of_which_one_member_has_no_interval_has_none() -> None:
    said = (between(prediction(0.6, "xgb"), 0.5, 0.7), prediction(0.58, "lgbm"))
    assert error(inference(answered(stock(), *said))) is None


@pytest.mark.parametrize(
    ("up", "down", "side"), [((0.5, 0.7), (0.1, 0.1), 1), ((0.6, 0.6), (0.0, 0.2), 1)]
)
def test_orion_s_error_is_that_of_the_side_that_is_traded(
    up: tuple[float, float], down: tuple[float, float], side: int
) -> None:
    draft = known(heard(FLOOR, 0.6, 0.1), orion_up=up, orion_down=down)
    draft = advisor(inference(draft))
    assert draft.proposal is not None
    assert draft.proposal.side == side
    assert error(draft) == standard_error(*up)


def chance(up: float, down: float, structure: str) -> float:
    found = scan.choose(day(), View(bullish=up, neutral=1 - up - down, bearish=down, vix=17.0))
    return next(one.probability for one in found.candidates if one.found.structure == structure)


@pytest.mark.parametrize("view", [(0.75, 0.05), (0.05, 0.75), (0.1, 0.1)])
def test_what_a_view_chose_is_known_as_badly_as_it_moves_with_the_view(
    view: tuple[float, float],
) -> None:
    """Its chance is linear in what the view says: a step of any length shows the slope."""
    up, down = view
    ends = {"discernment_up": (up - 0.04, up + 0.04), "discernment_down": (down, down + 0.02)}
    draft = inference(known(seen(up, down), **ends))
    assert draft.proposal is not None
    name, p = draft.proposal.structure, draft.verdicts[-1].evidence["p"]
    by_up = (chance(up - 0.02, down, name) - p) / -0.02
    by_down = (chance(up, down + 0.02, name) - p) / 0.02
    each = standard_error(-0.04, 0.04), standard_error(0.0, 0.02)
    assert error(draft) == pytest.approx(hypot(each[0] * by_up, each[1] * by_down), rel=1e-3)
    evidence = draft.verdicts[-1].evidence
    assert 0.0 <= evidence["p_low"] < p < evidence["p_high"] <= 1.0


def test_a_view_of_which_one_side_has_no_interval_has_none() -> None:
    for draft in (seen(0.75, 0.05), known(seen(0.75, 0.05), discernment_up=(0.65, 0.85))):
        told = inference(draft)
        assert error(told) is None
        assert not {"p_low", "p_high"} & told.verdicts[-1].evidence.keys()


def test_a_class_that_cannot_happen_moves_a_chance_as_far_as_can_be() -> None:
    board = scan.board(day())
    found = scan.choose(day(), View(bullish=0.1, neutral=0.8, bearish=0.1)).candidates[0].found
    still = odds.lognormal(board.forward, 1e-4, 0.005)
    fall, stay, rise = odds.apart(found, still)
    assert (fall, rise) == (None, None)
    assert stay is not None


def test_what_was_measured_is_told_and_what_was_not_is_not() -> None:
    plain = sized(proposed(premium())).verdicts[-1].evidence
    assert not {"shrink", "error"} & plain.keys()
    draft = inference(answered(premium(), between(prediction(0.9, gain=0.3), 0.85, 0.93)))
    told = sizing(advisor(draft)).verdicts[-1].evidence
    assert 0.0 < told["shrink"] < 1.0
    assert told["error"] == standard_error(0.85, 0.93)


def test_a_chance_that_is_hardly_known_is_sized_smaller() -> None:
    def stake(*ends: float) -> float:
        said = prediction(0.7, gain=0.3, loss=0.5)
        draft = inference(answered(premium(), between(said, *ends) if ends else said))
        return sizing(advisor(draft)).verdicts[-1].evidence["stake"]

    assert stake(0.4, 0.95) < stake(0.55, 0.85) < stake()
    assert stake(0.69, 0.71) == stake()
