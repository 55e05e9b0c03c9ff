"""`omega config show`."""

from __future__ import annotations

from omega_cli import options, render

EPILOG = "Example: OMEGA_THREADS=2 omega config show"


def show(
    store: options.Store = None,
    catalog: options.CatalogName = None,
    embedder: options.EmbedderName = None,
    model: options.ModelFolder = None,
    json: options.Json = False,
) -> None:
    """Show every setting, its value and where that came from: default < omega.toml < environment < flag."""
    import msgspec

    from omega.core.settings import resolve

    found = resolve({"store": store, "catalog": catalog, "embedder": embedder, "model": model})
    values = msgspec.structs.asdict(found.settings)
    if json:
        render.json({name: {"value": value, "origin": found.origins[name]} for name, value in values.items()})
    else:
        rows = ((name, "" if value is None else value, found.origins[name]) for name, value in values.items())
        render.rich(render.table(("setting", "value", "from"), rows))
