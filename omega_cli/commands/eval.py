"""`omega eval`."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from omega_cli import options, render

if TYPE_CHECKING:
    from omega.evaluation.results import Result

EPILOG = "Example: omega eval --ratings ratings.dat --movies movies.dat --score-from 2013-06-09 --report report.html"
FIT = "fit-before-score"
_COLUMNS = (
    "method",
    ">NDCG",
    ">recall",
    ">MRR",
    ">coverage",
    ">cov5",
    ">exp(H)",
    ">novelty",
    ">cold",
    ">gain",
    ">95 %",
)


def evaluate(
    ratings: Annotated[Path | None, typer.Option(metavar="FILE", help="Who watched what, when.")] = None,
    movies: Annotated[Path | None, typer.Option(metavar="FILE", help="The titles.")] = None,
    form: Annotated[
        str, typer.Option("--format", help="What the files are: movietweetings, movielens or csv.")
    ] = "movietweetings",
    simulate: Annotated[bool, typer.Option("--simulate", help="Replay generated households instead of files.")] = False,
    protocol: Annotated[
        str, typer.Option(help="daily or weekly for viewers with 5 earlier titles; onboard for newer ones, daily.")
    ] = "daily",
    score_from: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="The first day that is judged.", show_default="after two thirds"),
    ] = None,
    weights: Annotated[str, typer.Option(metavar=f"FILE|{FIT}", help="Weights to rank by, or how to find them.")] = FIT,
    save_weights: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the weights.", show_default="not written")
    ] = None,
    k: Annotated[int, typer.Option("--k", min=1, max=100, help="How long a list is.")] = 20,
    audit: Annotated[
        bool, typer.Option("--audit", help="Look for knowledge of the future, too; exit code 1 if there is.")
    ] = False,
    loop: Annotated[
        bool, typer.Option("--loop/--no-loop", help="Replay the product itself, too, which takes minutes.")
    ] = True,
    seed: Annotated[int, typer.Option(min=0, help="Decides on ties, draws and generated households.")] = 0,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the plots as one HTML page.", show_default="not written")
    ] = None,
    json: options.Json = False,
) -> None:
    """Replay what real viewers watched, and say how well each method would have recommended it.

    At each step everybody learns from what came before, and lists 20 titles for each viewer who is known by then; what
    the viewer watches next, for the first time, is to be among them. Gains are over the decayed popularity that is best
    in hindsight, with 95 % intervals by days.
    """
    from omega.compose import extra_module

    runs = extra_module("omega.evaluation.runs", "device")
    asked = runs.Asked(
        ratings=ratings,
        movies=movies,
        form=form,
        simulate=simulate,
        protocol=protocol,
        score_from=score_from.date() if score_from else None,
        weights=None if weights == FIT else Path(weights),
        k=k,
        audit=audit,
        loop=loop,
        seed=seed,
    )
    with render.steps() as step:
        result: Result = runs.run(options.settings(), asked, progress=step)
    if save_weights:
        runs.save_weights(result, save_weights)
    if report:
        runs.save_report(result, report)
    if json:
        render.json(result)
    else:
        _show(result)
    if result.audit and result.audit.leaks:
        raise typer.Exit(1)


def _show(result: Result) -> None:
    from omega.evaluation.report.page import cells, notes

    title = f"{result.protocol}: {result.viewers:,} lists at {result.steps} steps from {result.score_from} on"
    render.rich(render.table(_COLUMNS, [cells(figures) for figures in result.methods], title=title))
    for text in notes(result):
        render.line(text)
