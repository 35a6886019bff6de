"""The audit trail: what was decided and why, decided again, proven, taken along."""

from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api import opening, render
from api.verbs.common import Explain, Json
from domain.errors import Refused

if TYPE_CHECKING:
    from storage.engine import Store

app = typer.Typer(
    help="The audit trail: list, show, decide again, verify, export.", no_args_is_help=True
)

INTEGRITY = 6
SAMPLE = 200

OfBot = Annotated[str | None, typer.Option("--bot", help="Only of this bot.")]
OfSymbol = Annotated[str | None, typer.Option("--symbol", help="Only of this symbol.")]
OfCode = Annotated[str | None, typer.Option("--code", help="Only with this reason code.")]
OfAction = Annotated[str | None, typer.Option("--action", help="buy, sell or hold.")]


@app.command("list")
def listing(  # noqa: PLR0913 -- options
    ctx: typer.Context,
    bot: OfBot = None,
    symbol: OfSymbol = None,
    code: OfCode = None,
    action: OfAction = None,
    since: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="First day.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="So many of the newest.")] = 20,
    json: Json = False,
) -> None:
    """List decisions, newest first, and count why there was no trade."""
    from datetime import UTC

    from domain.decision import Reason
    from storage import decisions

    wanted = {
        "bot": bot.lower() if bot else None,
        "symbol": symbol.upper() if symbol else None,
        "code": code.upper() if code else None,
        "action": action.lower() if action else None,
    }
    if wanted["code"] and wanted["code"] not in set(Reason):
        raise Refused(f"no reason code {code!r}; there are {', '.join(Reason)}")
    first = since.replace(tzinfo=UTC) if since else None
    with opening.store(ctx) as store:
        lines = decisions.listing(store, **wanted, since=first, limit=limit)
        counted = decisions.count_by(
            store, "bot", "symbol", "code", "action", "layer", "status", since=first
        )
    causes: Counter[tuple[str, str]] = Counter()
    for (of, about, why, did, layer, _), n in counted.items():
        row = {"bot": of, "symbol": about, "code": why, "action": did}
        if all(value in (None, row[name]) for name, value in wanted.items()):
            causes[layer or "", why or "pending"] += n
    if json:
        render.emit(
            {
                "total": sum(causes.values()),
                "causes": [
                    {"layer": layer or None, "code": why, "n": n}
                    for (layer, why), n in causes.most_common()
                ],
                "decisions": [line._asdict() for line in lines],
            }
        )
        return
    _show(causes, lines)


def _show(causes: Counter[tuple[str, str]], lines: list[Any]) -> None:
    total = sum(causes.values())
    if not total:
        render.show(
            "no decision is recorded that fits; `omega replay` or `omega decide` makes some"
        )
        return
    rows = [
        (
            line.id,
            f"{line.asof:%Y-%m-%d %H:%MZ}",
            (line.action or line.status).lower(),
            line.quantity or "",
            line.layer or "",
            line.code if line.code not in (None, "OK") else "",
            render.number(line.probability, 3) if line.probability is not None else "",
        )
        for line in lines
    ]
    columns = ("decision", "decided~", "action", ">units", "stopped by", "code", ">p")
    of = f"The newest {len(lines)} of {total:,} decisions"
    counts = [
        (
            layer or "not stopped",
            why if why != "OK" else "traded",
            f"{n:,}",
            render.percent(n / total),
        )
        for (layer, why), n in causes.most_common()
    ]
    why = render.table(f"Why, of all {total:,}", ("layer", "code", ">n", ">share"), counts)
    render.show(render.spaced(render.table(of, columns, rows), why))


@app.command()
def show(
    ctx: typer.Context,
    key: Annotated[str, typer.Argument(metavar="ID", help="Of a decision.")],
    why: Explain = False,
    json: Json = False,
) -> None:
    """Show one decision whole: verdicts, models, numbers, its order, its place in the chain."""
    from storage import decisions

    with opening.store(ctx) as store:
        made = decisions.get(store, key)
        proof = _proof(store, made.bot, key)
        order = _order(store, key)
        closed = _closed(store, made.bot, key)
    if json:
        render.emit(render.plain(made) | {"chain": proof, "order": order, "trades": closed})
        return
    facts = {
        "order": order and f"{order['action']} {order['quantity']}, {order['status']}",
        "outcome": "; ".join(
            f"{t.why} {render.dollars(t.pnl)} ({t.r:+.2f} R) on {t.closed_at:%Y-%m-%d}"
            for t in closed
        ),
        "chain": proof and f"{made.bot} {proof['seq']}, {proof['hash'][:16]}",
    }
    told = [render.why(made)] if why else []
    render.show(render.decision(made), *told, render.spaced(render.pairs(facts)))


