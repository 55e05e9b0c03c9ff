"""`omega demo`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from omega_cli import options, render

if TYPE_CHECKING:
    from omega.fleet.demo import Outcome, Report

EPILOG = "Example: omega demo --keep ./tvs, then omega device recommend --store ./tvs/night-owl"


def demo(
    seed: Annotated[int, typer.Option(min=0, help="Decides what is watched when.")] = 1,
    weeks: Annotated[int, typer.Option(min=1, max=104, help="Simulated weeks.")] = 6,
    keep: Annotated[Path | None, typer.Option(help="Keep the TVs' stores in this folder.")] = None,
    json: options.Json = False,
) -> None:
    """Watch three households live for six weeks: what their TVs learn, and what they recommend, with reasons."""
    from omega.compose import run_demo

    with render.progress("embedding the catalog, once") as progress, render.timeline(quiet=json) as on_day:
        report = run_demo(options.settings(), seed=seed, weeks=weeks, keep=keep, on_day=on_day, progress=progress)
    if json:
        render.json(report)
        return
    for outcome in report.households:
        _household(outcome)
    _figures(report)
    if keep:
        render.line(f"next: omega device recommend --store {keep / report.households[0].household}")
    else:
        render.line("next: omega device init, and tell your own TV what you watched with omega device observe")


def _household(outcome: Outcome) -> None:
    render.heading(f"{outcome.household}: {outcome.about}")
    for habit in outcome.habits:
        render.line(f"  learned {habit}")
    for answer in outcome.answers:
        render.rich(render.recommendations(answer.titles[:5], answer.asked))
    lift = outcome.appeal_recommended / max(outcome.appeal_any, 1e-9)
    render.line(
        f"the household would enjoy the first ten titles {outcome.appeal_recommended:.2f} of 1, {lift:.1f} times "
        f"as much as random ones; the ten best there are {outcome.appeal_best:.2f}"
    )


def _figures(report: Report) -> None:
    timings = report.timings
    cold = f"{timings.recommend_cold_p50_ms:.1f} / {timings.recommend_cold_p99_ms:.1f} ms"
    warm = f"{timings.recommend_warm_p50_ms:.1f} / {timings.recommend_warm_p99_ms:.1f} ms"
    rows = (
        ("recommend, a mood never asked for, p50 / p99", cold),
        ("recommend, a context asked for before, p50 / p99", warm),
        ("embed one title, p50", f"{timings.embed_p50_ms:.1f} ms"),
        ("observe one event, stored, p50", f"{timings.observe_p50_ms:.2f} ms"),
        ("store of one TV", render.size(max(h.store_bytes for h in report.households))),
        ("memory of this process", f"{timings.rss_mib:.0f} MiB"),
        (
            "events, patterns",
            f"{sum(h.events for h in report.households)}, {sum(h.patterns for h in report.households)}",
        ),
        ("time", f"{report.seconds:.1f} s"),
    )
    render.heading("in figures")
    render.rich(render.table(("what", ">measured"), rows))
