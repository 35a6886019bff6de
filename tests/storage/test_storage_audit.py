"""The audit chain: what it proves, and that it names what was changed."""

import json
import re
from collections.abc import Callable
from hashlib import sha256

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import text

from domain.decision import Reason
from domain.errors import IntegrityError, Refused
from domain.settings import Settings
from domain.trade import Exit, Order
from domain.version import Version
from storage import artifacts, audit, decisions, orders, registry, tables, trades
from storage.engine import Store, reading, writing
from tests.storage.made import (
    AT,
    DAY,
    MINUTE,
    anything,
    fill,
    hold,
    position,
    tamper,
    trade,
    version,
    veto,
    want,
)


@pytest.fixture
def lived(store: Store) -> Store:
    """Give a store with two chains: decisions, an order, a fill, a trade and a checkpoint."""
    batch = [want(1), hold(2), hold(3, bot="anchor"), hold(4).add(veto(Reason.STALE))]
    first = decisions.seal(store, batch, anything, AT + DAY)[0]
    orders.record_fill(store, fill(first.id), position(first))
    closing = position(first)
    order = Order.closing(closing, 2, Exit.PROFIT_TARGET, AT + 2 * DAY)
    orders.place(store, order, AT + 2 * DAY)
    trades.close(store, fill(order.id), trade(first))
    audit.append(store, audit.DESK, "config", {"who": "operator", "limit": 0.3}, AT)
    audit.checkpoint(store, AT + 3 * DAY)
    return store


def test_an_empty_store_verifies(store: Store) -> None:
    assert audit.verify(store) == audit.Verified(chains=0, records=0, decisions=0, checkpoints=0)


def test_an_honest_record_verifies(lived: Store) -> None:
    proven = audit.verify(lived)
    assert proven == audit.Verified(chains=3, records=8, decisions=4, checkpoints=3)
    assert proven.ok
    assert audit.verify(lived, "anchor") == audit.Verified(
        chains=1, records=1, decisions=1, checkpoints=1
    )


def test_each_bot_has_a_chain_of_its_own_that_starts_at_one(lived: Store) -> None:
    assert [r.seq for r in audit.records(lived, "fortress")] == [1, 2, 3, 4, 5, 6]
    [alone] = audit.records(lived, "anchor")
    assert (alone.seq, alone.prev) == (1, audit.GENESIS)
    assert [r.kind for r in audit.records(lived, "fortress", "fill")] == ["fill", "fill"]
    assert [r.seq for r in audit.records(lived, "fortress", limit=2)] == [5, 6]


# What is done to the database, and where verification must point.
TAMPERED = {
    "audit body": (
        "UPDATE audit SET body = replace(body, 'sell', 'sel1') WHERE bot = 'fortress' AND seq = 1",
        r"fortress 1: its hash is not the one of its content",
    ),
    "audit hash": (
        "UPDATE audit SET hash = 'x' || substr(hash, 2) WHERE bot = 'anchor'",
        r"anchor 1: its hash is not the one of its content",
    ),
    "audit link": (
        f"UPDATE audit SET prev = '{audit.GENESIS}' WHERE bot = 'fortress' AND seq = 3",
        r"fortress 3: it does not name the record before it",
    ),
    "audit time": (
        "UPDATE audit SET at = '2017-03-04T21:00:00.000001Z' WHERE bot = 'fortress' AND seq = 2",
        r"fortress 2: its hash",
    ),
    "audit kind": (
        "UPDATE audit SET kind = 'note' WHERE bot = 'desk'",
        r"desk 1: its hash",
    ),
    "audit gap": (
        "DELETE FROM audit WHERE bot = 'fortress' AND seq = 2",
        r"fortress 2: it is missing; the next one is 3",
    ),
    "audit tail": (
        "DELETE FROM audit WHERE bot = 'fortress' AND seq = 6",
        r"fortress: no record tells of trade",
    ),
    "audit tail of the desk": (
        "DELETE FROM audit WHERE bot = 'desk'",
        r"desk 1: records 1 to 1 are gone; the checkpoint of 2017-03-06",
    ),
    "decision body": (
        "UPDATE decisions SET body = replace(body, 'quantity\":2', 'quantity\":3')"
        " WHERE quantity = 2",
        r"fortress \d: the body of decision fortress-SPX-20170303T2101Z was changed",
    ),
    "decision quantity": (
        "UPDATE decisions SET quantity = 3 WHERE quantity = 2",
        r"fortress \d: the row of decision fortress-SPX-20170303T2101Z is not the one",
    ),
    "decision code": (
        "UPDATE decisions SET code = 'OK', layer = NULL WHERE code = 'STALE'",
        r"fortress \d: the row of decision fortress-SPX-20170303T2104Z is not the one",
    ),
    "decision time": (
        "UPDATE decisions SET asof = '2017-03-03T21:02:00.000001Z' WHERE bar LIKE '%:02:%'",
        r"fortress \d: the row of decision fortress-SPX-20170303T2102Z is not the one",
    ),
    "decision made": (
        "UPDATE decisions SET created_at = '2017-03-03T21:02:00.000001Z' WHERE bar LIKE '%:02:%'",
        r"fortress \d: the row of decision fortress-SPX-20170303T2102Z is not the one",
    ),
    "decision sealed": (
        "UPDATE decisions SET sealed_at = '2017-03-04T21:00:00.000001Z' WHERE quantity = 2",
        r"fortress \d: the row of decision fortress-SPX-20170303T2101Z is not the one",
    ),
    "decision of another bot": (
        "UPDATE decisions SET bot = 'anchor' WHERE bar LIKE '%:02:%'",
        r"fortress \d: the row of decision fortress-SPX-20170303T2102Z is not the one",
    ),
    "decision open again": (
        "UPDATE decisions SET status = 'PENDING' WHERE bar LIKE '%:02:%'",
        r"fortress \d: the row of decision fortress-SPX-20170303T2102Z is not the one",
    ),
    "fill price": ("UPDATE fills SET price = 5.5", r"fortress \d: the fill .* was changed"),
    "trade profit": ("UPDATE trades SET pnl = 4400", r"fortress \d: the trade .* was changed"),
    "trade reason": ("UPDATE trades SET why = 'luck'", r"fortress \d: the trade .* was changed"),
    "trade gone": ("DELETE FROM trades", r"fortress \d: the trade .* is about is gone"),
    "order enlarged": (
        "UPDATE orders SET body = replace(body, 'quantity\":2', 'quantity\":9')"
        " WHERE intent = 'open'",
        r"fortress: order fortress-SPX-20170303T2101Z is not what its decision says",
    ),
    "order of a hold": (
        "INSERT INTO orders SELECT 'x', id, bot, symbol, 'open', 'open', 2, '{}', asof"
        " FROM decisions WHERE code = 'STALE'",
        r"fortress: order x is not what its decision says",
    ),
}


