"""Options that many verbs have, worded and spelt the same everywhere."""

from pathlib import Path
from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead.")]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Say what would happen, and change nothing.")
]
Watch = Annotated[bool, typer.Option("--watch", help="Look again every two seconds, until Ctrl-C.")]
Why = Annotated[str, typer.Option("--reason", help="Why; it goes into the record.")]
Explain = Annotated[
    bool, typer.Option("--why", help="Also what every feature added to each model's answer.")
]
Who = Annotated[
    str | None, typer.Option("--who", help="Who asks; else the login name.", show_default=False)
]
Out = Annotated[
    Path | None, typer.Option("--report", help="Where the page goes; else into the home.")
]
