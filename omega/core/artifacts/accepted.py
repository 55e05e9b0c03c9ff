"""The TV's side: what it has taken, and the judgement on what it is offered.

<sha256>                    an artifact's bytes: of each (kind, name) the one in use and the one before
<32 hex>-<version>.json     its signed manifest
<32 hex>-<version>.refused  the manifest of one that turned out bad: never taken again
<sha256>.part               what has arrived so far of a fetch

There is no other state: the newest version ever taken or refused is read off the signed manifests, so that nothing
older comes back. A manifest whose key is no longer pinned counts for nothing.
"""

from __future__ import annotations

import re
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, Final

from omega.core.artifacts.manifest import (
    MAX_MANIFEST_BYTES,
    TV_LIMIT_BYTES,
    Kind,
    Manifest,
    Named,
    check_content,
    digest,
    unseal,
)
from omega.core.errors import ArtifactError, InputError, OmegaError
from omega.core.files import read_bounded, write_atomically

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path
    from typing import TypeAlias

    from omega.core.artifacts.keys import Keyring

    Check: TypeAlias = Callable[[Manifest, bytes], object]

_KEPT: Final = 2
_TAKEN, _REFUSED, _PART = ".json", ".refused", ".part"
_MANIFEST: Final = re.compile(rf"[0-9a-f]{{32}}-[1-9][0-9]{{0,15}}({_TAKEN}|{_REFUSED})")