@pytest.mark.parametrize("what", TAMPERED)
def test_verification_names_what_was_changed(lived: Store, what: str) -> None:
    statement, named = TAMPERED[what]
    tamper(lived, statement.replace(":", r"\:"))
    proven = audit.verify(lived)
    assert not proven.ok
    assert re.match(named, str(proven.fault)), proven.fault


# What is done to a version that was registered, promoted and told of both times.
VERSION_TAMPERED = {
    "body": "UPDATE versions SET body = replace(body, '900', '999')",
    "artifact": "UPDATE versions SET sha256 = 'x' || substr(sha256, 2)",
    "training": "UPDATE versions SET trained_at = '2017-03-03T21:00:00.000001Z'",
    "no training": "UPDATE versions SET trained_at = 'never'",
    "name": "UPDATE versions SET version = 'another'",
    "gone": "DELETE FROM versions",
}


@pytest.fixture
def served(store: Store) -> Version:
    """Give the champion of a store in which nothing else has happened."""
    artifacts.put(store, b"a model")
    made = version(b"a model")
    registry.register(store, made)
    why = registry.Why(who="gate", reason="the first")
    registry.promote(store, made.model, made.version, None, why, AT)
    return made


@pytest.mark.parametrize("what", VERSION_TAMPERED)
def test_verification_names_the_version_that_was_changed(
    store: Store, served: Version, what: str
) -> None:
    assert audit.verify(store) == audit.Verified(chains=1, records=2, decisions=0, checkpoints=0)
    tamper(store, VERSION_TAMPERED[what].replace(":", r"\:"))
    named = f"desk 1: the version wisdom {served.version} (it is about is gone|was changed)"
    for chain in (None, "desk"):
        assert re.fullmatch(named, str(audit.verify(store, chain).fault))
    assert audit.verify(store, "fortress").ok


@pytest.mark.parametrize("ruling", ["reject", "retire"])
def test_a_ruling_tells_of_the_version_it_is_about(
    store: Store, served: Version, ruling: str
) -> None:
    """A version of an older build was not told of when it was registered."""
    told = {"model": served.model, "version": served.version}
    tamper(store, "DELETE FROM audit")
    audit.append(store, "desk", "register", told, AT)
    why = registry.Why(who="me", reason="drill")
    if ruling == "retire":
        registry.retire(store, served.model, served.version, why, AT)
    else:
        tamper(store, "DELETE FROM pointers")
        registry.rule(store, served.model, served.version, registry.Ruling.REJECT, why, AT)
    assert audit.verify(store).ok
    tamper(store, VERSION_TAMPERED["body"])
    assert str(audit.verify(store).fault).startswith("desk 2: the version wisdom")


