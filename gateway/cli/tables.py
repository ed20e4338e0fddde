"""Tables for a person's terminal, and plain text for everything else that reads them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from gateway.printable import printable

UNITS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def show_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table; where nobody's terminal is, one line a row with tabs between, cut off nowhere."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    if not console.is_terminal:
        for row in (columns, *rows):
            print("\t".join(printable(" ".join(cell.split()), keep="") for cell in row))
        return
    table = Table(box=box.SIMPLE_HEAD)
    for place, column in enumerate(columns):
        table.add_column(column, overflow="fold", no_wrap=place == 0)  # an id in two halves cannot be copied
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))  # a customer's words are no markup
    console.print(table)


def age(since: datetime, now: datetime) -> str:
    """Say how long ago something was, in its largest unit."""
    seconds = max(0, int((now - since).total_seconds()))
    size, unit = next(((size, unit) for size, unit in UNITS if seconds >= size), UNITS[-1])
    return f"{seconds // size} {unit}"
