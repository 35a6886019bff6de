"""The nine option structures now: legs, prices, what they can gain and lose, and their Greeks."""

from math import isfinite, nan
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from api import opening, render
from api.verbs.common import Json
from domain.errors import DataError, Refused

if TYPE_CHECKING:
    from domain.book import Costs
    from domain.units import Greeks, PerContract, PerShare
    from market.quotes import Board
    from trading.structures.offer import Structured
    from trading.structures.scanner import Scan

STEP = 5.0
"""Between the strikes of the index near the money, where none are listed."""


class Seen(NamedTuple):
    """What there is to trade, and what is known beside it."""

    board: "Board"
    costs: "Costs"
    vix: float | None
    gamma: float | None


def structures(
    ctx: typer.Context,
    symbol: Annotated[
        str | None, typer.Argument(help="Underlying; else the chain's, or the feed's index.")
    ] = None,
    chain: Annotated[
        Path | None,
        typer.Option(help="An option chain, .csv or .csv.gz; else simulated on the newest bar."),
    ] = None,
    horizon: Annotated[int, typer.Option(min=1, help="Sessions to expiry, as near as listed.")] = 5,
    view: Annotated[
        tuple[float, float] | None,
        typer.Option(
            metavar="RISE FALL",
            help="Probabilities of a rise and of a fall by more than half a percent: ranks them.",
            show_default=False,
        ),
    ] = None,
    size: Annotated[
        float | None,
        typer.Option(
            min=0.0001,
            max=0.9999,
            help="With --view: the move expected, whichever way; 0.01 is 1 %.",
            show_default=False,
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Price all nine option structures, and with a view rank them by what it makes of them."""
    from trading.structures import scanner

    if size is not None and view is None:
        raise Refused("--size is part of a view; give --view RISE FALL with it")
    if view is not None and not (min(view) >= 0 and sum(view) <= 1):
        raise Refused(f"--view {view[0]:g} {view[1]:g}: give two probabilities, at most 1 together")
    if chain is None:
        seen = _simulated(ctx, symbol, horizon)
    else:
        seen = _listed(ctx, symbol, chain, horizon)
    built, refused = _built(seen)
    ranked = None
    if view is not None:
        rise, fall = view
        expects = scanner.View(
            bullish=rise,
            neutral=max(0.0, 1 - rise - fall),
            bearish=fall,
            size=size,
            vix=seen.vix,
            gamma=seen.gamma,
        )
        ranked = scanner.scan(seen.board, expects, seen.costs)
    if json:
        render.emit(_plain(seen.board, built, refused, ranked))
    else:
        _show(seen.board, built, refused, ranked)


def _listed(ctx: typer.Context, symbol: str | None, path: Path, horizon: int) -> Seen:
    from market import chain, gex, quotes

    found = chain.read(path, "SPX" if symbol is None else symbol.upper())
    if symbol is not None and found.symbol != symbol.upper():
        raise Refused(f"{path.name} is a chain on {found.symbol}, not on {symbol.upper()}")
    try:
        gamma = gex.measure(found).net
    except DataError:
        gamma = None  # no open interest, say: its sign is unknown, and the prices are not
    return Seen(quotes.nearest(found, horizon), opening.settings(ctx).costs, None, gamma)


def _simulated(ctx: typer.Context, symbol: str | None, horizon: int) -> Seen:
    from market import quotes, window
    from market.features.base import TAIL
    from orchestrator import sight

    with opening.desk(opening.settings(ctx)) as desk:
        render.note(opening.playing(desk))
        tail = window.until(desk.feed.panel(), desk.clock.now(), TAIL)
        costs = desk.settings.costs
    index = tail.symbols[0]
    if symbol is not None and symbol.upper() != index:
        raise Refused(
            f"options are simulated on {index} alone, of which VIX is known; "
            f"for {symbol.upper()} give a file of quotes with --chain"
        )
    surface = sight.surface(tail, sight.moment(tail, -1)) if len(tail) else None
    if surface is None:
        raise DataError(
            f"{index} has no volatility at its newest bar: that takes VIX and 23 closes; "
            "give a file of quotes with --chain"
        )
    known = {name: float(values[-1]) for name, values in tail.series.items()}
    vix, gamma = (
        known[name] if isfinite(known.get(name, nan)) else None for name in ("VIX", "GEX_NET")
    )
    return Seen(quotes.Simulated(surface, horizon, STEP), costs, vix, gamma)


def _built(seen: Seen) -> "tuple[list[Structured], dict[str, str]]":
    from trading.structures.catalog import NINE
    from trading.structures.offer import build

    built, refused = [], {}
    for name in NINE:
        try:
            built.append(build(name, seen.board, seen.costs))
        except DataError as error:
            refused[name] = str(error)
    return built, refused


def _implied(board: "Board", found: "Structured") -> float:
    from market import quotes
    from trading.structures import odds
    from trading.structures.scanner import BAND

    world = odds.lognormal(board.forward, quotes.deviation(board), BAND)
    return odds.odds(found, world).probability


def _plain(
    board: "Board",
    built: "list[Structured]",
    refused: dict[str, str],
    ranked: "Scan | None",
) -> dict[str, Any]:
    from market import quotes

    return {
        "symbol": board.symbol,
        "asof": board.asof,
        "spot": board.spot,
        "forward": board.forward,
        "horizon": board.horizon,
        "expires": board.expires,
        "vol": board.vol,
        "expected_move": quotes.move(board),
        "simulated": built[0].label if built else board.label,
        "structures": [_one(board, found) for found in built],
        "refused": refused,
        "ranked": None if ranked is None else _ranked(ranked),
    }


def _one(board: "Board", found: "Structured") -> dict[str, Any]:
    from trading.structures.catalog import NINE

    return {
        "structure": found.structure,
        "title": NINE[found.structure].title,
        "legs": [
            priced.leg.model_dump(mode="json")
            | priced.quote.model_dump(mode="json", include={"bid", "ask", "mid", "vol"})
            for priced in found.legs
        ],
        "entry": _both(found.entry),
        "natural": _both(found.natural),
        "costs": _both(found.costs),
        "max_gain": _both(found.max_gain),
        "max_gain_is_bounded": found.max_gain is not None,
        "max_loss": _both(found.max_loss),
        "break_evens": found.break_evens,
        "implied_probability": _implied(board, found),
        "greeks": {
            "per_share": _greeks(found.greeks),
            "per_contract": _greeks(found.contract_greeks),
        },
    }


def _ranked(ranked: "Scan") -> dict[str, Any]:
    return {
        "priced_move": ranked.priced_move,
        "expected_move": ranked.expected_move,
        "candidates": [
            one.model_dump(mode="json", exclude={"found", "expected"})
            | {"structure": one.found.structure, "expected_per_contract": one.expected.amount}
            for one in ranked.candidates
        ],
    }


def _both(amount: "PerShare | None") -> dict[str, float] | None:
    from trading.structures.offer import contract

    if amount is None:
        return None
    return {"per_share": amount.amount, "per_contract": contract(amount).amount}


def _greeks(greeks: "Greeks[PerShare] | Greeks[PerContract]") -> dict[str, float]:
    return {
        "delta": greeks.delta.amount,
        "gamma": greeks.gamma.amount,
        "theta": greeks.theta.amount,
        "vega": greeks.vega.amount,
    }


def _show(
    board: "Board",
    built: "list[Structured]",
    refused: dict[str, str],
    ranked: "Scan | None",
) -> None:
    from market import quotes

    until = "" if board.expires is None else f", expiry {render.when(board.expires)}"
    facts = {
        "spot": f"{board.spot:,.2f}",
        "forward": f"{board.forward:,.2f}",
        "sessions": f"{board.horizon:.4g}{until}",
        "at the money": f"{board.vol:.2%} a year, a move of {quotes.move(board):,.1f} points",
        "label": board.label or "quoted: mid, and natural with every bid and ask crossed",
    }
    parts = [render.pairs(facts, f"{board.symbol} structures  {render.when(board.asof)}")]
    if built:
        parts += [_legs(built), _prices(board, built), _sensitivities(built)]
    if ranked is not None:
        parts.append(_candidates(ranked))
    render.show(render.spaced(*parts))
    for name, why in refused.items():
        render.note(f"{name} refused: {why}")


def _legs(built: "list[Structured]") -> Any:
    rows = [
        (
            found.structure,
            ", ".join(leg.words for leg in found.bare),
        )
        for found in built
    ]
    return render.table("", ("", "legs~"), rows)


def _prices(board: "Board", built: "list[Structured]") -> Any:
    from trading.structures.offer import contract

    rows = []
    for found in built:
        gain = found.max_gain
        rows.append(
            (
                found.structure,
                f"{found.entry.amount:+,.2f}",
                render.NONE if found.natural is None else f"{found.natural.amount:+,.2f}",
                "unbounded" if gain is None else render.dollars(contract(gain).amount),
                render.dollars(contract(found.max_loss).amount),
                " ".join(f"{spot:,.0f}" for spot in found.break_evens) or render.NONE,
                f"{_implied(board, found):.0%}",
            )
        )
    columns = ("", ">at mid", ">natural", ">won", ">lost", ">breaks even", ">wins")
    title = (
        "A credit is +, a debit -, in points. Won and lost: at most, in $ a contract, after costs. "
        "Wins: how likely, as implied at the money"
    )
    return render.table(title, columns, rows)


def _sensitivities(built: "list[Structured]") -> Any:
    rows = []
    for found in built:
        mine = _greeks(found.greeks).values()
        theirs = _greeks(found.contract_greeks).values()
        rows.append(
            (
                found.structure,
                *(f"{value:+.{digits}f}" for value, digits in zip(mine, (3, 4, 2, 2), strict=True)),
                *(
                    f"{value:+,.{digits}f}"
                    for value, digits in zip(theirs, (1, 2, 0, 0), strict=True)
                ),
            )
        )
    names = (">delta", ">gamma", ">theta", ">vega")
    title = "Greeks per share, then $ per contract; theta a session, vega a point of volatility"
    return render.table(title, ("", *names, *names), rows)


def _candidates(ranked: "Scan") -> Any:
    rows = [
        (
            one.found.structure,
            one.direction,
            f"{one.implied:.1%}",
            f"{one.probability:.1%}",
            render.dollars(one.expected.amount),
            f"{one.edge:+.3f}",
            f"{one.stake:.1%}" if one.stake else "0",
            one.reason,
        )
        for one in ranked.candidates
    ]
    title = (
        f"By this view: {ranked.expected_move:.2%} expected, {ranked.priced_move:.2%} priced, "
        "whichever way"
    )
    columns = ("", "suits", ">implied", ">wins", ">expected", ">edge", ">size", "why~")
    return render.table(title, columns, rows)
