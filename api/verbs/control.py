"""Stopping the desk, letting it go on, and seeing how it stands."""

from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from api import opening, render
from api.verbs.common import DryRun, Json, Watch, Who, Why
from domain.errors import Refused

if TYPE_CHECKING:
    from rich.console import RenderableType

    from domain.book import Scope, Switch, Switches
    from domain.bot import Bot
    from storage.engine import Store

All = Annotated[str | None, typer.Argument(metavar="[all]", help="`all` means the whole desk.")]
OfBot = Annotated[str | None, typer.Option("--bot", help="One bot.")]
OfSymbol = Annotated[str | None, typer.Option("--symbol", help="One symbol, whichever bot.")]
OfStrategy = Annotated[str | None, typer.Option("--strategy", help="Every bot of one strategy.")]


def kill(  # noqa: PLR0913 -- options
    ctx: typer.Context,
    reason: Why,
    everything: All = None,
    bot: OfBot = None,
    symbol: OfSymbol = None,
    strategy: OfStrategy = None,
    reduce: Annotated[
        bool, typer.Option("--reduce", help="REDUCING instead of HALTED; both refuse entries.")
    ] = False,
    who: Who = None,
    json: Json = False,
    dry_run: DryRun = False,
) -> None:
    """Throw a kill switch: no entries until a person resumes. Exits always pass."""
    from domain.book import Mode
    from risk import killswitch
    from storage import switches

    scope, target = _target(everything, bot, symbol, strategy)
    allowed = Mode.REDUCING if reduce else Mode.HALTED
    by = who or opening.login()
    latch = killswitch.human(scope, target, reason, by, opening.now(), allowed)
    with opening.store(ctx) as store:
        if not dry_run:
            latch = switches.throw(store, latch)
        revision = switches.read(store).revision
    if json:
        render.emit({"switch": latch, "revision": revision, "dry_run": dry_run})
        return
    over = _over(scope, target)
    would = "would be " if dry_run else ""
    render.show(
        f"{over} {would}{allowed.upper()}: {latch.reason} -- {latch.who}",
        "Entries are refused, exits pass. It holds until `omega resume` with a reason.",
    )


def resume(  # noqa: PLR0913 -- options
    ctx: typer.Context,
    reason: Why,
    everything: All = None,
    bot: OfBot = None,
    symbol: OfSymbol = None,
    strategy: OfStrategy = None,
    who: Who = None,
    json: Json = False,
    dry_run: DryRun = False,
) -> None:
    """Release the switches of one target. It takes a person, and a reason.

    A bot begins its drawdown and its losing streak anew: somebody has looked.
    """
    from domain.book import Scope
    from orchestrator import books
    from storage import switches
    from trading.bots.catalog import find

    scope, target = _target(everything, bot, symbol, strategy)
    if not reason.strip():
        raise Refused("a release needs a reason: say with --reason what was found and mended")
    by, at = who or opening.login(), opening.now()
    with opening.store(ctx) as store:
        seen = switches.read(store)
        ids = switches.find(store, scope, target)
        revision = seen.revision if seen.readable else None
        if not ids and scope is not Scope.BOT:
            raise Refused(f"no switch is set for {_over(scope, target)}; `omega status` shows them")
        if not dry_run:
            if ids:
                switches.release(store, ids, by, reason, human=True, at=at, revision=revision)
            if scope is Scope.BOT:
                books.acknowledge(store, find(target), by, reason, at)
        left = [s for s in switches.read(store).latches if s.id not in ids]
    if json:
        render.emit({"released": ids, "left": left, "dry_run": dry_run})
        return
    would = "would be released" if dry_run else "released"
    render.show(f"{_over(scope, target)}: {len(ids)} {would}")
    if left:
        render.show(_latches(left, "Still set"))


