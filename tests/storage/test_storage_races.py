"""Two processes at once: one limit, one kill."""

import subprocess
import sys
from pathlib import Path

from sqlalchemy import text

from domain import examples
from domain.settings import Settings
from storage import audit, exposure, switches
from storage.engine import Store, reading
from tests.storage.sealing import BATCH, UNIT

ROOT = Path(__file__).parents[2]


def sealing(
    settings: Settings, bot: str, attempts: int, limit: int, first: int = 0
) -> subprocess.Popen[str]:
    run = [sys.executable, "-W", "error", "-m", "tests.storage.sealing", str(settings.home)]
    run += [settings.database_url, bot, str(first), str(attempts), str(limit)]
    return subprocess.Popen(run, cwd=ROOT, stderr=subprocess.PIPE, text=True)


def ended(process: subprocess.Popen[str]) -> None:
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors


def count(store: Store, query: str) -> int:
    with reading(store) as conn:
        return int(conn.scalar(text(query)) or 0)


def test_two_processes_never_reserve_more_than_the_limit(store: Store, settings: Settings) -> None:
    limit = 3  # less than a batch, so every batch meets it
    racing = [sealing(settings, bot, 250, limit) for bot in ("fortress", "anchor")]
    most = 0
    while any(process.poll() is None for process in racing):
        held = exposure.held(store)
        assert sum(e.risk for e in held) <= limit * UNIT
        most = max(most, len(held))
    for process in racing:
        ended(process)
    assert sum(e.risk for e in exposure.held(store)) <= limit * UNIT
    assert 0 < most <= limit
    assert count(store, "SELECT count(*) FROM decisions WHERE status = 'SEALED'") == 500
    assert count(store, "SELECT count(*) FROM decisions WHERE code = 'TOTAL_CAP'") > 0
    opened = count(store, "SELECT count(*) FROM orders")
    assert opened == count(store, "SELECT count(*) FROM exposures")
    assert opened == count(store, "SELECT count(*) FROM decisions WHERE quantity > 0")
    both = "SELECT count(DISTINCT bot) FROM decisions WHERE status = 'SEALED'"
    assert count(store, both) == 2, "who begins later may find nothing left"
    assert audit.verify(store).ok


def test_no_order_is_committed_after_the_kill(store: Store, settings: Settings) -> None:
    orders = "SELECT count(*) FROM orders"
    process = sealing(settings, "fortress", 100_000, 1_000)
    while count(store, orders) < 5 * BATCH and process.poll() is None:
        pass
    switches.throw(store, examples.switch())
    then = count(store, orders)
    ended(process)
    assert then >= 5 * BATCH
    assert count(store, orders) == then
    assert count(store, "SELECT count(*) FROM decisions WHERE code = 'KILLED'") == 10 * BATCH
    assert audit.verify(store).ok


def test_two_processes_append_to_one_chain_in_turn(store: Store, settings: Settings) -> None:
    """Holds take no lock of the desk; the chain of their bot must still not fork."""
    both = [sealing(settings, "fortress", 250, 0, first) for first in (0, 1_000)]
    for process in both:
        ended(process)
    assert audit.verify(store) == audit.Verified(
        chains=1, records=500, decisions=500, checkpoints=0
    )
