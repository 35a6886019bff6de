"""The table of the bots, on the record of two months."""

import pytest

from domain.settings import Settings
from learning.feedback import verified
from market.feeds.packaged import Packaged
from orchestrator import report
from storage import engine, trades
from trading.bots.catalog import BOTS


def test_the_table_has_every_bot_and_the_index(omega) -> None:
    rows = omega("standings", "--json").json["standings"]
    assert {row["name"] for row in rows[:-1]} == set(BOTS)
    assert (rows[-1]["name"], rows[-1]["place"], rows[-1]["exposure"]) == ("index", None, 1.0)
    assert all((row["place"] is None) == bool(row["reason"]) for row in rows)
    shown = omega("standings").out
    assert all(bot.title in shown for bot in BOTS.values())
    assert "SPX, held" in shown


def test_a_row_is_the_money_of_the_bot(omega) -> None:
    rows = {row["name"]: row for row in omega("standings", "--json").json["standings"]}
    store = engine.open_store(Settings(home=omega.home))
    try:
        told = report.summarise(store, Packaged(), Settings(home=omega.home), verified)
        closed = trades.trades(store)
    finally:
        store.close()
    assert closed
    for name, bot in told.bots.items():
        row = rows[name]
        assert row["gain"] == pytest.approx(bot.money.gain, abs=1e-12)
        assert row["trades"] == bot.record.n
        spent = sum(trade.costs for trade in closed if trade.bot == name)
        assert row["costs"] == pytest.approx(spent / BOTS[name].capital)
        for measure in ("sharpe", "max_drawdown", "profit_factor", "win_rate"):
            recorded = getattr(bot.record, measure)
            assert (row[measure] is None) == (recorded is None)
            if recorded is not None:
                assert row[measure]["value"] == pytest.approx(recorded.value)
    assert {row.name: row.place for row in told.standings} == {
        name: row["place"] for name, row in rows.items()
    }


def test_a_window_is_a_part_of_the_record(omega) -> None:
    january = ("--since", "2016-01-04", "--until", "2016-01-29")
    rows = omega("standings", *january, "--json").json["standings"]
    assert {row["sessions"] for row in rows} == {19}
    whole = omega("standings", "--json").json["standings"]
    assert {row["sessions"] for row in whole} == {43}
    assert sum(row["trades"] for row in rows) < sum(row["trades"] for row in whole)


def test_a_window_without_a_session_is_refused(omega, fresh) -> None:
    said = omega("standings", "--since", "2019-01-01")
    assert said.code == 2
    assert "the record has 2016-01-04 to 2016-03-04" in said.err
    assert fresh("standings").code == 2
    assert omega("standings", "--since", "January").code == 2
