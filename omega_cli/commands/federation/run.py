"""`omega federation run`."""

from __future__ import annotations

import typer

from omega_cli import options, render
from omega_cli.commands.federation import asked

EPILOG = "Example: omega federation run http://127.0.0.1:8080 two.sums --artifacts shelf --key op.key --tokens tokens"
TOO_FEW = 1


def run(
    shards: asked.Shards,
    artifacts: asked.Artifacts,
    key: asked.Key,
    tokens: asked.Tokens = None,
    ca: asked.Ca = None,
    catalog: options.CatalogName = None,
    home: asked.Home = None,
    strategy: asked.Strategy = "weighted-mean",
    engine: asked.Engine = "process-pool",
    workers: asked.Workers = 1,
    address: asked.Address = "",
    deadline: asked.Deadline = 30.0,
    min_share: asked.MinShare = 0.5,
    trends: asked.Trends = "hourly",
    json: options.Json = False,
) -> None:
    """Ask all shards for their sums, merge them, and publish what they say together, once.

    Where they say the same as the last time nothing is published; where too few answer neither, and it ends with 1.
    """
    from omega import federations

    federating = federations.Federating(
        settings=options.settings(catalog=catalog),
        shards=tuple(shards),
        artifacts=artifacts,
        key=key,
        tokens=tokens,
        ca=ca,
        home=home,
        strategy=strategy,
        engine=engine,
        workers=workers,
        address=address,
        deadline_s=deadline,
        min_share=min_share,
        trends=trends,
    )
    with render.steps() as step:
        report = federations.run_once(federating, step)
    if json:
        render.json(report)
    else:
        render.rich(render.table(asked.TABLE, asked.table(report)))
        render.line(asked.summary(report))
        if account := asked.account(report):
            render.line(account)
    if report.outcome == "too-few":
        raise typer.Exit(TOO_FEW)
