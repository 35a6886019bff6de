"""Drills: a fault is played on the running system, which says pass or fail, with times."""

import sys
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from api import opening, render
from api.verbs.common import Json
from domain.errors import Refused

if TYPE_CHECKING:
    from orchestrator.drill import Check, Drilled


def drill(
    ctx: typer.Context,
    name: Annotated[
        str | None, typer.Argument(help="Which; left out, they are listed.", show_default=False)
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask first.")] = False,
    json: Json = False,
) -> None:
    """Play a fault on the running desk and see whether it does what it should.

    Decisions of a bot that never trades are under way meanwhile. Exit code 1 if it failed.
    """
    from workers import drills

    if name is None:
        _list(ctx, json)
        return
    if name not in drills.DRILLS:
        raise Refused(f"there is no drill {name!r}; there are {', '.join(drills.DRILLS)}")
    if not yes and name != "kill-switch":
        _ask(name)
    with opening.desk(opening.settings(ctx)) as desk:
        render.note(opening.playing(desk))
        played = drills.play(desk, name)
    if json:
        render.emit(played)
    else:
        render.show(_shown(played), _verdict(played))
    if not played.passed:
        raise typer.Exit(1)


def _ask(name: str) -> None:
    """Let a person say yes; elsewhere it must have been said with the verb."""
    from workers.drills import DRILLS

    if not sys.stdin.isatty():
        raise Refused(f"the drill {name} breaks what is running: say --yes")
    what = (DRILLS[name].__doc__ or "").strip()
    typer.confirm(f"{what} Play it on the fleet that is up?", abort=True)


def _shown(played: "Drilled") -> Any:
    rows = [(_mark(check), check.what, _seconds(check), check.told) for check in played.checks]
    return render.table("", ("", "what~", ">seconds", "seen~"), rows)


def _mark(check: "Check") -> Text:
    return Text("\N{CHECK MARK}", "green") if check.ok else Text("\N{MULTIPLICATION X}", "red")


def _seconds(check: "Check") -> str:
    if check.seconds is None:
        return render.NONE
    took = f"{check.seconds:.3f}" if check.seconds < 1 else f"{check.seconds:.1f}"
    return took if check.aim is None else f"{took} of {check.aim:g}"


def _verdict(played: "Drilled") -> str:
    return f"{played.name}: {'passed' if played.passed else 'FAILED'}"


def _list(ctx: typer.Context, json: bool) -> None:
    from orchestrator import drill as results
    from workers.drills import DRILLS

    at = opening.now()
    with opening.store(ctx) as store:
        last = results.last(store)
    if json:
        render.emit({"drills": {name: last.get(name) for name in DRILLS}})
        return
    rows = [
        (name, (function.__doc__ or "").strip(), standing(last.get(name), at))
        for name, function in DRILLS.items()
    ]
    render.show(render.table("", ("drill", "what is played~", "last~"), rows))


def standing(played: "Drilled | None", at: datetime) -> str:
    """Return how the last drill of a kind ended and how old it is, in a few words."""
    from orchestrator.drill import STALE

    if played is None:
        return "never"
    age = at - played.at
    told = f"{'passed' if played.passed else 'FAILED'} {render.when(played.at)}"
    return f"{told}, STALE" if age > STALE else told