def _target(
    everything: str | None, bot: str | None, symbol: str | None, strategy: str | None
) -> tuple["Scope", str]:
    """Return the one thing that was named.

    Raises
    ------
    Refused
        Nothing or several things were named, or something that is not there: a switch for a name
        nobody has stops nothing.
    """
    from domain.book import Scope
    from trading.bots.catalog import BOTS, find

    given = [word for word in (everything, bot, symbol, strategy) if word is not None]
    if len(given) != 1:
        raise Refused("say one of: all, --bot NAME, --symbol SYMBOL, --strategy NAME")
    if everything is not None:
        if everything != "all":
            raise Refused(f"{everything!r}: say all, or --bot, --symbol or --strategy")
        return Scope.ALL, "*"
    if bot is not None:
        return Scope.BOT, find(bot.lower()).name
    if strategy is not None:
        known = sorted({b.strategy for b in BOTS.values()})
        if strategy not in known:
            raise Refused(f"no bot has the strategy {strategy!r}; there are {', '.join(known)}")
        return Scope.STRATEGY, strategy
    traded = sorted({s for b in BOTS.values() for s in b.symbols})
    if str(symbol).upper() not in traded:
        raise Refused(f"no bot trades {symbol!r}; they trade {', '.join(traded)}")
    return Scope.SYMBOL, str(symbol).upper()


def _over(scope: "Scope", target: str) -> str:
    return "the whole desk" if target == "*" else f"{scope} {target}"


def status(ctx: typer.Context, json: Json = False, watch: Watch = False) -> None:
    """Show how the desk stands: modes, money, champions, the newest data, the chains."""
    see = render.watched if watch else render.seen
    see(lambda: _standing(ctx), _drawn, json)


def _standing(ctx: typer.Context) -> dict[str, Any]:
    from orchestrator import drill
    from orchestrator.view import punctuality
    from storage import audit, registry, switches
    from workers import watch

    at = opening.now()
    chosen = opening.settings(ctx)
    with opening.store(ctx) as store:
        seen = switches.read(store)
        data = _data(store, at)
        # On packaged history the desk's clock stands where the record ends, not at today.
        packaged = chosen.feed != "files" and data["newest_bar"] is not None
        bots = _bots(store, seen, data["newest_bar"] if packaged else at)
        versions = registry.versions(store)
        champions = [v for v in versions if v.stage == "champion"]
        chains = {bot: {"seq": seq, "hash": sha} for bot, (seq, sha) in audit.heads(store).items()}
        alive = watch.roles(chosen, store, at)
        pace = punctuality(store)
        drilled = drill.last(store)
    return {
        "home": str(chosen.home),
        "database": "sqlite" if store.file else "postgresql",
        "feed": chosen.feed,
        "at": at,
        "readable": seen.readable,
        "revision": seen.revision,
        "latches": seen.latches,
        "degraded": pace.degraded,
        "degraded_since": pace.since if pace.degraded else None,
        "bots": bots,
        "champions": {v.model: v.version for v in sorted(champions, key=lambda v: v.model)},
        "champions_trained": {v.model: v.trained_at for v in champions},
        "trained": max((v.trained_at for v in versions), default=None),
        "data": data,
        "chains": chains,
        "roles": alive,
        "drills": {
            name: {"at": one.at, "passed": one.passed, "stale": at - one.at > drill.STALE}
            for name, one in drilled.items()
        },
    }


def _bots(store: "Store", seen: "Switches", at: Any) -> dict[str, dict[str, Any]]:
    from storage import decisions, state, trades
    from trading.accounting import Account
    from trading.bots.catalog import BOTS

    kept = state.listing(store, "account/")
    held = trades.positions(store)
    found = {}
    for name, bot in BOTS.items():
        account = (
            Account.model_validate(kept[f"account/{name}"].body)
            if f"account/{name}" in kept
            else Account.of(bot)
        )
        own = [position for position in held if position.bot == name]
        last = next(iter(decisions.listing(store, bot=name, limit=1)), None)
        allowed, partly = _mode(seen, bot, at)
        found[name] = {
            "title": bot.title,
            "mode": allowed,
            "symbols_stopped": partly,
            "equity": account.equity,
            "capital": account.capital,
            "day_pnl": account.day_pnl,
            "drawdown": account.drawdown,
            "trades": account.trades,
            "positions": len(own),
            "at_risk": sum(position.risk for position in own),
            "last": None
            if last is None
            else {
                "id": last.id,
                "asof": last.asof,
                "action": last.action or last.status.lower(),
                "code": last.code,
            },
        }
    return found


