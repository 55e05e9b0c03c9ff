"""Looks for bytes in every file of a folder: what was forgotten must be nowhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


def found_in(folder: Path, needles: Iterable[bytes]) -> list[tuple[Path, int, bytes]]:
    """Return (file, offset, needle) wherever one of the needles stands: every file below `folder`, logs included.

    A needle is text as UTF-8, or numbers as they are stored: a vector's are 4-byte floats. Take at least 8 bytes of it,
    since shorter ones occur by chance, and parts of a long one, which may lie on two pages. Raises OSError.
    """
    wanted = list(needles)
    found = []
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        content = file.read_bytes()
        for needle in wanted:
            at = content.find(needle)
            while at >= 0:
                found.append((file, at, needle))
                at = content.find(needle, at + 1)
    return found
