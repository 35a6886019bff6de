"""One conviction out of six answers: worked out by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.decision import Prediction
from domain.examples import prediction
from models import orion
from models.catalog import CATALOG

PROBABILITY = st.floats(0.0, 1.0)


def answers(**said: float | None) -> list[Prediction]:
    return [prediction(p, f"orion-{name}") for name, p in said.items()]


def test_every_member_is_a_model_of_the_catalog() -> None:
    assert set(orion.MEMBERS) == {name for name in CATALOG if name.startswith("orion-")}


def test_all_six_answers_make_one_conviction() -> None:
    said = orion.combine(answers(up=0.5, down=0.25, flip=0.5, magnet=0.8, range=0.95, pin=0.3))
    parts = {"direction": 2 / 3, "orion-pin": 0.8, "orion-magnet": 0.9, "orion-flip": 0.7}
    assert said.parts == pytest.approx(parts | {"orion-range": 0.5})
    assert said.conviction == pytest.approx((2 / 3 + 0.8 + 0.9 + 0.7 + 0.5) / 5)
    assert (said.side, said.probability, said.absent) == (1, 0.5, {})


@pytest.mark.parametrize(
    ("up", "down", "side"),
    [
        (0.35, 0.2499, 1),
        (0.35, 0.2501, 0),
        (0.3499, 0.10, 0),
        (0.20, 0.45, -1),
        (0.40, 0.40, 0),
    ],
)
def test_a_side_needs_its_least_and_its_lead(up: float, down: float, side: int) -> None:
    assert orion.combine(answers(up=up, down=down, pin=0.1)).side == side


def test_a_day_that_suits_no_direction_has_no_side() -> None:
    clear = {"up": 0.36, "down": 0.26}
    bad = answers(**clear, pin=0.9, flip=0.1, range=0.95, magnet=0.1)
    said = orion.combine(bad)
    assert said.conviction == pytest.approx((0.36 / 0.62 + 0.5 + 0.6 + 0.5 + 0.5) / 5)
    assert (said.side, said.conviction < orion.CONVINCED) == (0, True)


@pytest.mark.parametrize("missing", ["up", "down"])
def test_without_a_direction_there_is_nothing_to_say(missing: str) -> None:
    both = {"up": 0.5, "down": 0.2, "pin": 0.1} | {missing: None}
    said = orion.combine(answers(**both))
    assert (said.side, said.probability, said.conviction, said.parts) == (0, None, 0.0, {})
    assert f"orion-{missing}" in said.absent


def test_what_did_not_answer_counts_for_nothing_and_is_named() -> None:
    silent = Prediction(
        model="orion-pin", version="none", target="none", probability=None, reason="no champion"
    )
    said = orion.combine([*answers(up=0.5, down=0.2), silent])
    assert said.parts == {"direction": pytest.approx(5 / 7)}
    assert said.absent["orion-pin"] == "no champion"
    assert said.absent["orion-flip"] == "not asked"


@given(PROBABILITY, PROBABILITY, PROBABILITY, PROBABILITY, PROBABILITY)
def test_the_other_side_is_the_mirror(
    up: float, down: float, flip: float, magnet: float, pin: float
) -> None:
    others = answers(flip=flip, magnet=magnet, pin=pin)
    said, mirrored = (
        orion.combine([*answers(up=a, down=b), *others]) for a, b in ((up, down), (down, up))
    )
    assert said.side == -mirrored.side
    assert (said.probability, said.conviction) == (mirrored.probability, mirrored.conviction)
    assert said.probability in (up, down)
    assert 0.0 <= said.conviction <= 1.0
