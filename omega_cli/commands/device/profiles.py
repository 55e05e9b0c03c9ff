"""`omega device profiles`."""

from __future__ import annotations

from typing import Annotated

import typer

from omega.core.errors import InputError
from omega_cli import options, render
from omega_cli.commands.device import opened

EPILOG = "Example: omega device profiles Ada --age 9"


def profiles(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="Make it, or change its age.", show_default="list all")
    ] = None,
    age: Annotated[
        int | None, typer.Option(help="Nothing for older viewers is recommended.", show_default="as it is")
    ] = None,
    store: options.Store = None,
    catalog: options.CatalogName = None,
    embedder: options.EmbedderName = None,
    model: options.ModelFolder = None,
    json: options.Json = False,
) -> None:
    """List the household's profiles, or make one. Events and questions name it: {"profile": "Ada"}."""
    if name is None and age is not None:
        raise InputError("--age was given without a name, allowed: omega device profiles NAME --age 9")
    with opened.brain(create=name is not None, store=store, catalog=catalog, embedder=embedder, model=model) as brain:
        found = brain.profiles()
        if name is not None and (age is not None or name not in (profile.name for profile in found)):
            brain.set_profile(name, age)
            found = brain.profiles()
    if json:
        render.json(found)
        return
    for profile in found:
        render.line(profile.name if profile.age is None else f"{profile.name}, up to age {profile.age}")
    if not found:
        render.line("no profiles: the household is one, whose taste is told apart by the time of day")