def _mode(seen: "Switches", bot: "Bot", at: Any) -> tuple[str, list[str]]:
    """Return what the bot may do, and where a switch stops it for some of its symbols only."""
    from risk import killswitch

    modes = {s: killswitch.mode(seen, bot.name, bot.strategy, s, at)[0] for s in bot.symbols}
    if len(set(modes.values())) == 1:
        return modes[bot.symbols[0]], []
    return "active", sorted(s for s, m in modes.items() if m != "active")


def _data(store: "Store", at: Any) -> dict[str, Any]:
    """Return the newest bar that was decided on, and how old it is by the wall clock."""
    from storage import decisions

    newest = next((line for line in decisions.listing(store, limit=50) if line.sealed_at), None)
    if newest is None:
        return {"newest_bar": None, "age_days": None}
    bar = decisions.get(store, newest.id).context.bar
    return {"newest_bar": bar, "age_days": round((at - bar).total_seconds() / 86_400, 2)}


def _drawn(told: dict[str, Any]) -> "RenderableType":
    from orchestrator import drill

    rows = [
        (
            bot["title"],
            render.mode(bot["mode"])
            if not bot["symbols_stopped"]
            else f"not {', '.join(bot['symbols_stopped'])}",
            render.dollars(bot["equity"]),
            render.dollars(bot["equity"] - bot["capital"]),
            render.percent(bot["drawdown"]),
            bot["trades"],
            bot["positions"],
            render.NONE
            if bot["last"] is None
            else f"{bot['last']['asof']:%Y-%m-%d} {bot['last']['action']}"
            + (f" {bot['last']['code']}" if bot["last"]["code"] not in (None, "OK") else ""),
        )
        for bot in told["bots"].values()
    ]
    columns = ("bot", "mode~", ">equity", ">net", ">drawdown", ">trades", ">open", "last decision~")
    parts: list[Any] = [render.table("", columns, rows)]
    if not told["readable"]:
        parts.append("The kill switches cannot be read, so everything counts as HALTED.")
    if told["degraded"]:
        since = render.when(told["degraded_since"])
        parts.append(
            f"Degraded since {since}: decisions come too late, so they are for half the size."
        )
    if told["latches"]:
        parts.append(_latches(told["latches"], "Switches that are set"))
    bar = told["data"]["newest_bar"]
    trained = told["champions_trained"]
    names = [f"{m} {v[:6]} ({trained[m]:%Y-%m-%d})" for m, v in told["champions"].items()]
    heads = [f"{bot} {head['seq']:,} {head['hash'][:8]}" for bot, head in told["chains"].items()]
    facts = {
        "champions": ", ".join(names) or "none; train with `omega train --all`",
        "newest bar": "none was seen yet"
        if bar is None
        else f"{render.when(bar)}, {told['data']['age_days']:,.0f} days ago by the wall clock",
        "chains": ", ".join(heads) or "nothing is recorded yet",
        "home": f"{told['home']} ({told['database']}, feed {told['feed']})",
        "roles": ", ".join(
            f"{name} {'alive' if role['alive'] else 'DEAD'}" for name, role in told["roles"].items()
        )
        or "no fleet is up; `omega up` starts one",
        "kill switch": _drilled(told["drills"].get(drill.KILL_SWITCH)),
    }
    return render.spaced(*parts, render.pairs(facts))


def _drilled(last: dict[str, Any] | None) -> Text:
    """Return when the kill switch was last tried, in red where that says nothing any more."""
    if last is None:
        return Text("never tried: `omega drill kill-switch`", "yellow")
    told = f"{'worked' if last['passed'] else 'FAILED'} when last tried, {render.when(last['at'])}"
    if last["passed"] and not last["stale"]:
        return Text(told)
    return Text(f"{told}, which is too long ago" if last["stale"] else told, "bold red")


def _latches(latches: "list[Switch] | tuple[Switch, ...]", title: str) -> Any:
    rows = [
        (
            render.mode(s.mode),
            _over(s.scope, s.target),
            s.code,
            s.reason,
            s.who,
            render.when(s.set_at),
            render.when(s.expires_at) if s.expires_at else "a person resumes",
        )
        for s in latches
    ]
    return render.table(title, ("mode", "over", "code", "why~", "who", "since", "until~"), rows)
