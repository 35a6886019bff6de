"""Risk at stake: reserved by the transaction that seals a decision, released when it is closed."""

from collections.abc import Mapping, Sequence

from pydantic import AwareDatetime
from sqlalchemy import Connection, bindparam, select, update

from domain.book import Exposure
from storage import tables
from storage.engine import Store, reading

_TABLE = tables.exposures
_OPEN = (
    select(*(_TABLE.c[name] for name in Exposure.model_fields))
    .where(_TABLE.c.released_at.is_(None))
    .order_by(_TABLE.c.id)
)
_OF_ID = update(_TABLE).where(_TABLE.c.id == bindparam("of"), _TABLE.c.released_at.is_(None))


def held(store: Store) -> tuple[Exposure, ...]:
    """Return every open reservation of the desk, oldest id first."""
    with reading(store) as conn:
        return current(conn)


def current(conn: Connection) -> tuple[Exposure, ...]:
    """Return the open reservations as this transaction sees them."""
    rows = conn.execute(_OPEN).all()
    return tuple(Exposure(**dict(zip(Exposure.model_fields, row, strict=True))) for row in rows)


def reserve(conn: Connection, exposures: Sequence[Exposure], at: AwareDatetime) -> None:
    """Reserve risk. Only `decisions.seal` calls this, holding the desk's row."""
    rows = [exposure.model_dump() | {"reserved_at": at} for exposure in exposures]
    if rows:
        conn.execute(tables.insert(conn, _TABLE), rows)


def adjust(conn: Connection, risks: Mapping[str, float]) -> None:
    """Set the risk that open reservations still carry, dollars by decision id."""
    if risks:
        conn.execute(
            _OF_ID.values(risk=bindparam("left")),
            [{"of": key, "left": risk} for key, risk in risks.items()],
        )


def release(conn: Connection, key: str, at: AwareDatetime) -> None:
    """Give a reservation back. Releasing it again changes nothing."""
    conn.execute(_OF_ID.values(released_at=bindparam("gone")), [{"of": key, "gone": at}])