def _proof(store: "Store", bot: str, key: str) -> dict[str, Any] | None:
    from storage import audit

    for record in reversed(audit.records(store, bot, kind="decision")):
        if record.ref == key:
            return {"seq": record.seq, "hash": record.hash, "prev": record.prev}
    return None


def _order(store: "Store", key: str) -> dict[str, Any] | None:
    from storage import orders

    try:
        order, standing = orders.get(store, key)
    except Refused:
        return None
    return {"action": order.action, "quantity": order.quantity, "status": standing}


def _closed(store: "Store", bot: str, key: str) -> list[Any]:
    from storage import trades

    return [trade for trade in trades.trades(store, bot=bot) if trade.decision_id == key]


@app.command()
def replay(
    ctx: typer.Context,
    key: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="Of a decision; else a sample.")
    ] = None,
    sample: Annotated[
        int | None, typer.Option(min=1, help=f"So many, drawn by the seed; {SAMPLE} by default.")
    ] = None,
    json: Json = False,
) -> None:
    """Decide again from the record, without artifacts, and compare hash for hash."""
    from orchestrator.replay import check
    from storage import decisions

    if key is not None and sample is not None:
        raise Refused("say an ID or --sample, not both")
    seed = opening.settings(ctx).seed
    with opening.store(ctx) as store:
        if key is not None:
            records = [decisions.get(store, key)]
        else:
            records = decisions.sample(store, sample or SAMPLE, seed)
    found = check(records)
    if json:
        render.emit(found)
    else:
        render.show(f"{found.equal} of {found.asked} decided again to the same hash")
    if found.different:
        render.complain(f"not the same: {', '.join(found.different)}")
        raise typer.Exit(INTEGRITY)


@app.command()
def verify(ctx: typer.Context, bot: OfBot = None, json: Json = False) -> None:
    """Prove every chain and every row it tells of. Exit code 6 names the first bad record."""
    from storage import audit, engine

    # Not `open_store`: it refuses damage, and here the damage is to be named.
    store = engine.connect(opening.settings(ctx))
    try:
        if engine.state(store).current is None:
            raise Refused("nothing is recorded in this home yet: there is no chain to prove")
        found = audit.verify(store, bot)
        if found.ok:
            engine.integrity(store)
    finally:
        store.close()
    if json:
        render.emit(found.model_dump(mode="json") | {"ok": found.ok})
    elif found.ok:
        render.show(
            f"whole: {found.records:,} records in {found.chains} chains, {found.decisions:,} "
            f"decisions, {found.checkpoints:,} checkpoints"
        )
    if found.fault is not None:
        render.complain(f"the first bad record is {found.fault}")
        raise typer.Exit(INTEGRITY)


@app.command()
def export(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="Where to; one JSON record a line.")],
    bot: OfBot = None,
    json: Json = False,
) -> None:
    """Write the chains to a file, with the signatures, for whoever wants to keep or check them."""
    from domain.values import canonical
    from storage import audit

    written: dict[str, int] = {}
    with opening.store(ctx) as store:
        names = [bot] if bot else list(audit.heads(store))
        fresh = file.with_name(f".{file.name}.part")
        with fresh.open("w") as out:
            for name in names:
                chain = audit.records(store, name)
                out.writelines(canonical(record) + "\n" for record in chain)
                written[name] = len(chain)
    if not sum(written.values()):
        fresh.unlink()
        raise Refused("nothing is recorded that fits, so nothing was written")
    fresh.replace(file)
    told = {"file": str(file), "records": sum(written.values()), "chains": written}
    if json:
        render.emit(told)
    else:
        render.show(f"{told['records']:,} records of {len(written)} chains in {file}")
