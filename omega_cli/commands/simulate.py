"""`omega simulate`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from omega_cli import options, render

if TYPE_CHECKING:
    from omega.simulation.running import Played

EPILOG = "Example: omega simulate --devices 2000 --days 3 --seed 7"


def simulate(
    devices: Annotated[int, typer.Option(help="How many TVs.")] = 2_000,
    days: Annotated[int, typer.Option(help="How many days.")] = 3,
    visits: Annotated[int, typer.Option(help="How often each TV comes to its shard in a day.")] = 3,
    seed: Annotated[int, typer.Option(min=0, help="Decides all that happens.")] = 1,
    plant: Annotated[
        str | None,
        typer.Option(
            help="Let the shards have a bug to be found: aggregate, early-ack, double-retraction, limit or crowd.",
            show_default="none",
        ),
    ] = None,
    json: options.Json = False,
) -> None:
    """Play days of many TVs and two shards in virtual time, while everything fails, and check all sums each day.

    Sessions, ledgers, frames, tokens, shards and their SQLite are the product's own; lost, doubled and late messages,
    kills, backups put back, partitions, wrong clocks, resets, moves and greed come from the seed. Exit code 1 if a sum
    is off, an acknowledged sync lost, a day's limit passed or too few households shown; the seed plays it again.
    """
    from omega.compose import extra_module, open_catalog

    running = extra_module("omega.simulation.running", "shard")
    asked = running.Asked(devices=devices, days=days, visits=visits, seed=seed, plant=plant)
    with render.steps() as step:
        played: Played = running.simulate(asked, open_catalog(options.settings()), progress=step)
    if json:
        render.json(played)
    else:
        _show(played)
    if played.offences:
        raise typer.Exit(1)


def _show(played: Played) -> None:
    rows = [[what, f"{count:,}"] for what, count in played.faults.items()]
    render.rich(render.table(["what went wrong", "times"], rows))
    mib = played.peak_memory_bytes / 2**20
    render.line(f"{played.syncs:,} syncs, {played.samples:,} samples counted; {played.seconds:.0f} s, {mib:,.0f} MiB")
    for offence in played.offences:
        render.line(f"BROKEN {offence}")
    if played.offences:
        render.line(f"broken on day {played.broken_on_day} with --seed {played.seed}")
    else:
        told = "every sum exact, every acknowledged sync there, limits kept, nothing shown of fewer than 3 households"
        render.line(f"{render.counted(played.checks, 'check')}: {told} (digest {played.digest})")
