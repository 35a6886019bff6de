"""The queues: how much waits in them and how long, and what failed for good."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from api import opening, render
from api.verbs.common import DryRun, Json, Watch, Who, Why
from domain.errors import Refused

if TYPE_CHECKING:
    from rich.console import RenderableType

    from storage.dead import Letter

app = typer.Typer(invoke_without_command=True, help="What waits, how long, and what failed.")
letters = typer.Typer(no_args_is_help=True, help="Dead letters: what failed for good.")
app.add_typer(letters, name="dead")


@app.callback()
def queues(ctx: typer.Context, json: Json = False, watch: Watch = False) -> None:
    """Show each queue: how many wait, how long a message took, when a worker last took one."""
    if ctx.invoked_subcommand is not None:
        return
    from workers import watch as fleet

    see = render.watched if watch else render.seen
    see(lambda: fleet.look(opening.settings(ctx), opening.now()), _drawn, json)


def _drawn(told: dict[str, Any]) -> "RenderableType":
    rows = [
        (
            name,
            render.NONE if one["waiting"] is None else f"{one['waiting']:,}",
            _seconds(one["wait_seconds"]),
            _seconds(one["silent_seconds"]),
            one["worker"] or "nobody took one yet",
        )
        for name, one in told["queues"].items()
    ]
    columns = ("queue", ">waiting", ">in the queue", ">last taken", "by")
    facts = {
        "broker": told["broker"],
        "unacknowledged": render.NONE
        if told["unacknowledged"] is None
        else f"{told['unacknowledged']:,}",
        "dead letters": f"{told['dead']:,}"
        + ("; see `omega queues dead list`" if told["dead"] else ""),
        "pending decisions": f"{told['pending']:,}",
    }
    return render.spaced(render.table("", columns, rows), render.pairs(facts))


def _seconds(value: float | None) -> str:
    if value is None:
        return render.NONE
    return f"{1000 * value:,.0f} ms" if value < 1 else f"{value:,.1f} s"


@letters.command("list")
def listing(
    ctx: typer.Context,
    every: Annotated[bool, typer.Option("--all", help="Settled ones too.")] = False,
    json: Json = False,
) -> None:
    """List what failed for good and waits for a person, newest first."""
    from storage import dead

    with opening.store(ctx) as store:
        found = dead.letters(store, every)
    if json:
        render.emit({"letters": found})
        return
    rows = [
        (one.id, render.when(one.at), one.task, one.attempts, one.error, one.settled or "waits")
        for one in found
    ]
    columns = (">letter", "at", "task", ">attempts", "error~", "state")
    table = render.table("", columns, rows)
    render.show(render.spaced(table) if rows else "No dead letter waits.")


@letters.command("show")
def show(
    ctx: typer.Context,
    number: Annotated[int, typer.Argument(help="Of the letter.")],
    json: Json = False,
) -> None:
    """Show one letter with all that it carried."""
    from storage import dead

    with opening.store(ctx) as store:
        letter = dead.get(store, number)
    if json:
        render.emit(letter)
        return
    facts = {name: str(value) for name, value in letter.model_dump(mode="json").items() if value}
    render.show(render.spaced(render.pairs(facts)))


@letters.command("requeue")
def requeue(
    ctx: typer.Context,
    number: Annotated[int, typer.Argument(help="Of the letter.")],
    reason: Why = "",
    who: Who = None,
    dry_run: DryRun = False,
) -> None:
    """Send it once more, to the queue it came from."""
    chosen = opening.settings(ctx)
    letter = _waiting(ctx, number, "requeued", reason)
    if letter.task == "decision":
        raise Refused(
            f"letter {number} is a decision that was sealed as HOLD; ask anew with "
            f"`omega decide {letter.payload['bot']} {letter.payload['symbol']}`"
        )
    if dry_run:
        render.show(f"would send {letter.task} to {letter.queue} once more")
        return
    if chosen.broker_url.startswith("memory://"):
        raise Refused(f"no worker would take it: {letter.queue} needs a fleet, `omega up`")
    from workers import embedded

    # Sent first: a letter that is settled and was never sent would be lost.
    with embedded.client(chosen, letter.queue) as client:
        # Waiting for no result: who does hangs as long as a broker that is away.
        client.send_task(letter.task, queue=letter.queue, ignore_result=True, **letter.payload)
    _settle(ctx, number, "requeued", reason, who)
    render.show(f"{letter.task} was sent to {letter.queue} once more")


@letters.command("drop")
def drop(
    ctx: typer.Context,
    number: Annotated[int, typer.Argument(help="Of the letter.")],
    reason: Why = "",
    who: Who = None,
    dry_run: DryRun = False,
) -> None:
    """Give it up; it stays in the record."""
    letter = _waiting(ctx, number, "dropped", reason)
    if not dry_run:
        _settle(ctx, number, "dropped", reason, who)
    render.show(f"{'would drop' if dry_run else 'dropped'} {letter.task}, letter {number}")


def _waiting(ctx: typer.Context, number: int, how: str, reason: str) -> "Letter":
    """Return a letter that waits for a person, who has a reason."""
    from storage import dead

    if not reason.strip():
        raise Refused(f"a dead letter is not {how} without a reason: give --reason")
    with opening.store(ctx) as store:
        letter = dead.get(store, number)
    if letter.settled:
        raise Refused(f"dead letter {number} was {letter.settled} already")
    return letter


def _settle(ctx: typer.Context, number: int, how: str, reason: str, who: str | None) -> None:
    from storage import dead

    with opening.store(ctx) as store:
        dead.settle(store, number, how, who or opening.login(), reason, opening.now())
