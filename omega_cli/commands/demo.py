"""`omega demo`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from omega_cli import options, render

if TYPE_CHECKING:
    from collections.abc import Sequence

    from omega.fleet.report import Answer, Met, NewAnswer, Outcome, Report, Synced

_SHOWN = 5
"""How much of a list is printed."""
_COUNTED = ("rows", "waiting", "sent_bytes", "received_bytes", "round_trips")
EPILOG = "Example: omega demo --keep ./tvs, then omega device recommend --store ./tvs/night-owl"


def demo(
    seed: Annotated[int, typer.Option(min=0, help="Decides what is watched when.")] = 1,
    weeks: Annotated[int, typer.Option(min=1, max=104, help="Simulated weeks, the last ones.")] = 6,
    neighbors: Annotated[
        int, typer.Option(min=0, max=50, help="Households next door, met at two shards; 0 for none.")
    ] = 9,
    postgres: Annotated[
        bool, typer.Option("--postgres", help="Let the first shard keep its sums in a Postgres.")
    ] = False,
    transport: Annotated[
        str, typer.Option(help="How TVs speak to the shard: http, grpc, quic, or a mix of them.")
    ] = "http",
    keep: Annotated[Path | None, typer.Option(help="Keep the three TVs' stores in this folder.")] = None,
    json: options.Json = False,
) -> None:
    """Watch three households live for six weeks: what their TVs learn by themselves, and from nine neighbors.

    They sync with two shards, which hold a federation round: what these know together, and a list before and after.
    """
    from omega.demo import Meeting, run_demo

    with render.progress("embedding the catalog, once") as progress, render.timeline(quiet=json) as (on_day, on_step):
        report = run_demo(
            options.settings(),
            seed=seed,
            weeks=weeks,
            neighbors=neighbors,
            keep=keep,
            meeting=Meeting(transport, postgres),
            on_day=on_day,
            on_step=on_step,
            progress=progress,
        )
    if json:
        render.json(report)
        return
    for outcome in report.households:
        _household(outcome)
    if report.street:
        _street(report.street, report.households)
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
        render.rich(render.recommendations(answer.titles[:_SHOWN], answer.asked))
    lift = outcome.appeal_recommended / max(outcome.appeal_any, 1e-9)
    render.line(
        f"the household would enjoy the first ten titles {outcome.appeal_recommended:.2f} of 1, {lift:.1f} times "
        f"as much as random ones; the ten best there are {outcome.appeal_best:.2f}"
    )


def _street(met: Met, households: Sequence[Outcome]) -> None:
    count = len(met.round.shards)
    render.heading(f"the street: {met.neighbors} neighbors and these {len(households)} sync with {count} shards")
    columns = ("TV", ">rows told", ">rows that wait", ">B up", ">B down", ">round trips")
    rows = [
        (one.household, *(f"{getattr(one, name):,}" for name in _COUNTED)) for one in (*met.synced, _sum_of(met.synced))
    ]
    render.rich(render.table(columns, rows))
    for error in dict.fromkeys(s.error for s in met.synced if s.error):
        render.line(f"not all were told: {error}")
    _round(met)
    _changed(met, households)
    for before, after in zip(households, met.heard, strict=True):
        render.line(
            f"{before.household} would enjoy the first ten titles {after.appeal_recommended:.2f} of 1, "
            f"{before.appeal_recommended:.2f} before it heard of the others"
        )


def _round(met: Met) -> None:
    """Say what each shard knew alone, and what they found together."""
    held, least = met.round, met.least_households
    render.heading(f"a federation round: {len(held.shards)} shards put their sums together in {held.seconds:.1f} s")
    for number, shard in enumerate(held.shards, 1):
        render.line(
            f"  shard {number}, {shard.tvs} TVs: counted {shard.titles_counted} titles, {shard.titles_shown} of them "
            f"watched by {least} of its households or more"
        )
    hidden = held.titles_counted - held.titles_shown
    render.line(
        f"together they counted {held.titles_counted} titles and tell of the {held.titles_shown} that {least} "
        f"households or more watched, {held.titles_together} of them known to no shard alone; of the other {hidden} "
        f"nobody hears"
    )
    if held.lately:
        named = ", ".join(f"{one.title} ({one.households})" for one in held.lately)
        render.line(f"watched most, by how many households: {named}")
    if held.neighbors:
        render.line(
            f"told are also whose taste {held.audiences} titles are, and for {held.neighbors} another one whose "
            f"audience is alike"
        )


def _sum_of(synced: Sequence[Synced]) -> Synced:
    from omega.fleet.report import Synced

    return Synced("all", **{name: sum(getattr(one, name) for one in synced) for name in _COUNTED})


def _changed(met: Met, households: Sequence[Outcome]) -> None:
    """Show the list in whose first titles the others lifted most."""
    pairs = [
        (before.household, old, new)
        for before, after in zip(households, met.heard, strict=True)
        for old, new in zip(before.answers, after.answers, strict=True)
    ]
    name, old, new = max(pairs, key=lambda pair: len(_lifted(pair[2])))
    if not _lifted(new):
        render.line(f"no list changed because of the others: {met.least_households} households must watch the same")
        return
    render.heading(f"{name}, {new.asked}, before and after it heard of the others")
    render.rich(render.recommendations(old.titles[:_SHOWN], "before"))
    render.rich(render.recommendations(new.titles[:_SHOWN], "after", marks=_marks(old, new)))


def _lifted(answer: NewAnswer) -> set[str]:
    return {title.content_id for title in answer.titles[:_SHOWN]} & set(answer.risen)


def _marks(old: Answer, new: NewAnswer) -> dict[str, str]:
    places = {title.content_id: place for place, title in enumerate(old.titles, 1)}
    return {name: f"was {places[name]}" if name in places else "new" for name in new.risen}


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
        (f"memory of this process, {len(report.households)} TVs in it", f"{timings.rss_mib:.0f} MiB"),
        (
            "events, patterns",
            f"{sum(h.events for h in report.households)}, {sum(h.patterns for h in report.households)}",
        ),
        ("time", f"{report.seconds:.1f} s"),
    )
    render.heading("in figures")
    render.rich(render.table(("what", ">measured"), rows))
