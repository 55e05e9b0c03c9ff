"""One artifact's way to a TV, without a socket: it says which bytes it needs next, and is told which ones came.

>>> fetcher = Fetcher(named, accepted)
>>> while request := fetcher.request():
...     body = ...  # GET /v1/artifacts/{request.path} with Range: bytes={request.start}-{request.stop - 1}
...     fetcher.missing() if body is None else fetcher.receive(body)

The manifest comes first; then the shortest way to its bytes: nothing, a patch of what the TV has, the file. What
arrives is kept on disk, so that a fetch goes on where it stopped, in another session or after a restart.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from omega.core.artifacts.manifest import MAX_MANIFEST_BYTES, Manifest, Named, check_content, digest
from omega.core.artifacts.patches import apply_patch
from omega.core.errors import ArtifactError, InputError
from omega.core.files import read_bounded

if TYPE_CHECKING:
    from pathlib import Path

    from omega.core.artifacts.accepted import Accepted, Check

CHUNK_BYTES: Final = 2**18


class Request(msgspec.Struct, frozen=True):
    """Bytes that are needed: from `start` up to `stop`, which isn't included. A manifest may be shorter."""

    path: str
    """Name of the file on the shelf."""
    start: int
    stop: int


class _Way(msgspec.Struct, frozen=True):
    """One way to the artifact: the file itself, or a patch."""

    sha256: str
    size_bytes: int
    base: str | None
    """What the patch applies to; None for the file itself."""


class Fetcher:
    """Fetches one artifact that a pull names; a refusal is an ArtifactError, and what was in use stays."""

    def __init__(
        self,
        named: Named,
        accepted: Accepted,
        check: Check = lambda manifest, data: None,
        chunk_bytes: int = CHUNK_BYTES,
        *,
        name: str | None = None,
    ) -> None:
        """Start, or go on with what an earlier fetch left; `check` is given to `Accepted.take`, `name` to `judge`.

        Raises ArtifactError for what `accepted` doesn't want.
        """
        if not accepted.wants(named):
            raise ArtifactError(
                f"{named.kind} {named.version} of {named.size_bytes:,} B is known, refused or too large: don't fetch it"
            )
        self.taken: Manifest | None = None
        """What was taken in the end."""
        self.received_bytes = 0
        self._named = named
        self._accepted = accepted
        self._check, self._name = check, name
        self._chunk_bytes = chunk_bytes
        self._sealed = b""
        self._manifest: Manifest | None = None
        self._ways: list[_Way] = []  # the one that is tried, and those that are left
        self._resumed = False

    def request(self) -> Request | None:
        """Return what is needed next, None when the artifact was taken."""
        if self.taken:
            return None
        if self._manifest is None:
            return Request(self._named.file, 0, MAX_MANIFEST_BYTES)
        way, have = self._ways[0], self._have()
        return Request(way.sha256, have, min(have + self._chunk_bytes, way.size_bytes))

    def receive(self, data: bytes) -> None:
        """Take in what came for the last request: its bytes from the start on, all of them or fewer.

        Raises ArtifactError when the artifact is refused, InputError when the disk can't be written. None at all means
        that the server's file ends there.
        """
        wanted = self.request()
        if wanted is None:
            raise ArtifactError(f"{len(data):,} B came, allowed: none, the artifact was taken: ask for nothing more")
        self.received_bytes += len(data)
        if len(data) > wanted.stop - wanted.start:
            self._give_up(f"{len(data):,} B came, allowed: {wanted.stop - wanted.start:,} B as asked for")
        elif self._manifest is None:
            self._begin(data)
        elif not data:
            size_bytes = self._ways[0].size_bytes
            self._give_up(f"{wanted.path[:16]}... ends at {wanted.start:,} B, its manifest says {size_bytes:,} B")
        else:
            self._append(data)
            self._advance()

    def missing(self) -> None:
        """Be told that the server has no such file. Raises ArtifactError when there is no other way."""
        self._give_up("the server has no such file")

    def _begin(self, sealed: bytes) -> None:
        manifest = self._accepted.judge(sealed, self._named, self._name)
        whole = _Way(manifest.sha256, manifest.size_bytes, None)
        patches = [_Way(p.sha256, p.size_bytes, p.base) for p in manifest.patches if self._has_base(p.base)]
        self._sealed, self._manifest = sealed, manifest
        if (known := self._accepted.content(manifest.sha256)) is not None:
            self._take(known)
            return
        self._ways = sorted([whole, *patches], key=lambda way: way.size_bytes)
        self._resumed = self._have() > 0
        self._advance()

    def _has_base(self, base: str) -> bool:
        return not base or self._accepted.content(base) is not None

    def _have(self) -> int:
        try:
            return self._part().stat().st_size
        except OSError:
            return 0

    def _part(self) -> Path:
        return self._accepted.part(self._ways[0].sha256)

    def _append(self, data: bytes) -> None:
        part = self._part()
        try:
            with part.open("ab") as file:
                file.write(data)
        except OSError as cause:
            raise InputError(f"{part} can't be written: {cause.strerror or cause}") from cause

    def _advance(self) -> None:
        """Take the artifact if all bytes of this way are here and right; go another way if they are wrong."""
        way = self._ways[0]
        if self._have() < way.size_bytes:
            return
        try:
            data = read_bounded(self._part(), way.size_bytes, ArtifactError)
            if digest(data) != way.sha256:
                raise ArtifactError(f"{len(data):,} B came that aren't {way.sha256[:16]}...")  # noqa: TRY301
            content = data if way.base is None else self._patched(way.base, data)
        except ArtifactError as error:
            self._give_up(str(error))
        else:
            self._take(content)

    def _patched(self, base: str, patch: bytes) -> bytes:
        old = self._accepted.content(base) if base else b""
        if self._manifest is None or old is None:
            raise ArtifactError(f"what the patch applies to, {base[:16]}..., isn't here: take the whole file")
        content = apply_patch(old, patch, self._manifest.size_bytes)
        check_content(self._manifest, content)
        return content

    def _take(self, content: bytes) -> None:
        self.taken = self._accepted.take(self._sealed, content, self._check)

    def _give_up(self, why: str) -> None:
        """Begin this way again if its start is from an earlier session, else go the next one, else refuse."""
        if self._ways:
            self._part().unlink(missing_ok=True)
            if not self._resumed:
                self._ways.pop(0)
            self._resumed = False
        if not self._ways:
            self._manifest = None
            raise ArtifactError(f"{self._named.kind} {self._named.version} can't be fetched ({why}): try again later")
        self._resumed = self._have() > 0
        self._advance()
