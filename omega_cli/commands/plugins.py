"""`omega plugins`."""

from __future__ import annotations

from omega_cli import options, render

EPILOG = "Example: omega plugins --json"


def plugins(json: options.Json = False) -> None:
    """List the plugins by kind, with the distribution that each came with."""
    from omega.compose import registry

    found = registry().plugins()
    if json:
        render.json(found)
    else:
        render.rich(
            render.table(
                ("kind", "name", "origin", "what it is"), [(p.kind, p.name, p.origin, p.summary) for p in found]
            )
        )
