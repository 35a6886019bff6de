"""One JSON text and one digest for equal values."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from domain import examples
from domain.bot import Bot
from domain.decision import Context, Draft, OmegaDecision
from domain.values import canonical, digest
from domain.version import Measure

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=12,
)  # fmt: skip


@given(JSON)
def test_canonical_json_is_json_and_stays_the_same_when_read_back(value: Any) -> None:
    text = canonical(value)
    assert json.loads(text) == value
    assert canonical(json.loads(text)) == text


@given(st.dictionaries(st.text(), st.integers(), min_size=2))
def test_the_order_of_the_keys_makes_no_difference(value: dict[str, int]) -> None:
    assert digest(dict(reversed(value.items()))) == digest(value)


def test_canonical_json_has_sorted_keys_no_spaces_and_text_as_it_is() -> None:
    assert canonical({"b": [1, 2.0], "a": "é"}) == '{"a":"é","b":[1,2.0]}'


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_what_is_no_number_has_no_json(value: float) -> None:
    with pytest.raises(ValueError, match="JSON"):
        canonical({"x": value})
    with pytest.raises(ValidationError, match="finite"):
        examples.book(equity=value)


def test_a_digest_is_the_sha256_of_the_text() -> None:
    assert digest({}) == "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"


def test_a_value_cannot_be_changed_and_takes_no_field_that_it_does_not_have() -> None:
    bot = examples.bot()
    with pytest.raises(ValidationError, match="frozen"):
        bot.capital = 1.0  # type: ignore[misc]
    with pytest.raises(ValidationError, match="Extra inputs"):
        Bot(**bot.model_dump(), capitol=1.0)


def test_what_travels_as_json_comes_back_equal_hash_for_hash() -> None:
    decision = OmegaDecision.seal(examples.draft(quantity=3))
    back = OmegaDecision.model_validate_json(decision.model_dump_json())
    assert back == decision
    assert back.hash == decision.hash
    assert Draft.model_validate(decision.draft.model_dump(mode="json")) == decision.draft


def test_a_time_without_a_zone_is_refused() -> None:
    plain = examples.context().model_dump()
    with pytest.raises(ValidationError, match="timezone"):
        Context(**plain | {"asof": examples.CLOSE.replace(tzinfo=None)})


def test_a_measure_shows_its_interval_and_its_sample() -> None:
    assert str(Measure(value=0.83251, n=200, low=0.77, high=0.88)) == "0.8325 [0.77, 0.88] (n=200)"
    assert str(Measure(value=0.5, n=3)) == "0.5 (n=3)"


def test_a_regime_is_named_by_its_two_axes() -> None:
    assert examples.regime().name == "calm-chop"
