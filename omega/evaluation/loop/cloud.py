"""The shards of a replay, on SQLite in a folder, and the rounds that they meet in: the product's own, at its own pace.

What is left out is the network: frames go in and out as bytes, tokens are given without the handshake.
"""

from __future__ import annotations

from contextlib import ExitStack
from hashlib import blake2b
from typing import TYPE_CHECKING

from omega.compose import registry
from omega.core.artifacts.keys import Keyring, SigningKey
from omega.core.artifacts.manifest import Kind
from omega.core.artifacts.naming import from_wire
from omega.core.artifacts.shelf import Shelf
from omega.core.audience import decode_basis
from omega.core.errors import OmegaError
from omega.core.factors import decode_factors
from omega.core.identity.keyring import KeyRing
from omega.core.identity.tokens import Tokens
from omega.core.wire import space_code
from omega.federation.collecting import Kin, Source
from omega.federation.round import Federation, run_round
from omega.shard.app import ShardApp
from omega.shard.inquiry import summed
from omega.shard.pacing import Pace, Service
from omega.shard.shard import Shard
from omega.shard.shelves import Published
from omega.shards import open_shard_store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from omega.core.artifacts.manifest import Named
    from omega.core.audience import Basis
    from omega.core.catalog import Catalog
    from omega.core.factors import Factors
    from omega.core.wire import Artifact

_DECODED: dict[Kind, Callable[[bytes], Basis | Factors]] = {
    Kind.AUDIENCE: decode_basis,
    Kind.FACTORS: decode_factors,
}
_SERVICE = Service(tick_s=0.0, pull_s=1e9, most_waiting=2**20, pace=Pace(burst=2**20, refill_s=1e-6))
"""A replay's days take a second: nobody is told to come later, and pulls are made when a day ends."""


class Clock:
    """The time in a replay."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        """Return it, Unix seconds."""
        return self.now_s


class Served:
    """One shard with its door."""

    def __init__(
        self, number: int, folder: Path, catalog: Catalog, space: str, clock: Clock, key: bytes, tags: bytes
    ) -> None:
        """`folder` is the cloud's, `key` the operator's public one, `tags` makes the tags of households."""
        self.number, self._clock = number, clock
        store = open_shard_store(f"sqlite:///{folder}/shard-{number}.db")
        store.bind(number, bytes(8))
        self.shard = Shard(store, catalog, tags, space=space_code(space), service=_SERVICE, now=clock)
        ring = KeyRing.fresh(clock())
        self.app = ShardApp(self.shard, number, ring, now=clock)
        self.files = Published(folder / "published", Keyring([key]), catalog, now=clock)
        self.tokens = Tokens(ring, number, lambda slot: 0)

    async def admit(self, devices: int, known: int) -> None:
        """Let so many more TVs in, with the next slots."""
        names = [(known + at).to_bytes(16, "big") for at in range(devices)]
        slots = await self.shard.ask(lambda store: store.enrol(names, 0))
        if slots != list(range(known, known + devices)):
            raise OmegaError(f"shard {self.number} admitted {slots}, allowed: the next {devices} slots")

    async def exchange(self, slot: int, frame: bytes) -> bytes:
        """Answer a TV's frame. Raises OmegaError for any refusal: a replay has no use for half of its TVs."""
        reply = await self.app.sync(self.tokens.give(slot, self._clock()), frame)
        if reply.status != 200:
            raise OmegaError(f"shard {self.number} answers {reply.status}: {reply.body.decode(errors='replace')}")
        return reply.body


class Cloud:
    """Shards of one operator, and their federation."""

    def __init__(self, folder: Path, space: str, clock: Clock, shards: int, seed: int) -> None:
        """Keep everything in the folder; `seed` makes the keys of households' tags."""
        self.shards: list[Served] = []
        """None before there is a catalog."""
        self._seed = seed
        self._folder, self._space, self._clock, self._count = folder, space, clock, shards
        self._key = SigningKey.generate()
        self._shelf = Shelf(folder / "published")
        self._held = ExitStack()
        self._engine = self._held.enter_context(registry().engine("process-pool").open())
        self._files: dict[tuple[Kind, int], Basis | Factors] = {}  # all: a TV that comes back has an old pull

    async def go_on(self, catalog: Catalog) -> None:
        """Let all shards go on with a later epoch of the catalog, or begin with the first one."""
        self._catalog = catalog
        if not self.shards:
            await self._open(catalog)
        for served in self.shards:
            await served.shard.set_catalog(catalog)

    async def _open(self, catalog: Catalog) -> None:
        self._shelf.folder.mkdir()
        given = self._folder, catalog, self._space, self._clock, self._key.public
        for number in range(self._count):
            tags = blake2b(f"{self._seed} {number}".encode(), digest_size=32).digest()
            self.shards.append(Served(number, *given, tags))
            await self.shards[-1].app.start()

    async def round(self) -> None:
        """Merge what the shards have counted, and let them tell it."""
        catalog, now = self._catalog, self._clock()
        files = [(await summed(served.shard, catalog, served.number, "", now)).encode() for served in self.shards]
        run_round(
            Federation(
                home=self._folder / "federation",
                sources=[Source(str(at), lambda _, file=file: file) for at, file in enumerate(files)],  # type: ignore[misc]
                kin=Kin(catalog, space_code(self._space)),
                folder=self._shelf.folder,
                key=self._key,
                strategy=registry().strategy("weighted-mean")(),
                engine=self._engine,
            ),
            now=self._clock,
        )
        for served in self.shards:
            await served.files.look(served.shard)
            await served.shard.make_pull()

    def files(self, artifacts: tuple[Artifact, ...]) -> list[Basis | Factors]:
        """Return the files that a pull names, as a TV would fetch them."""
        return [self._file(named) for named in filter(None, map(from_wire, artifacts)) if named.kind in _DECODED]

    def _file(self, named: Named) -> Basis | Factors:
        key = named.kind, named.version
        if key not in self._files:
            found = next(one for one in self._shelf.manifests() if (one.kind, one.version) == key)
            self._files[key] = _DECODED[named.kind](self._shelf.read(found))
        return self._files[key]

    async def close(self) -> None:
        """Close the shards."""
        for served in self.shards:
            await served.shard.close()
        self._held.close()
