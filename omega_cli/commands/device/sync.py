"""`omega device sync`."""

from __future__ import annotations

from omega_cli import options, render
from omega_cli.commands.device import opened

EPILOG = "Example: OMEGA_SHARD_URL=https://shard.example:8443 omega device sync"


def sync(
    store: options.Store = None,
    catalog: options.CatalogName = None,
    embedder: options.EmbedderName = None,
    model: options.ModelFolder = None,
    json: options.Json = False,
) -> None:
    """Sync with the TV's shard once, now: tell what was watched since, hear what the others enjoy."""
    from omega.compose import sync_now
    from omega.core.errors import TransportError

    with opened.brain(store=store, catalog=catalog, embedder=embedder, model=model) as brain:
        done = sync_now(options.settings(store=store), brain)
    if json:
        render.json(done)
    if done.error:
        raise TransportError(done.error)
    if json:
        return
    heard = "what the others enjoy is new" if done.pulled else "nothing new of the others"
    rows = f"{done.contributed:,} row{'s' * (done.contributed != 1)}"
    render.line(f"{done.outcome}: {rows} told, {done.retracted:,} taken back; {heard}")
    trips = f"{done.round_trips} round trip{'s' * (done.round_trips != 1)}"
    if done.fetched_bytes or done.fetch_error or done.catalog_epoch:
        epoch = f"; the catalog is at epoch {done.catalog_epoch}" if done.catalog_epoch else ""
        why = f"; {done.fetch_error}" if done.fetch_error else ""
        render.line(f"{done.fetched_bytes:,} B of published files{epoch}{why}")
    render.line(f"{done.sent_bytes:,} B up, {done.received_bytes:,} B down, {trips}, {done.took_ms:.0f} ms")
