"""The registry: versions, champions, and who moved them; and the artifacts they are made of."""

from collections.abc import Callable
from threading import Barrier, Thread

import pytest

from domain.errors import IntegrityError, ModelError, Refused
from domain.settings import Settings
from domain.version import Measure, Stage, Version
from storage import artifacts, audit, registry
from storage.engine import Store
from storage.registry import Ruling, Why
from tests.storage.made import AT, DAY, version

WHY = Why(who="gate", reason="brier 0.12 < 0.14", measures={"brier": 0.12})


def trained(store: Store, content: bytes, **fields: object) -> Version:
    artifacts.put(store, content)
    made = version(content, **fields)
    assert registry.register(store, made)
    return made


@pytest.fixture
def two(store: Store) -> tuple[Version, Version]:
    return trained(store, b"first"), trained(store, b"second", trained_at=AT + DAY)


def promote(store: Store, to: Version, expected: Version | None, day: int = 0) -> int:
    before = None if expected is None else expected.version
    return registry.promote(store, "wisdom", to.version, before, WHY, AT + day * DAY)


def test_a_version_is_registered_once_with_its_measures(store: Store) -> None:
    made = trained(store, b"one", measures={"auc": Measure(value=0.7, n=200, low=0.6, high=0.8)})
    assert not registry.register(store, made)
    [told] = audit.records(store, "desk")
    assert (told.kind, told.at, told.body["sha256"]) == ("register", made.trained_at, made.sha256)
    assert registry.get(store, "wisdom", made.version) == made
    assert registry.versions(store) == [made]
    with pytest.raises(ModelError, match=r"no version 'x'.*omega models list"):
        registry.get(store, "wisdom", "x")


def test_a_version_without_its_artifact_is_refused(store: Store) -> None:
    with pytest.raises(ModelError, match="no artifact"):
        registry.register(store, version(b"nowhere"))


def test_versions_come_newest_first(store: Store, two: tuple[Version, Version]) -> None:
    other = trained(store, b"third", model="prophet")
    assert registry.versions(store, "wisdom") == [two[1], two[0]]
    assert registry.versions(store, "prophet") == [other]
    assert len(registry.versions(store)) == 3


def test_there_is_no_champion_until_one_is_promoted(
    store: Store, two: tuple[Version, Version]
) -> None:
    first, second = two
    assert (registry.champion(store, "wisdom"), registry.epoch(store)) == (None, 0)
    assert promote(store, first, None) == 1
    assert promote(store, second, first, 1) == 2
    live = registry.champion(store, "wisdom")
    assert live == second.model_copy(update={"stage": Stage.CHAMPION})
    assert registry.get(store, "wisdom", first.version).stage is Stage.RETIRED
    assert registry.epoch(store) == 2


def test_a_promotion_against_another_champion_is_refused(
    store: Store, two: tuple[Version, Version]
) -> None:
    first, second = two
    promote(store, first, None)
    with pytest.raises(Refused, match=f"is {first.version}, not None"):
        promote(store, second, None)
    with pytest.raises(Refused, match="the champion already"):
        promote(store, first, first)
    assert (registry.epoch(store), len(registry.ledger(store))) == (1, 1)


def test_of_two_promotions_at_once_one_wins(
    settings: Settings, opened: Callable[..., Store], two: tuple[Version, Version]
) -> None:
    start, won, lost = Barrier(2), [], []

    def run(mine: Store, candidate: Version) -> None:
        start.wait()
        try:
            won.append(promote(mine, candidate, None))
        except Refused as error:
            lost.append(error)

    threads = [Thread(target=run, args=(opened(settings), candidate)) for candidate in two]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (won, len(lost)) == ([1], 1)
    stages = [v.stage for v in registry.versions(opened(settings))]
    assert sorted(stages) == [Stage.CANDIDATE, Stage.CHAMPION]


def test_a_tampered_artifact_is_never_promoted(store: Store, two: tuple[Version, Version]) -> None:
    first, second = two
    promote(store, first, None)
    file = store.home / "artifacts" / second.sha256[:2] / second.sha256
    file.write_bytes(b"Second")
    with pytest.raises(IntegrityError, match="not what its name says"):
        promote(store, second, first)
    assert registry.champion(store, "wisdom").version == first.version


