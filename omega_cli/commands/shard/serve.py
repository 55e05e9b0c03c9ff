"""`omega shard serve`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from omega.core.errors import InputError
from omega_cli import options, render

EPILOG = "Example: omega shard serve --store sqlite:///shard.db --enrol open"


def serve(
    store: options.ShardStore = "sqlite:///shard.db",
    catalog: options.CatalogName = None,
    shard_id: Annotated[int, typer.Option(min=0, max=65_535, help="The shard's number.")] = 0,
    region: Annotated[str, typer.Option(help="Whom its pull is for; told with its health.", show_default="none")] = "",
    max_devices: Annotated[int, typer.Option(min=1, help="How many TVs may enrol.")] = 4_000_000,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Port; 0 takes a free one.")] = 8443,
    grpc_port: Annotated[
        int | None,
        typer.Option(
            min=0, max=65_535, help="Serve gRPC as well, at this port; its own is 50051.", show_default="no gRPC"
        ),
    ] = None,
    rest_port: Annotated[
        int | None,
        typer.Option(
            min=0, max=65_535, help="Serve the management at this port; its own is 8080.", show_default="none"
        ),
    ] = None,
    metrics_port: Annotated[
        int | None,
        typer.Option(min=0, max=65_535, help="Serve Prometheus at this port; its own is 9090.", show_default="none"),
    ] = None,
    quic_port: Annotated[
        int | None,
        typer.Option(
            min=0, max=65_535, help="Serve QUIC as well, at this UDP port; its own is 4433.", show_default="no QUIC"
        ),
    ] = None,
    cert: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="What omega shard cert made.", show_default="plain HTTP")
    ] = None,
    workers: Annotated[
        int, typer.Option(min=1, max=64, help="Processes that serve it; more than one share a Postgres.")
    ] = 1,
    enrol: Annotated[
        str,
        typer.Option(
            help="Who may enrol: the `vouched` for, by a code or a maker, or, on loopback, `open` to everybody."
        ),
    ] = "vouched",
    makers: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Whose certificates admit a TV.", show_default="nobody's")
    ] = None,
    keys: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Where the shard's secrets are.", show_default="OMEGA_HOME/shard"),
    ] = None,
    artifacts: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Published files to give out.", show_default="none")
    ] = None,
    trust: Annotated[
        list[Path] | None, typer.Option(help="An operator's public key that signs them; may be given again.")
    ] = None,
    log_json: Annotated[bool, typer.Option("--log-json", help="Log a JSON object a line.")] = False,
    log_level: Annotated[str, typer.Option(help="The least that is logged: debug, info, warning or error.")] = "info",
    json: options.Json = False,
) -> None:
    """Count what TVs share and tell what is on the rise, until SIGTERM or Ctrl-C. The store is made on first use.

    Several workers are replaced one by one at SIGHUP, and who dies at once.
    """
    from omega.serving import Serving, serve_shard

    if enrol not in ("vouched", "open"):
        raise InputError(f"enrol is {enrol!r}, allowed: vouched, open")
    if log_level not in render.LOG_LEVELS:
        raise InputError(f"log-level is {log_level!r}, allowed: {', '.join(render.LOG_LEVELS)}")
    if quic_port is not None and not cert:
        raise InputError("--quic-port comes without --cert, allowed: with it: make a pair with omega shard cert")
    secure = "s" if cert else ""

    def ready(ports: Mapping[str, int]) -> None:
        schemes = {"http": f"http{secure}", "grpc": f"grpc{secure}", "quic": "quic"}
        schemes |= {"rest": f"http{secure}", "metrics": "http"}
        addresses = {
            "url" if name == "http" else f"{name}_url": f"{schemes[name]}://{host}:{at}" for name, at in ports.items()
        }
        if json:
            render.json_line({"pid": os.getpid(), **addresses})
        else:
            render.line(f"ready: process {os.getpid()} serves {' and '.join(addresses.values())}")

    serving = Serving(
        settings=options.settings(catalog=catalog),
        store=store,
        shard_id=shard_id,
        region=region,
        max_devices=max_devices,
        host=host,
        port=port,
        grpc_port=grpc_port,
        rest_port=rest_port,
        metrics_port=metrics_port,
        quic_port=quic_port,
        certificate=(cert / "server.pem", cert / "server.key") if cert else None,
        keys=keys,
        makers=makers,
        everybody=enrol == "open",
        artifacts=artifacts,
        trust=tuple(trust or ()),
        workers=workers,
    )
    serve_shard(serving, ready=ready, prepare=partial(render.log_to_stderr, log_level, as_json=log_json))