@pytest.mark.parametrize(
    ("statement", "now"),
    [
        ("UPDATE pointers SET version = 'forged'", "forged"),
        ("DELETE FROM pointers", "None"),
        ("INSERT INTO pointers (model, version, revision) VALUES ('xgb', 'forged', 9)", "forged"),
    ],
)
def test_a_champion_that_was_moved_past_the_chain_is_found(
    store: Store, served: Version, statement: str, now: str
) -> None:
    assert audit.verify(store).ok
    tamper(store, statement)
    model, known = ("xgb", "None") if "xgb" in statement else (served.model, served.version)
    told = f"desk 2: the champion of {model} is {now}, and up to here the chain knows of {known}"
    assert str(audit.verify(store).fault) == told
    assert audit.verify(store, "fortress").ok


def test_the_champion_is_the_one_that_was_promoted_rolled_back_to_or_none(
    store: Store, served: Version
) -> None:
    artifacts.put(store, b"another model")
    second = version(b"another model")
    registry.register(store, second)
    why = registry.Why(who="me", reason="drill")
    registry.promote(store, served.model, second.version, served.version, why, AT)
    assert audit.verify(store).ok
    registry.rollback(store, served.model, second.version, why, AT)
    assert audit.verify(store).ok
    registry.retire(store, served.model, served.version, why, AT)
    assert audit.verify(store).ok


def test_a_deleted_decision_is_missed(lived: Store) -> None:
    tamper(lived, "DELETE FROM decisions WHERE bot = 'anchor'")
    fault = audit.verify(lived).fault
    assert str(fault) == "anchor 1: the decision anchor-SPX-20170303T2103Z it is about is gone"


def test_a_body_and_its_hash_changed_together_do_not_pass(lived: Store) -> None:
    with reading(lived) as conn:
        body = conn.scalar(text("SELECT body FROM decisions WHERE bot = 'anchor'"))
    forged = body.replace("quiet", "noisy").replace('"reason":""', '"reason":"!"', 1)
    sha = sha256(forged.encode()).hexdigest()
    change = "UPDATE decisions SET body = :body, sha256 = :sha WHERE bot = 'anchor'"
    tamper(lived, change, body=forged, sha=sha)
    assert "anchor 1: the row of decision" in str(audit.verify(lived).fault)


@pytest.mark.parametrize("kind", ["decision", "fill", "trade"])
def test_a_row_written_past_the_chain_is_found(lived: Store, kind: str) -> None:
    names = ", ".join(
        c.name if c.name != "id" else "id || '-forged'"
        for c in tables.metadata.tables[f"{kind}s"].c
    )
    where = "bot = 'anchor'" if kind == "decision" else "true"
    tamper(lived, f"INSERT INTO {kind}s SELECT {names} FROM {kind}s WHERE {where}")
    fault = audit.verify(lived).fault
    assert re.search(rf"no record tells of {kind} .*-forged", str(fault))
    other = "fortress" if kind == "decision" else "anchor"
    assert audit.verify(lived, other).ok


def test_one_chain_can_be_verified_while_another_is_broken(lived: Store) -> None:
    tamper(lived, "UPDATE audit SET hash = 'x' || substr(hash, 2) WHERE bot = 'anchor'")
    assert audit.verify(lived, "fortress").ok
    assert not audit.verify(lived, "anchor").ok


def test_a_tail_that_was_cut_is_named_by_the_checkpoint(lived: Store) -> None:
    """Everything of the last two records is removed, so the chain alone looks whole."""
    for table in ("trades", "fills"):
        tamper(lived, f"DELETE FROM {table}")
    tamper(lived, "DELETE FROM audit WHERE bot = 'fortress' AND seq >= 4")
    fault = audit.verify(lived).fault
    assert (fault.bot, fault.seq) == ("fortress", 4)
    assert fault.what.startswith("records 4 to 6 are gone; the checkpoint of 2017-03-06T21:00")
    assert audit.verify(lived, "desk").ok


def test_a_chain_rewritten_with_the_key_is_named_by_the_checkpoint(lived: Store) -> None:
    tamper(lived, "DELETE FROM audit WHERE bot = 'desk'")
    audit.append(lived, audit.DESK, "config", {"who": "nobody"}, AT)
    assert str(audit.verify(lived).fault).startswith("desk 1: it is not what the checkpoint of")


def test_checkpoints_are_written_for_chains_that_have_grown(lived: Store) -> None:
    assert audit.checkpoint(lived, AT + 4 * DAY) == []
    audit.append(lived, audit.DESK, "note", {}, AT + 4 * DAY)
    [grown] = audit.checkpoint(lived, AT + 4 * DAY)
    assert (grown.bot, grown.seq) == ("desk", 2)
    assert audit.verify(lived).checkpoints == 4


