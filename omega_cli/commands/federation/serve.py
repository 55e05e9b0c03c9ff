"""`omega federation serve`."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from omega.core.errors import InputError
from omega_cli import options, render
from omega_cli.commands.federation import asked

if TYPE_CHECKING:
    from omega.federation.round import RoundReport

EPILOG = "Example: omega federation serve http://127.0.0.1:8080 --artifacts shelf --key op.key --tokens tokens"


def serve(
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
    every: Annotated[float, typer.Option(metavar="MINUTES", help="From the start of one round to the next.")] = 60.0,
    host: Annotated[str, typer.Option(help="Address for Prometheus.")] = "127.0.0.1",
    metrics_port: Annotated[
        int | None,
        typer.Option(min=0, max=65_535, help="Serve Prometheus at this port; 0 takes a free one.", show_default="none"),
    ] = None,
    log_json: Annotated[bool, typer.Option("--log-json", help="Log a JSON object a line.")] = False,
    log_level: Annotated[str, typer.Option(help="The least that is logged: debug, info, warning or error.")] = "info",
    json: options.Json = False,
) -> None:
    """Run a round every hour until SIGTERM or Ctrl-C; one that runs is ended first."""
    from omega import federations

    if log_level not in render.LOG_LEVELS:
        raise InputError(f"log-level is {log_level!r}, allowed: {', '.join(render.LOG_LEVELS)}")
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
    render.log_to_stderr(log_level, as_json=log_json)
    federations.serve(
        federating,
        every_s=60 * every,
        metrics=None if metrics_port is None else (host, metrics_port),
        done=partial(_done, as_json=json),
        ready=partial(_ready, host, as_json=json),
    )


def _ready(host: str, port: int | None, *, as_json: bool) -> None:
    url = "" if port is None else f"http://{host}:{port}/metrics"
    if as_json:
        render.json_line({"pid": os.getpid(), "metrics_url": url})
    else:
        render.line(f"ready: process {os.getpid()}" + (f", {url}" if url else ""))


def _done(report: RoundReport, *, as_json: bool) -> None:
    if as_json:
        render.json_line(report)
    else:
        render.line(asked.summary(report))
