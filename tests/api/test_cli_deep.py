"""The command line in an environment without what trains the deep members."""

import sys

import pytest

from models import availability
from models.catalog import CATALOG

LACKS = "it needs the extra `deep` (`make deep`)"


@pytest.fixture
def bare(fresh, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(availability.LIBRARIES, "deep", "torch_that_is_not_there")
    monkeypatch.setitem(sys.modules, "torch", None)
    return fresh


def test_all_that_can_be_trained_here_is_and_the_rest_is_named(bare) -> None:
    said = bare("train", "--all", "--dry-run", "--json")
    assert said.code == 0
    lacking, trained = said.json["unavailable"], {row["model"] for row in said.json["trained"]}
    assert all(lacking[name].endswith(LACKS) for name in ("nhits", "patchtst"))
    assert {"wisdom", "xgb", "lgbm"} <= trained
    assert trained | set(lacking) == set(CATALOG)
    assert not trained & set(lacking)


def test_who_names_a_model_that_cannot_be_trained_here_is_refused_it(bare) -> None:
    said = bare("train", "nhits", "--dry-run")
    assert said.code == 1
    assert f"nhits is unavailable: {LACKS}" in said.err


def test_what_cannot_be_trained_here_cannot_be_walked_forward_and_is_unknown(bare) -> None:
    walked = bare("validate", "patchtst", "--json").json["models"]["patchtst"]
    assert (walked["health"], walked["total"]) == ("unknown", None)
    assert LACKS in walked["sentence"]
