"""What `run` and `serve` are both told."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from omega.federation.round import RoundReport

Shards = Annotated[
    list[str],
    typer.Argument(
        metavar="SHARD...",
        help="Each the address of a shard's management, a file of omega shard sums, or a store: sqlite:/// or "
        "postgresql://.",
    ),
]
Artifacts = Annotated[
    Path, typer.Option(metavar="FOLDER", help="The published files that the shards give out: board and basis go there.")
]
Key = Annotated[Path, typer.Option(metavar="FILE", help="The operator's private key, from omega artifact keygen.")]
Tokens = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="A token of role federation for all shards, or lines of an address and its token.",
        show_default="none",
    ),
]
Ca = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="The only authorities trusted for https://, PEM.", show_default="the system's"),
]
Home = Annotated[
    Path | None,
    typer.Option(metavar="FOLDER", help="What the federation remembers.", show_default="OMEGA_HOME/federation"),
]
Strategy = Annotated[str, typer.Option(help="How shards are made one: weighted-mean, median, trimmed-mean, private.")]
Engine = Annotated[str, typer.Option(help="Where titles are merged: process-pool, dask.")]
Workers = Annotated[int, typer.Option(min=1, max=256, help="How many of its processes; 1 is this one.")]
Address = Annotated[str, typer.Option(help="Of dask's scheduler, tcp:// or tls://.", show_default="none")]
Deadline = Annotated[float, typer.Option(metavar="SECONDS", help="How long shards are waited for.")]
MinShare = Annotated[float, typer.Option(help="With a smaller share of the shards nothing is published.")]
Trends = Annotated[str, typer.Option(help="When a title rises: by hours, `hourly`, or by the `plan`'s .95 an hour.")]
TABLE = ("shard", "region", "outcome", ">rows", ">size", ">seconds", "why")


def table(report: RoundReport) -> list[tuple[Any, ...]]:
    """Return a line a shard."""
    from omega_cli import render

    return [
        (
            one.source,
            one.region,
            one.outcome,
            f"{one.rows:,}",
            render.size(one.size_bytes),
            f"{one.seconds:.2f}",
            one.reason,
        )
        for one in report.shards
    ]


def summary(report: RoundReport) -> str:
    """Return a round in one line."""
    told = f"round {report.number}: {report.outcome}, {report.answered} of {len(report.shards)} shards answered"
    if not report.version:
        return told
    if report.privacy:
        return f"{told}; board {report.version} shows {report.shown:,} titles"
    rising = f", {report.rising:,} rising" if report.rising else ""
    return f"{told}; board {report.version} shows {report.shown:,} of {report.titles:,} titles{rising}"


def account(report: RoundReport) -> str:
    """Return what was spent of the year's privacy in one line; empty where nothing is told with noise."""
    from omega_cli import render

    if not (spent := report.privacy):
        return ""
    of = f"epsilon {spent.epsilon_spent:.4g} of {spent.epsilon_a_year:.4g} a year at delta {spent.delta:g}"
    told = f"privacy: {of}, {render.counted(spent.releases, 'release')}, nothing below {spent.floor:,} samples"
    return f"{told}; {spent.why}" if spent.why else told
