"""One decision now, with the verdict of every layer."""

from threading import Event
from time import monotonic
from typing import TYPE_CHECKING, Annotated

import typer

from api import opening, render
from api.verbs.common import DryRun, Explain, Json
from domain.errors import Refused, TimedOut

if TYPE_CHECKING:
    from domain.bot import Bot
    from domain.decision import Context, OmegaDecision
    from orchestrator.desk import Desk

HELD = 4
POLL = 0.003
"""Seconds between two looks at the record."""


def decide(  # noqa: PLR0913 -- options
    ctx: typer.Context,
    bot: Annotated[str, typer.Argument(help="Which bot; `omega bots` lists them.")],
    symbol: Annotated[
        str | None, typer.Argument(help="What to trade; may be left out where a bot trades one.")
    ] = None,
    inline: Annotated[
        bool, typer.Option("--inline", help="Run the layers here, without a queue.")
    ] = False,
    timeout: Annotated[
        float, typer.Option(min=0.001, help="Seconds to wait for the workers.")
    ] = 10.0,
    why: Explain = False,
    json: Json = False,
    dry_run: DryRun = False,
) -> None:
    """Decide now, on the newest bar. Exit code 4 says HOLD, with the reason."""
    with opening.desk(opening.settings(ctx)) as desk:
        render.note(opening.playing(desk))
        asked = desk.bot(bot.lower())
        about = _symbol(asked, symbol)
        if dry_run:
            made = _only_think(desk, asked, about)
        elif inline:
            made = _here(desk, asked, about)
        else:
            made = _queued(desk, asked, about, timeout)
    if json:
        render.emit(render.plain(made) | {"recorded": not dry_run})
    else:
        render.show(render.decision(made), *([render.why(made)] if why else []))
    if made.code == "UNTRAINED":
        render.note("nothing to ask yet: `omega train --all` trains every model")
    if dry_run:
        render.note("dry run: nothing was recorded")
    if made.action == "hold":
        raise typer.Exit(HELD)


def _symbol(bot: "Bot", symbol: str | None) -> str:
    if symbol is not None:
        return symbol.upper()
    if len(bot.symbols) > 1:
        raise Refused(
            f"{bot.name} trades {len(bot.symbols)} symbols, say which: {', '.join(bot.symbols)}"
        )
    return bot.symbols[0]


def _only_think(desk: "Desk", bot: "Bot", symbol: str) -> "OmegaDecision":
    from orchestrator import pipeline

    if symbol not in bot.symbols:
        raise Refused(f"{bot.name} does not trade {symbol}; it trades {', '.join(bot.symbols)}")
    [context] = desk.gather(bot, [symbol], desk.view(desk.clock.now()))
    return pipeline.decide(context, desk.answers())


def _here(desk: "Desk", bot: "Bot", symbol: str) -> "OmegaDecision":
    from orchestrator import pipeline

    [made] = desk.seal([pipeline.run(desk.ask(bot, symbol), desk.answers())])
    return made


def _queued(desk: "Desk", bot: "Bot", symbol: str, timeout: float) -> "OmegaDecision":
    """Send it through the queue to real workers, as a scan does, and wait for what they record.

    Raises
    ------
    OperationalError
        The broker does not answer. It is closed as a HOLD.
    TimedOut
        No worker sealed it in `timeout` seconds. It is closed as a HOLD.
    """
    from kombu.exceptions import OperationalError

    from orchestrator import canvas
    from storage import decisions
    from workers import embedded

    with embedded.client(desk.settings, "decision"):
        context = desk.ask(bot, symbol)
        try:
            canvas.publish([context])
        except OperationalError:
            # Nobody waits for it any longer: it must not be published again, and trade, later on.
            # Only the broker's answer may be lost, though, and a worker have it done already.
            why = "the broker does not answer"
            ended = decisions.fail(desk.store, context, why, desk.clock.now())
            if ended.failed:
                raise
            return ended.decision
        return _sealed(desk, context, timeout)


def _sealed(desk: "Desk", context: "Context", timeout: float) -> "OmegaDecision":
    from storage import decisions

    until, tick = monotonic() + timeout, Event()
    while not (found := decisions.many(desk.store, [context.id])):
        if monotonic() > until:
            late = f"no worker had answered after {timeout:g} s"
            ended = decisions.fail(desk.store, context, late, desk.clock.now())
            if ended.failed:
                raise TimedOut(f"{context.id}: {late}; it was closed as a HOLD")
            return ended.decision  # sealed since the last look
        tick.wait(POLL)
    return found[0]
