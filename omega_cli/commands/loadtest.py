"""`omega loadtest`."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from omega.core.errors import InputError, shown
from omega_cli import options, render

if TYPE_CHECKING:
    from omega.loadtests.asked import Asked, Result
    from omega.loadtests.reach import Reach, Step
    from omega.loadtests.running import Moment

VOID = 9
"""Exit code of a run that says nothing of the shard, since the generator was saturated."""
EPILOG = "Example: omega loadtest --devices 100000, or omega loadtest --scenario light --duration 30s --html load.html"


def loadtest(
    devices: Annotated[
        int | None, typer.Option(help="How many TVs; alone it takes the smallest of light, medium and heavy.")
    ] = None,
    scenario: Annotated[
        str | None,
        typer.Option(help="light, medium, heavy, burst, storm, soak or mix.", show_default="medium, or by --devices"),
    ] = None,
    interval: Annotated[
        str | None, typer.Option(metavar="TIME", help="Between two syncs of a TV: 30s, 5m.", show_default="scenario's")
    ] = None,
    duration: Annotated[
        str | None, typer.Option(metavar="TIME", help="How long: 30s, 5m, 1h.", show_default="scenario's")
    ] = None,
    rate: Annotated[
        float | None, typer.Option(help="Syncs a second, in place of --interval.", show_default="devices/interval")
    ] = None,
    ramp: Annotated[str, typer.Option(metavar="TIME", help="Let the rate grow from 0 within so long.")] = "0s",
    transport: Annotated[str, typer.Option(help="http, grpc, or quic with a new connection for each sync.")] = "http",
    tls: Annotated[
        str, typer.Option(help="What TLS would cost: none, or resume or full for an https connection a sync.")
    ] = "none",
    connections: Annotated[int, typer.Option(min=1, help="HTTP connections at most.")] = 4096,
    postgres: Annotated[
        bool, typer.Option("--postgres", help="Let the shard keep its sums in a Postgres of its own.")
    ] = False,
    workers: Annotated[int, typer.Option(min=1, max=64, help="The shard's processes, with --postgres.")] = 1,
    target: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="A test shard that runs; takes --keys, --store.", show_default="one is started"
        ),
    ] = None,
    keys: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="The target's secrets, which sign tokens.", show_default="none"),
    ] = None,
    store: Annotated[
        str | None,
        typer.Option(metavar="URL", help="The target's store, where the TVs enrol.", show_default="none"),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Decides who watches what, and who comes when.")] = 1,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the plots as one HTML page.", show_default="not written")
    ] = None,
    reach: Annotated[
        bool, typer.Option("--reach", help="Rising rates, 25 s each, up to the first that doesn't hold 500 ms.")
    ] = False,
    json: options.Json = False,
) -> None:
    """Let made-up TVs sync with a shard at set times, and say whether it keeps what is promised.

    Latency counts from when a sync was due, so that no stall is left out. Each TV's row in the store is held against
    what it was acknowledged; without --target a shard is started, and its sums are, too. Exit code 1 if a threshold is
    broken, 9 if the run is void because this program was too late itself; with --reach that of the lowest rate.
    """
    from omega.compose import extra_module

    if reach:
        unmeant: dict[str, object] = {"devices": devices, "scenario": scenario, "interval": interval, "rate": rate}
        unmeant |= {"target": target, "html": html, "ramp": ramp if ramp != "0s" else None}
        if given := [name for name, value in unmeant.items() if value is not None]:
            raise InputError(f"reach comes with {given[0]}, allowed: without: it sets the rates itself")
        kept = {"transport": transport, "tls": tls, "connections": connections, "postgres": postgres}
        _reach(_seconds(duration, "duration"), seed, json=json, workers=workers, **kept)
        return
    running = extra_module("omega.loadtests.running", "load")
    asked = _asked(
        devices=devices,
        scenario=scenario,
        interval_s=_seconds(interval, "interval"),
        duration_s=_seconds(duration, "duration"),
        rate_per_s=rate,
        ramp_s=_seconds(ramp, "ramp") or 0.0,
        seed=seed,
        settings=options.settings(),
        transport=transport,
        tls=tls,
        connections=connections,
        postgres=postgres,
        workers=workers,
        target=target,
        keys=keys,
        store=store,
    )
    if html is not None and not html.absolute().parent.is_dir():
        raise InputError(f"html is {shown(str(html))}, allowed: a file in a folder that exists")
    with ExitStack() as bar, render.moments(quiet=json) as show:
        step = bar.enter_context(render.steps())

        def on_second(moment: Moment) -> None:
            bar.close()  # enrolment is over: the table has the terminal for itself
            show(moment)

        result: Result = running.run(asked, on_second=on_second, progress=step)
    if html is not None:
        extra_module("omega.loadtests.page", "load").save(result, html)
    if json:
        render.json(result)
    else:
        _show(result)
    if result.verdict != "passed":
        raise typer.Exit(VOID if result.verdict == "void" else 1)


def _reach(duration_s: float | None, seed: int, *, json: bool, **how: object) -> None:
    """Try rising rates, and show the curve."""
    from omega.compose import extra_module

    module, asked = extra_module("omega.loadtests.reach", "load"), extra_module("omega.loadtests.asked", "load")
    load = module.rising(module.RATES[0], duration_s=module.SECONDS if duration_s is None else duration_s, seed=seed)
    with render.steps() as step:

        def on_second(moment: Moment) -> None:
            step(round(min(moment.passed_s, load.duration_s)), round(load.duration_s), "load testing")

        def on_step(found: Step) -> None:
            if not json:
                render.note(f"{found.asked_per_s:,.0f} a second: {found.verdict}, p99 {found.latency_ms.p99:.1f} ms")

        given = asked.Asked(settings=options.settings(), load=load, **how)
        found: Reach = module.reach(given, on_second=on_second, progress=step, on_step=on_step)
    if json:
        render.json(found)
    else:
        columns, rows = module.cells(found)
        render.rich(render.table(columns, rows, title=f"Rates over {found.transport} on {found.store}"))
        render.line(module.sentence(found))
    if (first := found.steps[0].verdict) != "passed":
        raise typer.Exit(VOID if first == "void" else 1)


def _seconds(text: str | None, name: str) -> float | None:
    from omega.fleet.load.scenarios import seconds

    return None if text is None else seconds(text, name)


def _asked(**given: object) -> Asked:
    """Return what the flags ask for; None means that a flag wasn't given."""
    from omega.compose import extra_module

    asked, scenarios = extra_module("omega.loadtests.asked", "load"), extra_module("omega.fleet.load.scenarios", "load")
    named = ("devices", "scenario", "interval_s", "duration_s", "rate_per_s", "ramp_s", "seed")
    load = scenarios.planned(**{name: given.pop(name) for name in named})
    made: Asked = asked.Asked(load=load, **given)
    return made


def _show(result: Result) -> None:
    from omega.loadtests.page import cells, sentence

    columns, rows = cells(result)
    render.rich(render.table(columns, rows, title=f"{result.scenario}: {result.devices:,} TVs over {result.transport}"))
    for reason, count in result.reasons.items():
        render.line(f"{count:,} x {reason}")
    for check in result.checks:
        render.line(
            f"{'held' if check.held else 'BROKEN':8}{check.name}: {check.found:,.6g}, allowed {check.allowed:,.6g}"
        )
    for note in result.notes:
        render.line(note)
    render.line(sentence(result))