def test_a_checkpoint_taken_out_of_the_file_is_missed(lived: Store) -> None:
    file = lived.home / audit.CHECKPOINTS
    file.write_text("".join(file.read_text().splitlines(keepends=True)[1:]))
    assert re.match(
        r"anchor 1: its checkpoint .* is gone from the file", str(audit.verify(lived).fault)
    )
    assert audit.verify(lived, "fortress").ok


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ('"seq":1', '"seq":2', "line 1 is not signed with our key"),
        ("{", "", "line 1 is no checkpoint"),
    ],
)
def test_a_changed_checkpoint_file_is_refused(lived: Store, old: str, new: str, what: str) -> None:
    file = lived.home / audit.CHECKPOINTS
    file.write_text(file.read_text().replace(old, new, 1))
    assert what in str(audit.verify(lived).fault)
    with pytest.raises(IntegrityError, match=what):
        audit.kept_lines(lived)


def test_another_key_proves_nothing(
    lived: Store, settings: Settings, opened: Callable[..., Store]
) -> None:
    (lived.home / "audit.key").write_text("00" * 32)
    with pytest.raises(IntegrityError, match=r"audit.key did not sign record 1 of anchor"):
        opened(settings)


@pytest.mark.parametrize("statement", ["UPDATE {0} SET {1} = {1}", "DELETE FROM {0}"])
@pytest.mark.parametrize(
    ("table", "column"),
    [("audit", "body"), ("decisions", "body"), ("fills", "price"), ("trades", "pnl")],
)
def test_the_database_itself_keeps_what_was_recorded(
    lived: Store, table: str, column: str, statement: str
) -> None:
    def change() -> None:
        with writing(lived) as conn:
            conn.execute(text(statement.format(table, column)))

    with pytest.raises(IntegrityError, match=r"the database refuses it: .*(never|append-only)"):
        change()
    assert audit.verify(lived).ok


@pytest.mark.postgres
def test_postgresql_refuses_to_empty_the_chain(lived: Store) -> None:
    def empty() -> None:
        with writing(lived) as conn:
            conn.execute(text("TRUNCATE audit"))

    if lived.file is None:
        with pytest.raises(IntegrityError, match="never deleted"):
            empty()


def test_nothing_to_record_records_nothing(store: Store) -> None:
    with writing(store) as conn:
        audit.extend(conn, store, [], AT)
    assert audit.verify(store).records == 0


def test_a_bar_in_a_name_is_refused(store: Store) -> None:
    with pytest.raises(Refused, match="no bar"):
        audit.append(store, "a|1", "note", {}, AT)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)
bodies = st.dictionaries(st.text(max_size=8), json_values, max_size=4)


@hypothesis_settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(told=st.lists(bodies, min_size=1, max_size=6), data=st.data())
def test_one_flipped_bit_anywhere_is_found_at_its_record(
    lite: Store, told: list[dict[str, object]], data: st.DataObject
) -> None:
    tamper(lite, "DELETE FROM audit")
    with writing(lite) as conn:
        audit.extend(conn, lite, [audit.Entry("bot", "note", body) for body in told], AT)
    assert [r.body for r in audit.records(lite, "bot")] == json.loads(json.dumps(told))
    seq = data.draw(st.integers(1, len(told)))
    column = data.draw(st.sampled_from(["prev", "hash", "kind", "body", "at"]))
    with reading(lite) as conn:
        old = conn.scalar(text(f"SELECT {column} FROM audit WHERE seq = :seq"), {"seq": seq})
    place = data.draw(st.integers(0, len(old) - 1))
    new = old[:place] + chr(ord(old[place]) ^ 1) + old[place + 1 :]
    tamper(lite, f"UPDATE audit SET {column} = :new WHERE seq = :seq", new=new, seq=seq)
    fault = audit.verify(lite).fault
    assert fault is not None
    assert (fault.bot, fault.seq) == ("bot", seq)


def test_moments_are_recorded_to_the_microsecond(store: Store) -> None:
    at = AT.replace(microsecond=7)
    audit.append(store, "fortress", "note", {"n": 0.1}, at)
    [record] = audit.records(store, "fortress")
    assert (record.at, record.body) == (at, {"n": 0.1})
    with pytest.raises(ValueError, match="no time zone"):
        audit.append(store, "fortress", "note", {}, at.replace(tzinfo=None))


def test_a_chain_goes_on_where_it_ended(lived: Store) -> None:
    decisions.seal(lived, [hold(9)], anything, AT + 9 * MINUTE)
    assert [r.seq for r in audit.records(lived, "fortress", limit=1)] == [7]
    assert audit.verify(lived).ok
