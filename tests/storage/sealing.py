"""A process of its own that seals: ``python -m tests.storage.sealing``.

Arguments: home, database URL (or empty), name of the bot, number of the first draft, attempts,
units of the limit (0: drafts that want nothing). After each batch it gives up to a batch of its
reservations back, so that the limit is fought for until the end. Killed, it tries ten batches more.
"""

import sys
from pathlib import Path

from domain.decision import Reason
from domain.settings import Settings
from storage import decisions, exposure
from storage.engine import open_store, writing
from tests.storage.made import AT, MINUTE, hold, want, within

BATCH, UNIT = 5, 4_560.0


def main(home: str, url: str, bot: str, first: int, attempts: int, limit: int) -> None:
    store = open_store(Settings(home=Path(home), database_url=url), 60.0)
    mine: list[str] = []
    killed = 0
    for start in range(first, first + attempts, BATCH):
        numbers = range(start, start + BATCH)
        drafts = [want(n, bot, quantity=1) if limit else hold(n, bot) for n in numbers]
        sealed = decisions.seal(store, drafts, within(limit * UNIT), AT + MINUTE)
        mine += [decision.id for decision in sealed if decision.quantity]
        with writing(store) as conn:
            for key in mine[:BATCH]:
                exposure.release(conn, key, AT + MINUTE)
        del mine[:BATCH]
        killed += sealed[0].code is Reason.KILLED
        if killed == 10:
            break
    store.close()


if __name__ == "__main__":
    main(*sys.argv[1:4], *map(int, sys.argv[4:7]))
