"""`omega plan`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from omega.core.errors import InputError
from omega_cli import options, render

if TYPE_CHECKING:
    from omega.planning.costs import Costs
    from omega.planning.plan import Plan

EPILOG = "Example: omega plan --devices 400000000 --concurrent 10000000 --interval 10m"


def plan(
    devices: Annotated[int, typer.Option(help="How many TVs there are.")],
    concurrent: Annotated[
        int | None, typer.Option(help="How many are on at once.", show_default="a fortieth of them")
    ] = None,
    interval: Annotated[
        str, typer.Option(metavar="TIME", help="Between two syncs of a TV that is on: 30s, 10m.")
    ] = "10m",
    postgres: Annotated[
        bool, typer.Option("--postgres", help="Measure shards on a Postgres of their own, in place of a file.")
    ] = False,
    prices: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Your prices and reserves.", show_default="round list prices")
    ] = None,
    costs: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Costs that --write-costs wrote.", show_default="measured now"),
    ] = None,
    write_costs: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Keep what was measured.", show_default="not written")
    ] = None,
    write_prices: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the prices in use, to edit.", show_default="not written")
    ] = None,
    json: options.Json = False,
) -> None:
    """Say what machinery a population of TVs needs, and what it costs a month.

    Measures on this machine what a sync costs, half a minute in all, and says of each figure whether it was measured,
    extrapolated or assumed. No measurement reaches to 400 million TVs: hold a plan against omega loadtest on the real
    machines.
    """
    from omega.fleet.load.scenarios import seconds
    from omega.planning.plan import Demand, planned
    from omega.planning.prices import read_prices

    if concurrent is None:
        concurrent = max(devices // 40, 1)
    demand = Demand(devices=devices, concurrent=concurrent, interval_s=seconds(interval, "interval"))
    used = read_prices(prices) if prices else read_prices()
    if costs is not None and (postgres or write_costs):
        raise InputError("costs comes with postgres or write-costs, allowed: without: they are for a measurement")
    found = planned(demand, _costs(costs, postgres=postgres), used)
    if write_costs is not None:
        _write(write_costs, found.costs)
    if write_prices is not None:
        _write(write_prices, used)
    if json:
        render.json(found)
    else:
        _show(found)


def _costs(file: Path | None, *, postgres: bool) -> Costs:
    from omega.compose import extra_module
    from omega.planning.costs import read_costs

    if file is not None:
        return read_costs(file)
    measuring = extra_module("omega.planning.measuring", "load")
    with render.steps() as step:
        made: Costs = measuring.measured(options.settings(), postgres=postgres, ways=measuring.able(), progress=step)
    return made


def _write(file: Path, value: object) -> None:
    from omega.core.files import write_atomically

    try:
        write_atomically(file, render.as_json(value) + b"\n")
    except OSError as error:
        raise InputError(f"{file} can't be written ({error.strerror}): name another file") from error


def _show(found: Plan) -> None:
    rows = [(one.name, _number(one.value), one.unit, one.basis, one.how) for one in found.figures]
    title = f"{found.demand.devices:,} TVs, measured on {found.costs.machine}"
    render.rich(render.table(("what", ">figure", "unit", "", "how"), rows, title=title))
    told = f"{found.shards:,} shards, {found.monthly_total:,.0f} {found.prices.currency} a month"
    render.line(f"{told} at prices of {found.prices.as_of} ({found.prices.source}).")


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:,.3g}"
