"""`omega prove`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from omega_cli import options, render

if TYPE_CHECKING:
    from omega.claims.claim import Result

EPILOG = "Example: omega prove --only search-exact"


def prove(
    only: Annotated[list[str] | None, typer.Option(metavar="NAME", help="Only this claim; may be given again.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="The slow claims, too.")] = False,
    json: options.Json = False,
) -> None:
    """Run every public figure against its oracle and say whether it holds; exit code 1 if one doesn't."""
    from omega.compose import extra_module

    every = extra_module("omega.claims.every", "device")
    results = []
    with render.steps() as step:
        for result in every.prove(options.settings(), only or (), slow=everything, progress=step):
            results.append(result)
            if not json:
                _show(result)
    if json:
        render.json(results)
    if any(result.held is False for result in results):
        raise typer.Exit(1)


def _show(result: Result) -> None:
    from omega.claims.claim import rounded

    verdict = {True: "held", False: "BROKEN", None: "not run"}[result.held]
    found = "-" if result.measured is None else rounded(result.measured)
    target = f"{result.bound} {result.target:g} {'' if result.unit == '1' else result.unit}".strip()
    render.line(f"{verdict:8}{result.name:22}{found:>8}  {target:18} {result.what}")
    if "reason" in result.details:
        render.note(f"        {result.details['reason']}")
