"""Trains a dictionary: `python -m omega.core.wire.train CATALOG FILE`.

The same catalog and zstd give the same bytes. A dictionary that was published never changes: a better one gets the next
number.
"""

from __future__ import annotations

import sys
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import zstandard

from omega.core.catalog import Catalog
from omega.core.wire.messages import HASH_BITS
from omega.core.wire.samples import pulled, pushed
from omega.core.wire.sections import put_sections

if TYPE_CHECKING:
    from collections.abc import Iterator

    from omega.core.wire.messages import Message

SIZE_BYTES = 4_096
_ROUNDS = 400


def samples(titles: int) -> Iterator[bytes]:
    """Give bodies of pushes and pulls over a catalog of so many titles; hashes are made up, they teach no title's."""
    random = Random(20_261)  # noqa: S311 -- data, no secret
    ordinals = range(titles)
    for _ in range(_ROUNDS):
        hashes = [random.getrandbits(HASH_BITS) for _ in ordinals]
        n = int(5 * 40 ** random.random())
        yield _body(pushed(random, ordinals, n, days=random.choice((1, 1, 3, 30))))
        yield _body(pushed(random, hashes, n, hashed=True))
        yield _body(pulled(random, ordinals, trending=random.randrange(1, 200), similar=random.randrange(1, 100)))


def train(catalog: Path) -> bytes:
    """Return a dictionary of 4 KiB for the sections of pushes and pulls. Raises CatalogError."""
    bodies: list[bytes | bytearray | memoryview] = list(samples(len(Catalog.read(catalog))))
    return zstandard.train_dictionary(SIZE_BYTES, bodies, level=19, threads=0, k=64, d=6, notifications=0).as_bytes()


def _body(message: Message) -> bytes:
    out = bytearray()
    put_sections(out, message)
    return bytes(out)


if __name__ == "__main__":
    Path(sys.argv[2]).write_bytes(train(Path(sys.argv[1])))
