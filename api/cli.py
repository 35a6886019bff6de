"""The `omega` command: its verbs, and what each kind of failure ends with."""

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException

from api import render
from api.opening import Chosen
from api.verbs import (
    control,
    data,
    db,
    decide,
    doctor,
    drill,
    fleet,
    learn,
    models,
    operate,
    queues,
    replay,
    standings,
    structures,
    trail,
)
from domain.errors import OmegaError

INTERRUPTED = 130


class Omega(TyperGroup):
    """The group of all verbs. It turns every failure into one sentence and an exit code."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        """Run a verb and exit with its code; errors on purpose leave no traceback."""
        words = forward(sys.argv[1:] if args is None else args)
        json = "--json" in words
        try:
            code = super().main(words, prog_name or "omega", standalone_mode=False, **extra)
            sys.stdout.flush()
        except OmegaError as error:
            leave(json, type(error).__name__, str(error), error.exit_code)
        except TyperException as error:
            hint = getattr(getattr(error, "ctx", None), "command_path", "omega")
            said = error.format_message().rstrip(".")
            leave(json, "Usage", f"{said}; see `{hint} --help`", error.exit_code)
        except BrokenPipeError:
            # Whoever read our output has gone. What is left to flush goes nowhere, in silence.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(1)
        except OSError as error:
            said = f"{error.filename}: {error.strerror}" if error.filename else str(error)
            leave(json, type(error).__name__, said, 1)
        except typer.Abort:
            leave(json, "Interrupted", "interrupted; what was recorded is whole", INTERRUPTED)
        if code == INTERRUPTED:
            leave(json, "Interrupted", "interrupted; what was recorded is whole", INTERRUPTED)
        sys.exit(code if isinstance(code, int) else 0)


def forward(words: Sequence[str]) -> list[str]:
    """Return the words with ``--home PATH`` in front, wherever it stood.

    Examples
    --------
    >>> forward(["status", "--home", "x", "--json"])
    ['--home', 'x', 'status', '--json']
    """
    first: list[str] = []
    rest: list[str] = []
    left = iter(words)
    for word in left:
        if word == "--home":
            first += [word, *(value for value in (next(left, None),) if value is not None)]
        elif word.startswith("--home="):
            first.append(word)
        else:
            rest.append(word)
            if word == "--":
                rest += left
    return first + rest


def leave(json: bool, kind: str, message: str, code: int) -> NoReturn:
    """Say what went wrong, on stderr and with ``--json`` on stdout too, and exit."""
    if json:
        render.emit({"error": {"kind": kind, "message": message, "exit_code": code}})
    render.complain(message)
    sys.exit(code)


app = typer.Typer(
    name="omega",
    cls=Omega,
    invoke_without_command=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    help=(
        "Decides what a desk of trading bots does next, and can prove why.\n\n"
        "Exit codes: 0 ok, 1 failure, 2 usage, 3 configuration, 4 vetoed or halted, "
        "5 broker or database unreachable, 6 integrity, 7 timeout, 130 interrupted."
    ),
)


@app.callback()
def omega(
    ctx: typer.Context,
    home: Annotated[
        Path | None,
        typer.Option(
            help="The one folder that everything lies in; else OMEGA_HOME, else ./var.",
            show_default=False,
        ),
    ] = None,
) -> None:
    ctx.obj = Chosen(home)
    if ctx.invoked_subcommand is None:
        typer.echo(ctx.get_help())


Verb = Callable[..., None]

VERBS: dict[str, dict[str, Verb | typer.Typer]] = {
    "Trade": {"replay": replay.replay, "decide": decide.decide},
    "Learn": {"train": learn.train, "validate": learn.validate, "models": models.app},
    "Control": {"kill": control.kill, "resume": control.resume, "status": control.status},
    "Prove": {"trail": trail.app, "report": operate.report, "standings": standings.standings},
    "Data": {"data": data.app, "gex": data.gex, "structures": structures.structures},
    "Live": {
        "up": fleet.up,
        "worker": fleet.worker,
        "beat": fleet.beat,
        "flower": fleet.flower,
    },
    "Operate": {
        "queues": queues.app,
        "bots": operate.bots,
        "schedule": operate.schedule,
        "doctor": doctor.doctor,
        "drill": drill.drill,
        "db": db.app,
    },
}
"""Every verb, by the heading it stands under in ``omega --help``."""

for heading, verbs in VERBS.items():
    for name, verb in verbs.items():
        if isinstance(verb, typer.Typer):
            app.add_typer(verb, name=name, rich_help_panel=heading)
        else:
            app.command(name, rich_help_panel=heading)(verb)


def main() -> None:
    """Run the command line."""
    app(prog_name="omega")
