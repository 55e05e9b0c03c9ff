"""`./run docs`: writes what can be written from the program itself, so that it is never out of date.

docs/cli.md comes from the commands' help, docs/demo.svg from a demo, the README's figures from `omega prove`, the codes
and the dump of docs/wire.md from the code that reads frames.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.text import Text

from omega.claims.claim import rounded
from omega.claims.every import prove
from omega.core.errors import WireCode
from omega.core.machine import run_fresh, single_blas_thread
from omega.core.settings import resolve
from omega.core.wire import dump
from omega_cli import render
from omega_cli.app import app

if TYPE_CHECKING:
    from collections.abc import Iterator

    from omega.claims.claim import Result

ROOT = Path(__file__).parent.parent
CLI_PAGE = ROOT / "docs" / "cli.md"
PICTURE = ROOT / "docs" / "demo.svg"
README = ROOT / "README.md"
WIRE_PAGE = ROOT / "docs" / "wire.md"
MARKS = ("<!-- figures -->\n", "<!-- /figures -->")
_WIDTH = 100
_PICTURE_WIDTH = 130


def cli_page() -> str:
    """Return docs/cli.md: the help of every command."""
    app.rich_markup_mode = None
    parts = ["# Command line\n", "Made by `./run docs` from the commands' own help.\n"]
    for name, text in _helps(typer.main.get_command(app), "omega", None):
        parts.append(f"{'#' * min(name.count(' ') + 2, 4)} {name}\n\n```text\n{text}\n```\n")
    return "\n".join(parts)


def figures(results: list[Result]) -> str:
    """Return the README's table of claims."""
    rows = ["| claim | what | measured | promised | oracle |", "|---|---|---|---|---|"]
    for found in results:
        unit = "" if found.unit == "1" else f" {found.unit}"
        measured = "not run" if found.measured is None else f"{rounded(found.measured)}{unit}"
        promised = f"{found.bound} {found.target:g}{unit}"
        rows.append(f"| {found.name} | {found.what} | {measured} | {promised} | {found.oracle} |")
    return "\n".join(rows) + "\n"


def with_figures(readme: str, table: str) -> str:
    """Return the README with the table between its marks."""
    return _between(readme, MARKS, table)


def wire_page() -> str:
    """Return docs/wire.md with the codes of refusals and the fields of an example frame."""
    codes = ", ".join(f"{code.value} {code.name.lower()}" for code in WireCode) + ".\n"
    frame = (ROOT / "tests" / "vectors" / "push-5.bin").read_bytes()
    page = _between(WIRE_PAGE.read_text(), ("<!-- codes -->\n", "<!-- /codes -->"), codes)
    return _between(page, ("<!-- dump -->\n", "<!-- /dump -->"), f"```text\n{dump.table(frame)}```\n")


def _between(page: str, marks: tuple[str, str], text: str) -> str:
    before, rest = page.split(marks[0])
    return before + marks[0] + text + marks[1] + rest.split(marks[1], maxsplit=1)[1]


def main() -> int:
    """Write every page and return an exit code; the figures are measured now, and written only if every claim holds."""
    CLI_PAGE.write_text(cli_page())
    render.note(f"wrote {CLI_PAGE}")
    WIRE_PAGE.write_text(wire_page())
    render.note(f"wrote the codes and bytes of {WIRE_PAGE}")
    _draw()
    render.note(f"wrote {PICTURE}")
    single_blas_thread()
    with render.steps() as step:
        results = list(prove(resolve().settings, slow=True, progress=step))
    if broken := [f"{r.name} {r.measured}, promised {r.bound} {r.target}" for r in results if not r.held]:
        render.error(f"{README.name} keeps its figures, these don't hold: {'; '.join(broken)}")
        return 1
    README.write_text(with_figures(README.read_text(), figures(results)))
    render.note(f"wrote the figures of {README}")
    return 0


def _helps(command: Any, name: str, parent: Any) -> Iterator[tuple[str, str]]:
    """Give (name, help) of a command and those below it."""
    context = command.context_class(
        command, info_name=name.rsplit(maxsplit=1)[-1], parent=parent, terminal_width=_WIDTH
    )
    yield name, "\n".join(line.rstrip() for line in command.get_help(context).strip().splitlines())
    for below in getattr(command, "commands", {}).values():
        yield from _helps(below, f"{name} {below.name}", context)


def _draw() -> None:
    colors = {"FORCE_COLOR": "1", "TERM": "xterm-256color", "COLUMNS": str(_PICTURE_WIDTH)}
    printed = run_fresh([sys.executable, "-m", "omega_cli", "demo"], environment=colors).decode()
    with Path(os.devnull).open("w") as nowhere:
        console = Console(record=True, width=_PICTURE_WIDTH, file=nowhere, force_terminal=True)
        console.print(Text.from_ansi(printed))
        PICTURE.write_text(console.export_svg(title="omega demo"))


if __name__ == "__main__":
    sys.exit(main())
