"""What a TV takes of the files that its shard names, signed by its operator.

That is a later epoch of its catalog, the map of audiences, titles' factors and neighbors, the weights that ranking goes
by, and what is being tried.

It comes after a sync, some at a time, and goes on where it stopped: at the next sync, after a restart. What goes wrong
is told and tried again; the TV goes on with what it has.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from contextlib import suppress
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

import msgspec

from omega.core.artifacts.catalogs import apply_catalog
from omega.core.artifacts.fetching import Fetcher
from omega.core.artifacts.manifest import Kind
from omega.core.artifacts.naming import from_wire
from omega.core.audience import decode_basis
from omega.core.catalog import Catalog
from omega.core.errors import OmegaError, TransportError
from omega.core.experiments import decode_experiments
from omega.core.factors import decode_factors
from omega.core.neighbors import decode_neighbors
from omega.core.ports import ARTIFACTS
from omega.core.privacy import decode_privacy
from omega.core.ranking_weights import decode_weights

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from omega.core.artifacts.accepted import Accepted
    from omega.core.artifacts.manifest import Manifest, Named
    from omega.core.audience import Basis
    from omega.core.experiments import Experiments
    from omega.core.factors import Factors
    from omega.core.neighbors import Neighbors
    from omega.core.ports import Fetched
    from omega.core.privacy import Account
    from omega.core.ranking_weights import RankingWeights
    from omega.core.wire import Artifact
    from omega.device.brain import Brain

    Small: TypeAlias = Basis | Factors | Neighbors | Account | RankingWeights | Experiments

log = logging.getLogger(__name__)

CHUNK_BYTES: Final = 2**16
_DECODED: Final[Mapping[Kind, Callable[[bytes], Small]]] = MappingProxyType(
    {
        Kind.AUDIENCE: decode_basis,
        Kind.EXPERIMENTS: decode_experiments,
        Kind.FACTORS: decode_factors,
        Kind.NEIGHBORS: decode_neighbors,
        Kind.PRIVACY: decode_privacy,
        Kind.WEIGHTS: decode_weights,
    }
)
"""What is small enough to be used at once, and how it is read; its name is its kind's."""


class Bounds(msgspec.Struct, frozen=True):
    """How much of a sync its files may take; the next one goes on."""

    fetch_bytes: int = 4 * 2**20
    fetch_s: float = 8.0
    """No chunk is asked for after that."""
    adopt_s: float = 5.0
    """How long a sync's report waits for new titles to be embedded."""


class Source(Protocol):
    """Where files are, as `core.ports.TransportClient`."""

    async def get(self, path: str, *, max_bytes: int, part: range | None = None) -> Fetched:
        """Fetch what stands at a path; raises TransportError."""


def taken(accepted: Accepted) -> list[Small]:
    """Return what the TV has taken before and goes on with; what is damaged is left out, and comes again."""
    found = []
    for kind, decoded in _DECODED.items():
        if (data := accepted.read(kind, kind.value)) is not None:
            with suppress(OmegaError):
                found.append(decoded(data))
    return found


class Downloads:
    """Fetches for one brain what it can use, and lets it go on with that; for the brain's own thread and loop."""

    def __init__(self, brain: Brain, accepted: Accepted, cache: Path | None, bounds: Bounds | None = None) -> None:
        """`cache` is the folder of catalog vectors."""
        self.bounds = bounds or Bounds()
        self.fetched_bytes = 0
        """In all."""
        self._brain, self._accepted, self._cache = brain, accepted, cache
        self._newer: Catalog | None = None  # taken, and not yet in use
        self._steps: Iterator[tuple[int, int]] | None = None

    async def fetch(self, artifacts: Iterable[Artifact], source: Source) -> None:
        """Fetch what is wanted of these, within the bounds. Raises OmegaError for what didn't come or isn't taken."""
        known = filter(None, map(from_wire, artifacts))
        named = [one for one in known if one.kind is Kind.CATALOG or one.kind in _DECODED]
        until_s, until_bytes = time.monotonic() + self.bounds.fetch_s, self.fetched_bytes + self.bounds.fetch_bytes
        errors = []
        for one in sorted(named, key=lambda one: -one.version):
            try:
                if self._accepted.wants(one):
                    await self._fetch(one, source, until_s, until_bytes)
            except TransportError:
                raise
            except OmegaError as error:
                errors.append(error)
        if errors:
            raise errors[0]

    async def adopt(self, budget_s: float = math.inf) -> None:
        """Let the brain go on with what was taken, for about so long; it answers between the steps. Raises OmegaError.

        What failed begins anew at the next call.
        """
        until_s = time.monotonic() + budget_s
        if self._newer is None:
            return
        try:
            self._steps = self._steps or self._brain.adopting(self._newer, self._cache)
            for _ in self._steps:
                await asyncio.sleep(0)
                if time.monotonic() >= until_s:
                    return
        except BaseException:  # a generator that raised is at its end, and would pass for one that is done
            self._steps = None
            raise
        log.info("catalog %s is at epoch %d, %d titles", self._newer.lineage, self._newer.epoch, len(self._newer))
        self._newer = self._steps = None

    async def _fetch(self, named: Named, source: Source, until_s: float, until_bytes: int) -> None:
        """Bring an artifact as far as the bounds let it come. What takes long is done in a thread."""
        current, decoded = self._brain.catalog, _DECODED.get(named.kind)
        found: list[Catalog | Small] = []

        def check(_manifest: Manifest, data: bytes) -> None:
            found.append(decoded(data) if decoded else apply_catalog(current, data))

        name = named.kind.value if decoded else current.lineage
        fetcher = Fetcher(named, self._accepted, check, CHUNK_BYTES, name=name)
        while (request := fetcher.request()) and time.monotonic() < until_s and self.fetched_bytes < until_bytes:
            part = range(request.start, request.stop)
            try:
                came = await source.get(ARTIFACTS + request.path, max_bytes=len(part), part=part)
            except TransportError as error:
                if not error.absent:
                    raise
                lacking = partial(fetcher.receive, b"") if request.start else fetcher.missing  # the file ends there
                await asyncio.to_thread(lacking)
            else:
                data = came.data or b""
                self.fetched_bytes += len(data)
                await asyncio.to_thread(fetcher.receive, data)
        for one in found[-1:]:
            if isinstance(one, Catalog):
                self._newer, self._steps = one, None
            else:
                self._brain.adopt(one)
                log.info("%s %d is in use", named.kind, named.version)
