"""`omega federation fit`."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from omega_cli import options, render

if TYPE_CHECKING:
    from omega.evaluation.fitting import Found

EPILOG = "Example: omega federation fit --ratings ratings.dat --movies movies.dat --publish shelf --key op.key"


def fit(
    ratings: Annotated[Path | None, typer.Option(metavar="FILE", help="Who watched what, when.")] = None,
    movies: Annotated[Path | None, typer.Option(metavar="FILE", help="The titles.")] = None,
    form: Annotated[
        str, typer.Option("--format", help="What the files are: movietweetings, movielens or csv.")
    ] = "movietweetings",
    simulate: Annotated[bool, typer.Option("--simulate", help="Fit on generated households, not on files.")] = False,
    protocol: Annotated[
        str, typer.Option(help="daily or weekly for viewers with 5 earlier titles; onboard for newer ones, daily.")
    ] = "daily",
    until: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="Look at nothing from this day on.", show_default="the end"),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the weights.", show_default="not written")
    ] = None,
    publish: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="Publish the weights among these files, for TVs.", show_default="not published"
        ),
    ] = None,
    key: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The operator's private key, with --publish.", show_default="none"),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Decides on ties, draws and generated households.")] = 0,
    json: options.Json = False,
) -> None:
    """Find the weights of ranking that explain best what viewers watched next, and say what each term does for it.

    TVs rank by them once they are published: a shard that serves the folder names them in its next pull.
    """
    from omega.compose import extra_module

    asks, runs = (extra_module(f"omega.evaluation.{name}", "device") for name in ("runs", "fit_runs"))
    asked = asks.Asked(ratings=ratings, movies=movies, form=form, simulate=simulate, protocol=protocol, seed=seed)
    wanted = runs.Wanted(asked, until.date() if until else None, out, publish, key)
    with render.steps() as step:
        found, published = runs.run(options.settings(), wanted, progress=step)
    if json:
        render.json({"fit": found, "published": published})
        return
    _show(found)
    if out:
        render.line(f"written to {out}")
    if published:
        render.line(f"published as {published.kind} {published.version} in {publish}")


def _show(found: Found) -> None:
    from omega.core.ranking_weights import TERMS

    worth = {term.name: term.worth for term in found.terms}
    rows = [
        (term if at == 0 else "", name.replace("_", " "), f"{getattr(found.weights, name):+.3f}", told)
        for term, names in TERMS.items()
        for at, (name, told) in enumerate(zip(names, [f"+{worth[term]:.3f}", *[""] * len(names)], strict=False))
    ]
    title = f"{found.protocol}: {found.lists:,} lists, {found.first} to {found.last}"
    render.rich(render.table(("term", "weight of", ">weight", ">loss without"), rows, title=title))
    of = f"{found.events:,} events of {found.viewers:,} viewers and {found.titles:,} titles"
    render.line(f"a watched title surprises by {found.loss:.3f} nats, {found.blind:.3f} in random order; {of}")
    render.line(f"found in {found.seconds:.1f} s")
    for note in found.notes:
        render.line(note)
