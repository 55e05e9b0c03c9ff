"""A round's basis and board on the operator's shelf, each version once, whatever was interrupted before."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

from omega.core.artifacts.manifest import Kind, digest
from omega.core.artifacts.shelf import Shelf
from omega.core.audience import BOARDS_FOLDER

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from omega.core.artifacts.keys import SigningKey
    from omega.core.artifacts.manifest import Manifest

KEPT: Final = 24
"""Older boards and accounts of privacy are removed: shards and TVs read the newest sound one."""


def shelf_of(folder: Path, kind: Kind) -> Shelf:
    """Return where artifacts of a kind lie: boards apart, where no TV finds them."""
    return Shelf(folder / BOARDS_FOLDER if kind is Kind.BOARD else folder)


def newest(folder: Path, kind: Kind) -> int:
    """Return the newest version of a kind, whoever signed it; 0 without any. Raises ArtifactError."""
    shelf = shelf_of(folder, kind)
    if not shelf.folder.is_dir():
        return 0
    return max((found.version for found in shelf.manifests() if found.kind is kind), default=0)


def publish(folder: Path, pending: Mapping[str, tuple[int, bytes]], key: SigningKey, now: int) -> None:
    """Publish what is pending, by kind, unless it is there: the board last, which speaks of the basis.

    Raises ArtifactError where another publisher took the version, InputError when the folder can't be written.
    """
    for kind in (Kind.FACTORS, Kind.AUDIENCE, Kind.NEIGHBORS, Kind.PRIVACY, Kind.BOARD):
        if kind.value in pending:
            version, data = pending[kind.value]
            shelf = shelf_of(folder, kind)
            if not _is_there(shelf, kind, version, data):
                shelf.publish(data, kind, key, made_at=now, version=version)


def _is_there(shelf: Shelf, kind: Kind, version: int, data: bytes) -> bool:
    if not shelf.folder.is_dir():
        return False
    facts = (kind, version, digest(data))
    return any((found.kind, found.version, found.sha256) == facts for found in shelf.manifests())


def tidy(folder: Path) -> None:
    """Remove all but the newest of what rounds publish: the manifest first, so that none names what isn't there."""
    for kind in (Kind.BOARD, Kind.PRIVACY):
        shelf = shelf_of(folder, kind)
        found = shelf.manifests() if shelf.folder.is_dir() else []
        old = [manifest for manifest in found if manifest.kind is kind][:-KEPT]
        needed = {name for manifest in found if manifest not in old for name in _files(manifest)}
        for manifest in old:
            for name in _files(manifest):
                if name not in needed:
                    with suppress(OSError):
                        (shelf.folder / name).unlink()


def _files(manifest: Manifest) -> list[str]:
    return [manifest.file, manifest.sha256, *(patch.sha256 for patch in manifest.patches)]
