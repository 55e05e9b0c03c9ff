"""How a pull names artifacts: the manifest's kinds as the wire's numbers, and back."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from omega.core.artifacts.manifest import Kind, Named
from omega.core.wire import Artifact, ArtifactKind

if TYPE_CHECKING:
    from collections.abc import Mapping

CODES: Final[Mapping[Kind, ArtifactKind]] = MappingProxyType(
    {
        Kind.CATALOG: ArtifactKind.CATALOG,
        Kind.WEIGHTS: ArtifactKind.RANKING_WEIGHTS,
        Kind.MODEL: ArtifactKind.MODEL,
        Kind.FACTORS: ArtifactKind.ITEM_FACTORS,
        Kind.AUDIENCE: ArtifactKind.AUDIENCE_BASIS,
        Kind.NEIGHBORS: ArtifactKind.NEIGHBORS,
        Kind.PRIVACY: ArtifactKind.PRIVACY,
        Kind.EXPERIMENTS: ArtifactKind.EXPERIMENTS,
    }
)
_KINDS: Final = {int(code): kind for kind, code in CODES.items()}


def to_wire(named: Named) -> Artifact:
    """Return what a pull says."""
    return Artifact(CODES[named.kind], named.version, named.start, named.size_bytes)


def from_wire(artifact: Artifact) -> Named | None:
    """Return what a pull named; None for a kind that this program doesn't know."""
    kind = _KINDS.get(artifact.kind)
    return None if kind is None else Named(kind, artifact.digest, artifact.size_bytes, artifact.version)
