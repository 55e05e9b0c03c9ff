"""`omega model embed`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from omega_cli import options, render

EPILOG = "Example: omega model embed 'a quiet evening' --model minilm-static"


def embed(
    texts: Annotated[
        list[str] | None, typer.Argument(metavar="TEXT...", help="Texts.", show_default="lines of stdin")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(metavar="NAME|FOLDER", help="A model that ships, or a folder.", show_default="minilm-int4"),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Write an .npy of shape (n, 384) instead of JSON lines.")] = None,
) -> None:
    """Embed texts: a JSON line {text, space, embedding} for each, or one .npy file."""
    from omega.models import embed_texts

    # What isn't UTF-8 is kept as surrogates, so that embed_texts can name it.
    given = texts or [line.decode(errors="surrogateescape") for line in sys.stdin.buffer.read().splitlines()]
    with render.progress("embedding") as progress:
        space, vectors = embed_texts(options.settings(), given, model, out, progress)
    if out:
        render.note(f"{out}: {len(given)} x {vectors.shape[1]} float32, space {space}")
        return
    for text, vector in zip(given, vectors, strict=True):
        render.json_line({"text": text, "space": space, "embedding": [round(float(x), 7) for x in vector]})
