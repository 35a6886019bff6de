"""An artifact is a value: what it says is checked once, and its hash is its name."""

import pytest
from pydantic import ValidationError

from domain.errors import ModelError, Refused
from models import catalog
from models.base import Artifact, at
from models.examples import artifact


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"features": ()}, "needs features and a graph"),
        ({"onnx": b""}, "needs features and a graph"),
        ({"knots": ((), ())}, "rising x"),
        ({"knots": ((0.1, 0.2), (0.5,))}, "rising x"),
        ({"knots": ((0.2, 0.1), (0.5, 0.6))}, "rising x"),
        ({"knots": ((0.1, 0.1), (0.5, 0.6))}, "rising x"),
        ({"knots": ((0.1, 0.2), (0.5, 1.1))}, "rising x"),
        ({"knots": ((0.1, 0.2), (-0.1, 0.5))}, "rising x"),
        ({"knots": ((0.1, 0.2), (0.6, 0.5))}, "reverse the order"),
        ({"golden": (((1.0,), 0.5),)}, "one number per feature"),
        ({"facts": {"base_rate": float("nan")}}, "finite"),
        ({"pickle": b""}, "Extra inputs"),
    ],
)
def test_what_cannot_be_served_cannot_be_made(fields: dict[str, object], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        artifact(**fields)


def test_same_content_is_the_same_version_whatever_the_order() -> None:
    facts = {"base_rate": 0.83, "n": 500.0}
    one = artifact(facts=facts)
    other = artifact(facts=dict(reversed(facts.items())))
    assert one.version == other.version == one.sha256[:12]
    assert artifact(facts=facts | {"n": 501.0}).version != one.version
    assert artifact(features=("strike_distance", "vix")).version != artifact().version


def test_only_the_canonical_text_is_an_artifact() -> None:
    content = artifact().to_bytes()
    assert Artifact.from_bytes(content) == artifact()
    for other in (b" " + content, content.replace(b":", b": ", 1)):
        with pytest.raises(ModelError, match="canonical"):
            Artifact.from_bytes(other)


def test_facts_of_another_distance_do_not_mix() -> None:
    some = artifact(facts={"gain": 0.1, at("gain", 0.8): 0.2, at("gain", 1.8): 0.3})
    assert some.about(0.8) == {"gain": 0.2}
    assert some.about(1.8) == {"gain": 0.3}
    assert some.about(1.0) == {"gain": 0.1}


def test_a_model_that_is_not_there_is_refused_by_name() -> None:
    with pytest.raises(Refused, match="there are wisdom, prophet"):
        catalog.create("orion")
