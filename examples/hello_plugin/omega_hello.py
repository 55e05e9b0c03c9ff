"""An example of a plugin: the embedder `hello`, which knows only spelling, and the command `omega hello`."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, ClassVar
from zlib import crc32

import numpy as np
import typer

from omega.core.hooks import hookimpl
from omega.core.ports import Embedder

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from typing import Self

    from omega.core.ports import Floats


class HelloEmbedder(Embedder):
    """Hashed character trigrams: an example, near for texts of like spelling, blind to meaning."""

    NAME: ClassVar[str] = "hello"
    space = "hello-trigrams-1"
    dimensions = 384

    @classmethod
    def open(cls, model: Path | None = None, *, threads: int = 1) -> Self:
        """Open it; there is no model to load and nothing to run on threads."""
        del model, threads
        return cls()

    def embed(self, texts: Sequence[str]) -> Floats:
        """Return (n, 384) float32 unit rows: how often each trigram's place is hit, its sign from the same hash."""
        rows = np.zeros((len(texts), self.dimensions), np.float32)
        for row, text in zip(rows, texts, strict=True):
            for trigram in _trigrams(text):
                digest = crc32(trigram.encode(errors="surrogatepass"))
                row[(digest >> 1) % self.dimensions] += 1 - 2 * (digest & 1)
            length = np.linalg.norm(row)
            row[:] = row / length if length else np.eye(1, self.dimensions)[0]
        return rows


def _trigrams(text: str) -> list[str]:
    padded = f"  {text.lower()} "
    return [padded[at : at + 3] for at in range(len(padded) - 2)]


@hookimpl
def omega_embedders() -> list[type[Embedder]]:
    """Return the embedder."""
    return [HelloEmbedder]


@hookimpl
def omega_commands(app: typer.Typer) -> None:
    """Command `omega hello`."""
    app.command("hello", epilog='Example: omega hello "Die Hard" "Die Harder"')(hello)


def hello(texts: Annotated[list[str], typer.Argument(metavar="TEXT...", help="Two texts or more.")]) -> None:
    """Say how alike the spelling of each text is to the next one's, -1..1."""
    for (text, vector), (other, after) in pairwise(zip(texts, HelloEmbedder.open().embed(texts), strict=True)):
        typer.echo(f"{text} ~ {other}: {float(vector @ after):.2f}")
