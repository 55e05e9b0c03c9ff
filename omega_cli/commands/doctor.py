"""`omega doctor`."""

from __future__ import annotations

import typer

from omega_cli import options, render

EPILOG = "Example: omega doctor --store ./living-room --json"


def doctor(
    store: options.Store = None,
    catalog: options.CatalogName = None,
    embedder: options.EmbedderName = None,
    model: options.ModelFolder = None,
    json: options.Json = False,
) -> None:
    """Try everything that a TV needs, tell what is wrong and what to do; exit code 1 if something failed.

    Versions, settings, clock, disk, model, store and daemon are looked at; then a brain with a store of its own
    observes, recommends, searches and starts again. What the household has is only read.
    """
    from omega.core.settings import resolve
    from omega.doctor.examine import examine

    resolved = resolve({"store": store, "catalog": catalog, "embedder": embedder, "model": model})
    with render.steps() as step:
        checks = list(examine(resolved, progress=step))
    if json:
        render.json(checks)
    else:
        render.rich(render.checks(checks))
        render.line(_verdict([check.outcome for check in checks]))
    if any(check.outcome == "fail" for check in checks):
        raise typer.Exit(1)


def _verdict(outcomes: list[str]) -> str:
    failed, warned = outcomes.count("fail"), outcomes.count("warn")
    if failed:
        return f"{failed} of {len(outcomes)} checks failed: the lines after do say how to mend it"
    return f"nothing failed; {warned} of {len(outcomes)} checks warn" if warned else "all is well"
