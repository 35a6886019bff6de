"""A feature whose code changes a value has to change its version, or a model is served another.

``golden_features.json`` holds the newest value of every feature and version, of a market that is
the same on every machine.
"""

import json
from pathlib import Path

import pytest

from market.features import compute
from market.features.catalog import CATALOG
from tests.market.panels import waves

GOLDEN = Path(__file__).with_name("golden_features.json")


def test_the_value_of_every_feature_is_that_of_its_version() -> None:
    golden: dict[str, float] = json.loads(GOLDEN.read_text())
    newest = compute.newest(waves())["S1"]
    made = {
        f"{name}@{compute.CODE}.{feature.version}": newest[name]
        for name, feature in CATALOG.items()
    }
    changed = {
        key: float(f"{value:.8g}")
        for key, value in made.items()
        if value != pytest.approx(golden.get(key, float("nan")), rel=1e-4, abs=1e-6)
    }
    assert not changed, (
        f"other values than {GOLDEN.name} has: if the code was changed, raise the version of these "
        f"features, then write there {json.dumps(changed)}"
    )
    assert set(golden) == set(made), "the golden file has features that the catalog has not"
