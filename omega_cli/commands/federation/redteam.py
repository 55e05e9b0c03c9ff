"""`omega federation redteam`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from omega_cli import options, render

if TYPE_CHECKING:
    from omega.fleet.redteam.campaign import Outcome

EPILOG = "Example: omega federation redteam --poisoned 10 --attack boost --strategy median"
BROKEN = 1
_COLUMNS = (
    "attack",
    "strategy",
    ">bad TVs",
    ">of TVs",
    ">of acts",
    ">samples",
    ">trend",
    ">as told",
    ">place",
    ">gain at most",
    ">taste",
    ">of bound",
)


def redteam(
    attack: Annotated[
        list[str] | None,
        typer.Option(help="quiet, boost, bury, noise or sybils; may be given again.", show_default="all"),
    ] = None,
    strategy: Annotated[
        list[str] | None,
        typer.Option(help="A federation's strategy; may be given again.", show_default="the three that ship"),
    ] = None,
    poisoned: Annotated[
        list[float] | None,
        typer.Option(
            metavar="PERCENT", help="Of all TVs, up to 50; may be given again.", show_default="1, 3, 10 and 30"
        ),
    ] = None,
    households: Annotated[int, typer.Option(min=32, max=100_000, help="Honest ones, at eight shards.")] = 240,
    seed: Annotated[list[int] | None, typer.Option(min=0, help="May be given again.", show_default="1")] = None,
    catalog: options.CatalogName = None,
    json: options.Json = False,
) -> None:
    """Attack simulated shards with bad TVs, and tell what they move; exit code 1 if a bound doesn't hold.

    Real stores, frames and rounds; half a minute for all of it. Nothing is attacked but what the command makes itself.
    """
    from omega import federations

    plan = federations.Attacking(
        settings=options.settings(catalog=catalog),
        attacks=tuple(attack or ()),
        strategies=tuple(strategy or federations.STRATEGIES),
        poisoned=tuple(share / 100 for share in poisoned or (1, 3, 10, 30)),
        households=households,
        seeds=tuple(seed or (1,)),
    )
    with render.steps() as step:
        outcomes = federations.attacked(plan, step)
    if json:
        render.json({"outcomes": [one.told() for one in outcomes]})
    else:
        render.rich(render.table(_COLUMNS, [_row(one) for one in outcomes]))
        worst = max(one.of_bound for one in outcomes)
        render.line(
            f"shares are of the attack's title, without bad TVs and with them; of the bounds {worst:.1%} was used"
        )
    if any(one.of_bound > 1 for one in outcomes):
        raise typer.Exit(BROKEN)


def _row(one: Outcome) -> tuple[Any, ...]:
    places = " > ".join("-" if place is None else str(place) for place in one.place)
    return (
        one.attack,
        one.strategy,
        f"{one.devices} ({one.denied} denied)" if one.denied else one.devices,
        f"{one.of_devices:.1%}",
        f"{one.poisoned:.1%}",
        *(f"{before:.1%} > {after:.1%}" for before, after in (one.share, one.trend, one.shown)),
        places,
        f"{one.gain_bound:.1%}",
        f"{one.audience_moved:.2f}",
        f"{one.of_bound:.1%}",
    )
