"""`omega device status`."""

from __future__ import annotations

from omega_cli import options, render
from omega_cli.commands.device import opened

EPILOG = "Example: omega device status --json"


def status(
    store: options.Store = None,
    catalog: options.CatalogName = None,
    embedder: options.EmbedderName = None,
    model: options.ModelFolder = None,
    json: options.Json = False,
) -> None:
    """Show what the TV holds and what it learned, in figures and in words."""
    with opened.brain(store=store, catalog=catalog, embedder=embedder, model=model) as brain:
        found = brain.status()
    if json:
        render.json(found)
        return
    rows = (
        ("events", found.events),
        ("patterns", found.patterns),
        ("titles of its own", found.local_titles),
        ("catalog", f"{found.catalog_titles} titles, epoch {found.catalog_epoch} of {found.catalog_lineage}"),
        ("embedder", f"{found.embedder}, space {found.space}"),
        ("store", render.size(found.store_bytes)),
        ("mode", found.mode),
        ("profiles", ", ".join(found.profiles) or "none"),
        ("experiments", ", ".join(f"{name}: {arm}" for name, arm in found.experiments.items()) or "none"),
        ("waits to be shared", f"{found.shared.queued} samples"),
    )
    render.rich(render.table(("", ""), rows))
    if found.privacy:
        spent = f"epsilon {found.privacy.epsilon_spent:g} of {found.privacy.epsilon_a_year:g} a year"
        render.line(
            f"  what other homes tell has noise: {spent} spent, in {render.counted(found.privacy.releases, 'release')}"
        )
    if found.fallback and found.fallback.which == "static":
        render.warning(f"the static table is used instead of the model: {found.fallback.why}")
    if found.read_only:
        render.warning("the store can't be written, so that nothing is learned: make its folder writable")
    if found.rescued_at:
        render.warning(f"the store was damaged and rebuilt on {found.rescued_at}: import a backup if you have one")
    for habit in found.habits:
        render.line(f"  {habit}")
    if not found.habits:
        render.line("  no habit yet: it takes three titles that were liked in a context; see omega device observe")