def test_a_version_that_was_only_tried_is_none_to_go_back_to(
    store: Store, two: tuple[Version, Version]
) -> None:
    first, second = two
    promote(store, first, None)
    registry.rule(store, "wisdom", second.version, Ruling.REJECT, WHY, AT + DAY)
    assert len(registry.versions(store, "wisdom")) == 2
    assert registry.earlier(store, "wisdom") is None
    promote(store, second, first, 2)
    assert registry.earlier(store, "wisdom") == first.version


def test_rollback_goes_one_champion_back_each_time(
    store: Store, two: tuple[Version, Version]
) -> None:
    first, second = two
    third = trained(store, b"third")
    promote(store, first, None)
    promote(store, second, first, 1)
    promote(store, third, second, 2)
    back = registry.rollback(store, "wisdom", third.version, WHY, AT + 3 * DAY)
    assert back == second.version
    assert registry.rollback(store, "wisdom", back, WHY, AT + 4 * DAY) == first.version
    with pytest.raises(Refused, match="no earlier champion"):
        registry.rollback(store, "wisdom", first.version, WHY, AT + 5 * DAY)
    assert registry.champion(store, "wisdom").version == first.version
    assert [line.ruling for line in registry.ledger(store, "wisdom")] == [
        Ruling.PROMOTE,
        Ruling.PROMOTE,
        Ruling.PROMOTE,
        Ruling.ROLLBACK,
        Ruling.ROLLBACK,
    ]


def test_a_rollback_from_another_champion_is_refused(
    store: Store, two: tuple[Version, Version]
) -> None:
    first, second = two
    promote(store, first, None)
    promote(store, second, first)
    with pytest.raises(Refused, match="compare again"):
        registry.rollback(store, "wisdom", first.version, WHY, AT)


def test_a_retired_champion_is_gone_and_never_rolled_back_to(
    store: Store, two: tuple[Version, Version]
) -> None:
    first, second = two
    promote(store, first, None)
    assert registry.retire(store, "wisdom", first.version, WHY, AT + DAY) == 2
    assert registry.champion(store, "wisdom") is None
    assert promote(store, second, None, 2) == 3
    with pytest.raises(Refused, match="no earlier champion"):
        registry.rollback(store, "wisdom", second.version, WHY, AT + 3 * DAY)


def test_every_ruling_is_in_the_ledger_and_in_the_chain(
    store: Store, two: tuple[Version, Version]
) -> None:
    first, second = two
    promote(store, first, None)
    registry.rule(store, "wisdom", second.version, Ruling.HOLD, WHY, AT)
    registry.rule(store, "wisdom", second.version, Ruling.REJECT, WHY, AT)
    registry.rule(store, "wisdom", first.version, Ruling.REJECT, WHY, AT)
    assert registry.get(store, "wisdom", second.version).stage is Stage.REJECTED
    assert registry.get(store, "wisdom", first.version).stage is Stage.CHAMPION
    line = registry.ledger(store, "wisdom")[0]
    assert (line.ruling, line.who, line.reason, line.measures, line.at) == (
        Ruling.PROMOTE,
        WHY.who,
        WHY.reason,
        WHY.measures,
        AT,
    )
    told = audit.records(store, "desk")
    kinds = ["register", "register", "promote", "hold", "reject", "reject"]
    assert [r.kind for r in told] == kinds
    assert told[2].body["measures"] == {"brier": 0.12}
    with pytest.raises(Refused, match="call promote, rollback or retire"):
        registry.rule(store, "wisdom", first.version, Ruling.PROMOTE, WHY, AT)


def test_an_artifact_is_found_by_its_hash_and_stored_once(store: Store) -> None:
    sha = artifacts.put(store, b"a model")
    assert artifacts.put(store, b"a model") == sha
    assert artifacts.get(store, sha) == b"a model"
    assert [f.name for f in (store.home / "artifacts").rglob("*") if f.is_file()] == [sha]


def test_a_changed_artifact_never_reaches_a_parser(store: Store) -> None:
    sha = artifacts.put(store, b"a model")
    file = store.home / "artifacts" / sha[:2] / sha
    file.write_bytes(b"a modem")
    with pytest.raises(IntegrityError, match="roll the model back"):
        artifacts.get(store, sha)


@pytest.mark.parametrize("name", ["../audit.key", "", "ABC", "0" * 63, "0" * 64 + "\n"])
def test_an_artifact_has_no_other_name_than_its_hash(store: Store, name: str) -> None:
    with pytest.raises(Refused, match="names no artifact"):
        artifacts.get(store, name)


def test_a_missing_artifact_is_a_missing_model(store: Store) -> None:
    with pytest.raises(ModelError, match="train the model again"):
        artifacts.get(store, "0" * 64)