class Accepted:
    """The artifacts of one TV, in a folder that one process at a time works on."""

    def __init__(
        self, folder: Path, keys: Keyring, limits: Mapping[Kind, int] = TV_LIMIT_BYTES, *, shipped: Path | None = None
    ) -> None:
        """Read the folder, which needn't be there; `keys` are the operator's pinned ones, `limits` bytes by kind.

        What `shipped` with the TV, the catalog's file, isn't fetched, and patches apply to it.
        """
        self.folder = folder
        self._shipped_file = shipped
        self._keys = keys
        self._limits = limits
        self._known: dict[tuple[Kind, str], list[Manifest]] = {}  # versions ascending
        self._refused: set[str] = set()  # for good, by the manifest's file
        self._unwanted: set[str] = set()  # judged older or too large: not worth asking for again
        self._load()

    def wants(self, named: Named) -> bool:
        """Say whether what a pull names may be worth fetching: no larger than allowed, and not known already."""
        if (
            not (1 <= named.size_bytes <= self._limits.get(named.kind, 0))
            or named.file in self._refused | self._unwanted
            or self._shipped.startswith(named.start.hex())
        ):
            return False
        known = next((m for versions in self._known.values() for m in versions if m.file == named.file), None)
        return known is None or self._is_lost(known)

    def judge(self, sealed: bytes, named: Named | None = None, name: str | None = None) -> Manifest:
        """Return the manifest of a file, if what it describes may be taken. Raises ArtifactError.

        It MUST be signed by a pinned key, no larger than allowed, newer than everything of its kind and name, what the
        pull `named`, and called `name`, where these are given.
        """
        manifest = unseal(sealed, self._keys)
        if named is not None and manifest.named != named:
            raise ArtifactError(
                f"{manifest.kind} {manifest.name} {manifest.version} came where the pull named {named.kind} "
                f"{named.version} of {named.size_bytes:,} B: it isn't taken"
            )
        try:
            self._check(manifest, name)
        except ArtifactError:
            self._unwanted.add(manifest.file)
            raise
        return manifest

    def take(self, sealed: bytes, data: bytes, check: Check = lambda manifest, data: None) -> Manifest:
        """Take an artifact into use, and return its manifest; what was in use is kept as the one before.

        Raises ArtifactError for what is refused, InputError when it can't be written: nothing changes then. `check` may
        raise an OmegaError for content that is of no use here: that version is never taken again, either.
        """
        manifest = self.judge(sealed)
        check_content(manifest, data)
        try:
            check(manifest, data)
        except OmegaError:
            self._remember(manifest, sealed, _REFUSED)
            raise
        write_atomically(self.folder / manifest.sha256, data)
        self._remember(manifest, sealed, _TAKEN)
        return manifest

    def held(self, kind: Kind, name: str) -> Manifest | None:
        """Return the manifest of what is in use, None when there is nothing."""
        versions = reversed(self._known.get((kind, name), []))
        return next((m for m in versions if m.file not in self._refused and self.has(m.sha256, m.size_bytes)), None)

    def read(self, kind: Kind, name: str) -> bytes | None:
        """Return the bytes in use, checked; those of the version before where they are damaged, None without any."""
        while manifest := self.held(kind, name):
            if (data := self.content(manifest.sha256)) is not None:
                return data
            _delete(self.folder / manifest.sha256)
            if self.has(manifest.sha256, manifest.size_bytes):  # damaged on a disk that can't be written
                return None
        return None

    def reject(self, kind: Kind, name: str) -> Manifest | None:
        """Give up what is in use for good, and return the manifest of the version before, which is in use again."""
        if manifest := self.held(kind, name):
            taken = self.folder / manifest.file
            try:
                taken.replace(taken.with_suffix(_REFUSED))
            except OSError as cause:
                raise InputError(f"{taken} can't be renamed: {cause.strerror or cause}") from cause
            self._refused.add(manifest.file)
            self._tidy()
        return self.held(kind, name)

    def has(self, sha256: str, size_bytes: int) -> bool:
        """Say whether there is a file of this name and size."""
        try:
            return (self.folder / sha256).stat().st_size == size_bytes
        except OSError:
            return False

    def content(self, sha256: str) -> bytes | None:
        """Return the bytes with this sha256, None when they aren't here or are damaged."""
        file = self.folder / sha256
        if sha256 == self._shipped and self._shipped_file and not file.exists():
            file = self._shipped_file
        try:
            data = read_bounded(file, max(self._limits.values()))
        except InputError:
            return None
        return data if digest(data) == sha256 else None

    def part(self, sha256: str) -> Path:
        """Return the file for what arrives of these bytes; parts of others are deleted."""
        mine = self.folder / f"{sha256}{_PART}"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as cause:
            raise InputError(f"{self.folder} can't be made: {cause.strerror or cause}") from cause
        for part in self.folder.glob(f"*{_PART}"):
            if part != mine:
                _delete(part)
        return mine

    @cached_property
    def _shipped(self) -> str:
        """The sha256 of what shipped; empty where nothing did."""
        try:
            return digest(read_bounded(self._shipped_file, max(self._limits.values()))) if self._shipped_file else ""
        except InputError:
            return ""

    def _check(self, manifest: Manifest, name: str | None) -> None:
        if name not in (None, manifest.name):
            raise ArtifactError(f"{manifest.kind} is called {manifest.name}, allowed: {name}: it isn't for this TV")
        what, limit = f"{manifest.kind} {manifest.name}", self._limits.get(manifest.kind, 0)
        if manifest.size_bytes > limit:
            raise ArtifactError(f"{what} is {manifest.size_bytes:,} B, allowed: {limit:,} B: it isn't taken")
        newest = self._newest(manifest)
        if newest and manifest.version <= newest.version and not (newest == manifest and self._is_lost(newest)):
            raise ArtifactError(
                f"{what} has version {manifest.version}, allowed: {newest.version + 1} and more: older ones are "
                "never taken again"
            )

    def _newest(self, manifest: Manifest) -> Manifest | None:
        """Return the newest version of the same artifact that was taken or refused."""
        versions = self._known.get((manifest.kind, manifest.name))
        return versions[-1] if versions else None

    def _is_lost(self, manifest: Manifest) -> bool:
        """Say whether the newest version was taken and its bytes are gone, so that it may be taken again."""
        refused = manifest.file in self._refused
        return not refused and self._newest(manifest) == manifest and not self.has(manifest.sha256, manifest.size_bytes)

    def _remember(self, manifest: Manifest, sealed: bytes, suffix: str) -> None:
        write_atomically((self.folder / manifest.file).with_suffix(suffix), sealed)
        if suffix == _REFUSED:
            self._refused.add(manifest.file)
        self._add(manifest)
        self._tidy()

    def _add(self, manifest: Manifest) -> None:
        versions = self._known.setdefault((manifest.kind, manifest.name), [])
        versions[:] = sorted({m.file: m for m in (*versions, manifest)}.values(), key=lambda m: m.version)

    def _load(self) -> None:
        for file in self.folder.iterdir() if self.folder.is_dir() else ():
            if _MANIFEST.fullmatch(file.name):
                with suppress(ArtifactError):  # damaged, or of a key that is no longer pinned
                    manifest = unseal(read_bounded(file, MAX_MANIFEST_BYTES, ArtifactError), self._keys)
                    self._add(manifest)
                    if file.suffix == _REFUSED:
                        self._refused.add(manifest.file)

    def _tidy(self) -> None:
        """Delete what is neither in use, nor the one before it, nor the newest ever seen."""
        for key, versions in self._known.items():
            sound = [m for m in versions if m.file not in self._refused]
            kept = [m for m in versions if m in sound[-_KEPT:] or m is versions[-1]]
            for gone in [m for m in versions if m not in kept]:
                for suffix in (_TAKEN, _REFUSED):
                    _delete((self.folder / gone.file).with_suffix(suffix))
            self._known[key] = kept
        known = [m for versions in self._known.values() for m in versions]
        used = {m.sha256 for m in known if m.file not in self._refused}
        for file in self.folder.iterdir():
            blob = re.fullmatch("[0-9a-f]{64}", file.name)
            torn = file.name.startswith(".")  # of a write that a kill interrupted
            if torn or (blob and file.name not in used) or file.suffix == _PART:
                _delete(file)


def _delete(file: Path) -> None:
    """Delete what is of no use; where the disk refuses, it stays and does no harm."""
    with suppress(OSError):
        file.unlink()
