"""The operator's side: a folder of published artifacts, as a shard or any file server gives them out.

<sha256>                  an artifact's bytes, or a patch's
<32 hex>-<version>.json   a signed manifest; the digits are the first of the artifact's sha256

No file is ever changed. A manifest is written last, so that what it names is there.
"""

from __future__ import annotations

import fcntl
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from omega.core.artifacts.catalogs import apply_catalog, decode_catalog
from omega.core.artifacts.manifest import (
    LIMIT_BYTES,
    MAX_MANIFEST_BYTES,
    Kind,
    Manifest,
    Patch,
    check_content,
    digest,
    read_unverified,
    seal,
    unseal,
)
from omega.core.artifacts.patches import apply_patch, make_patch
from omega.core.errors import ArtifactError, OmegaError, shown
from omega.core.files import read_bounded, write_atomically

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from omega.core.artifacts.keys import Keyring, SigningKey

PATCHED_VERSIONS: Final = 3
"""From how many earlier versions a patch is made."""
_MANIFEST: Final = re.compile(r"[0-9a-f]{32}-[1-9][0-9]{0,15}\.json")
_BLOB: Final = re.compile(r"[0-9a-f]{64}")
_LOCK: Final = ".lock"


class Shelf:
    """The artifacts in one folder."""

    def __init__(self, folder: Path) -> None:
        """`folder` is made when the first artifact is published."""
        self.folder = folder

    def publish(
        self,
        data: bytes,
        kind: Kind,
        key: SigningKey,
        *,
        made_at: int,
        name: str | None = None,
        version: int | None = None,
    ) -> Manifest:
        """Sign and add an artifact with patches from the versions before it, and return its manifest.

        `name` is by default a catalog's lineage, else the kind; `version` one more than the newest. `made_at` is unix
        seconds. Publishing older bytes anew is how to go back; a catalog can only grow. Raises ArtifactError for a
        version that isn't newer or that these bytes have by another name already, and for a size out of range;
        CatalogError; InputError when the folder can't be written.
        """
        if not 1 <= len(data) <= LIMIT_BYTES[kind]:
            raise ArtifactError(f"{kind} is {len(data):,} B, allowed: 1..{LIMIT_BYTES[kind]:,} B: TVs take no more")
        name = name or (decode_catalog(data).lineage if kind is Kind.CATALOG else kind.value)
        with self._locked():
            earlier = [found for found in self.manifests() if (found.kind, found.name) == (kind, name)]
            newest = earlier[-1].version if earlier else 0
            version = newest + 1 if version is None else version
            if version <= newest:
                raise ArtifactError(f"version is {version}, allowed: {newest + 1} and more: {kind} {name} only grows")
            self._check_catalog(kind, name, earlier, data)
            patches = self._patches(earlier, data)
            manifest = Manifest(
                kind=kind,
                name=name,
                version=version,
                sha256=digest(data),
                size_bytes=len(data),
                made_at=made_at,
                patches=tuple(facts for facts, _ in patches),
                key=key.id,
            )
            sealed = seal(manifest, key)
            if (self.folder / manifest.file).exists():
                raise ArtifactError(
                    f"version is {version}, allowed: another one, these bytes are published with it by another name"
                )
            for blob in (data, *(patch for _, patch in patches)):
                write_atomically(self.folder / digest(blob), blob)
            write_atomically(self.folder / manifest.file, sealed)
        return manifest

    def publish_file(
        self,
        file: Path,
        kind: str,
        key: SigningKey,
        *,
        made_at: int,
        name: str | None = None,
        version: int | None = None,
    ) -> Manifest:
        """Do what `publish` does with a file's bytes; also raises ArtifactError for an unknown kind."""
        if kind not in tuple(Kind):
            raise ArtifactError(f"kind is {shown(kind)}, allowed: {', '.join(Kind)}")
        data = read_bounded(file, LIMIT_BYTES[Kind(kind)], ArtifactError)
        return self.publish(data, Kind(kind), key, made_at=made_at, name=name, version=version)

    def manifests(self) -> list[Manifest]:
        """Return all manifests by kind, name and version, whoever signed them. Raises ArtifactError."""
        found = [read_unverified(self._sealed(file)) for file in self._files()]
        return sorted(found, key=lambda manifest: (manifest.kind, manifest.name, manifest.version))

    def current(
        self,
        keys: Keyring,
        passed_over: Callable[[str, OmegaError], None] | None = None,
        check: Callable[[Manifest], object] = lambda manifest: None,
    ) -> list[Manifest]:
        """Return the newest sound version of each (kind, name) that these keys signed; what a pull should name.

        Raises ArtifactError for a manifest that another key signed or that is named like another one, for bytes that
        aren't there or of another length, and what `check` raises; `passed_over` is told of it instead, with the
        manifest's file, and the version before counts.
        """
        signed: list[Manifest] = []
        newest: dict[tuple[Kind, str], Manifest] = {}
        for file in self._files():
            with _passing(file.name, passed_over):
                signed.append(self._signed(file, keys))
        for manifest in sorted(signed, key=lambda manifest: -manifest.version):
            if (key := (manifest.kind, manifest.name)) not in newest:
                with _passing(manifest.file, passed_over):
                    self._check_size(manifest)
                    check(manifest)
                    newest[key] = manifest
        return sorted(newest.values(), key=lambda manifest: (manifest.kind, manifest.name))

    def read(self, manifest: Manifest) -> bytes:
        """Return an artifact's bytes, checked. Raises ArtifactError."""
        data = self._blob(manifest.sha256, manifest.size_bytes)
        check_content(manifest, data)
        return data

    def find(self, name: str) -> Path | None:
        """Return the file that a TV asks for by this name, None when there is none; never one outside the folder."""
        if not (_BLOB.fullmatch(name) or _MANIFEST.fullmatch(name)):
            return None
        return file if (file := self.folder / name).is_file() else None

    def verify(self, keys: Keyring) -> list[Manifest]:
        """Check every signature, every byte and every patch, and return the manifests. Raises ArtifactError for all."""
        problems: list[str] = []
        good: list[Manifest] = []
        for file in self._files():
            try:
                manifest = self._signed(file, keys)
                self._verify(manifest)
            except OmegaError as error:
                problems.append(f"{file.name}: {error}")
            else:
                good.append(manifest)
        if problems:
            raise ArtifactError("\n".join(problems))
        return sorted(good, key=lambda manifest: (manifest.kind, manifest.name, manifest.version))

    def _verify(self, manifest: Manifest) -> None:
        self.read(manifest)
        for patch in manifest.patches:
            data = self._blob(patch.sha256, patch.size_bytes)
            if len(data) != patch.size_bytes or digest(data) != patch.sha256:
                raise ArtifactError(f"patch {patch.sha256[:16]}... was changed: publish the artifact again")
            if not patch.base or self.find(patch.base):
                base = self._blob(patch.base, LIMIT_BYTES[manifest.kind]) if patch.base else b""
                check_content(manifest, apply_patch(base, data, manifest.size_bytes))

    def _check_catalog(self, kind: Kind, name: str, earlier: Sequence[Manifest], data: bytes) -> None:
        """Refuse here what every TV would refuse."""
        if kind is not Kind.CATALOG:
            return
        catalog = decode_catalog(data)
        if name != catalog.lineage:
            raise ArtifactError(f"name is {name}, allowed for this catalog: its lineage {catalog.lineage}")
        if earlier and earlier[-1].sha256 != digest(data):
            apply_catalog(decode_catalog(self._blob(earlier[-1].sha256, LIMIT_BYTES[kind])), data)

    def _patches(self, earlier: Sequence[Manifest], data: bytes) -> list[tuple[Patch, bytes]]:
        """Return patches from nothing, and from each of the last versions that has other bytes."""
        bases = dict.fromkeys(found.sha256 for found in reversed(earlier[-PATCHED_VERSIONS:]))
        bases.pop(digest(data), None)
        made = []
        for base in ("", *bases):
            old = self._blob(base, 2**31) if base else b""
            if (patch := make_patch(old, data)) is not None:
                made.append((Patch(base, digest(patch), len(patch)), patch))
        return made

    def _files(self) -> list[Path]:
        if not self.folder.is_dir():
            raise ArtifactError(f"{self.folder} is no folder of artifacts: publish one there, omega artifact publish")
        try:
            return sorted(file for file in self.folder.iterdir() if _MANIFEST.fullmatch(file.name))
        except OSError as cause:
            raise ArtifactError(f"{self.folder} can't be read: {cause.strerror or cause}") from cause

    def _signed(self, file: Path, keys: Keyring) -> Manifest:
        manifest = unseal(self._sealed(file), keys)
        if file.name != manifest.file:
            raise ArtifactError(f"named like another one, allowed: {manifest.file}: publish it again")
        return manifest

    def _check_size(self, manifest: Manifest) -> None:
        try:
            size_bytes = (self.folder / manifest.sha256).stat().st_size
        except OSError as cause:
            raise ArtifactError(f"{manifest.sha256} can't be read: {cause.strerror or cause}") from cause
        if not size_bytes == manifest.size_bytes <= LIMIT_BYTES[manifest.kind]:
            raise ArtifactError(
                f"{manifest.kind} {manifest.name} is {size_bytes:,} B, its manifest says {manifest.size_bytes:,} B, "
                f"allowed: as it says, at most {LIMIT_BYTES[manifest.kind]:,} B: publish it again"
            )

    def _sealed(self, file: Path) -> bytes:
        return read_bounded(file, MAX_MANIFEST_BYTES, ArtifactError)

    def _blob(self, name: str, limit_bytes: int) -> bytes:
        return read_bounded(self.folder / name, limit_bytes, ArtifactError)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Keep other publishers away, so that no version is given twice."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = (self.folder / _LOCK).open("w")
        except OSError as cause:
            raise ArtifactError(f"{self.folder} can't be written: {cause.strerror or cause}") from cause
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


@contextmanager
def _passing(file: str, passed_over: Callable[[str, OmegaError], None] | None) -> Iterator[None]:
    """Tell what is wrong with a file, if anybody wants to be told; else raise it."""
    try:
        yield
    except OmegaError as error:
        if passed_over is None:
            raise
        passed_over(file, error)
