"""A shard of a simulation: the product's own, on a real database, which is killed, backed up and put back."""

from __future__ import annotations

import asyncio
import shutil
from collections import Counter
from random import Random
from typing import TYPE_CHECKING

from msgspec.structs import replace

from omega.core.identity.tokens import Tokens
from omega.core.shard_records import DAY_S, TASTE_SPACE, Verdict
from omega.core.wire import space_code
from omega.shard.app import ShardApp
from omega.shard.pacing import Service
from omega.shard.shard import Shard
from omega_storage.shard_sqlite import SqliteShardStore

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from omega.core.catalog import Catalog
    from omega.core.identity.keyring import KeyRing
    from omega.core.ports import Reply
    from omega.core.shard_records import DeviceRow, Standing, Tick
    from omega.core.wire import Header, Pull
    from omega.simulation.planted import Killable, StoreOf

SERVICE = Service(tick_s=300.0, pull_s=3_600.0)
"""A tick gathers for minutes: TVs come as seldom as in life, and each tick is a transaction of the real store."""
BACKUP_DAYS = 2
_TAG_KEY = bytes(range(32))
_OLDEST_S = (BACKUP_DAYS - 0.5) * DAY_S
_MOST_BACKUPS = 3


class SimulatedShard:
    """One shard through all its lives."""

    def __init__(
        self,
        number: int,
        folder: Path,
        catalog: Catalog,
        ring: KeyRing,
        now: Callable[[], float],
        store: StoreOf,
        *,
        day_samples: int = SERVICE.day_samples,
    ) -> None:
        """`store` wraps the database of each life; `day_samples` is what a shard takes of a device in a day."""
        self.number, self.name = number, f"shard-{number}"
        self._file, self._catalog, self._ring, self._now = folder / f"{self.name}.db", catalog, ring, now
        self._wrap, self._lives = store, 0
        self._backups: list[tuple[float, Path]] = []
        self._since = int(now())
        self._tokens = Tokens(ring, number, lambda slot: self._since)
        self._ending: set[asyncio.Task[None]] = set()
        self._service = replace(SERVICE, day_samples=day_samples)
        self._dies: asyncio.Future[None] | None = None
        self._day, self._given = 0, Counter[int]()
        self.offences: list[str] = []
        """What was seen of its commits."""
        self._app: ShardApp | None = None
        self._shard: Shard
        self.store: Killable
        """Of this life, for whoever checks it."""

    @property
    def runs(self) -> bool:
        """Whether anybody answers."""
        return self._app is not None

    def token(self, slot: int) -> str:
        """Return a token that is good now."""
        return self._tokens.give(slot, self._now())

    def enrol(self, devices: Sequence[bytes]) -> list[int]:
        """Give all devices a number, before anything else."""
        store = SqliteShardStore.open(self._file, backup_days=BACKUP_DAYS)
        slots = store.enrol(devices, self._since)
        store.close()
        return [slot for slot in slots if slot is not None]

    async def start(self) -> None:
        """Serve what is on the disk."""
        self._lives += 1
        self.store = store = self._wrap(SqliteShardStore.open(self._file, backup_days=BACKUP_DAYS), self._file)
        store.committed = self._committed
        self._given.clear()  # a shard that was started has forgotten who gave how much today
        random, space = Random(self.number * 1_000 + self._lives), space_code(TASTE_SPACE)  # noqa: S311
        self._shard = Shard(
            store,  # type: ignore[arg-type]
            self._catalog,
            _TAG_KEY,
            space=space,
            service=self._service,
            now=self._now,
            random=random,
        )
        app = ShardApp(self._shard, self.number, self._ring, now=self._now)
        await app.start()
        self._app = app

    def ask(self, token: str, frame: bytes, answer: Callable[[Reply], None]) -> bool:
        """Hand in a frame, and say whether anybody took it; a life that ends answers nobody any more."""
        if self._app is None:
            return False
        app = self._app
        return app.hand_in(token, frame, lambda reply: answer(reply) if self._app is app else None)

    def kill(self) -> None:
        """End this life at once: what isn't on the disk is lost, and so are answers."""
        self._app = None
        self.store.kill()
        ending = asyncio.ensure_future(self._shard.close())  # only lets its timers run out
        self._ending.add(ending)
        ending.add_done_callback(self._ended)

    async def kill_untold(self) -> bool:
        """End this life between its next commit of anything and the answers; say whether there was one in time."""
        self._dies = died = asyncio.get_running_loop().create_future()
        try:
            await asyncio.wait_for(died, 3 * SERVICE.tick_s)
        except TimeoutError:
            self._dies = None
            self.kill()
            return False
        return True

    def _die(self, died: asyncio.Future[None]) -> None:
        self.kill()
        if not died.done():
            died.set_result(None)

    def _committed(self, tick: Tick, standings: Sequence[Standing]) -> None:
        """Hold devices to their day, and end this life if that is its fate."""
        if tick.day != self._day:
            self._day = tick.day
            self._given.clear()
        counts = [len(move.contributed) for move in tick.moves]
        counts += tick.plain.count.tolist() if tick.plain else []
        for slot, count, standing in zip(tick.slots(), counts, standings, strict=True):
            if standing.verdict is Verdict.ACCEPTED:
                before, self._given[slot] = self._given[slot], self._given[slot] + count
                if before and before + count > SERVICE.day_samples:  # a day's first push is never refused
                    told = f"took {before + count:,} samples of device {slot} in a day"
                    self.offences.append(f"{self.name} {told}, allowed: {SERVICE.day_samples:,}")
        if standings and self._dies is not None:
            died, self._dies = self._dies, None
            # Once the commit has returned, and before anybody hears of it.
            asyncio.get_running_loop().call_soon(self._die, died)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._ending.discard(task)
        if not task.cancelled():
            task.exception()  # its store is gone: what it still wanted of it is of no account

    async def pull(self) -> Pull:
        """Return what it tells every TV now."""
        await self._shard.make_pull()
        return self._shard.pull

    @property
    def header(self) -> Header:
        """What its frames begin with."""
        return self._shard.header

    async def settled(self) -> None:
        """Return once every sync that was handed in is answered."""
        await asyncio.sleep(3 * SERVICE.tick_s)

    # --- backups ---

    def back_up(self) -> None:
        """Copy what is on the disk."""
        file = self._file.with_name(f"{self.name}-{int(self._now())}.backup")
        if not file.exists():
            self.store.backup(file)
            self._backups = [*self._backups, (self._now(), file)]
        while len(self._backups) > _MOST_BACKUPS:
            self._backups.pop(0)[1].unlink()

    def renew_backups(self) -> None:
        """Have none but one of now."""
        for _, file in self._backups:
            file.unlink()
        self._backups = []
        self.back_up()

    async def restore(self, random: Random) -> bool:
        """Put a backup back, and throw away those after it; say whether there was one that may be."""
        allowed = [at for at, (made, _) in enumerate(self._backups) if self._now() - made < _OLDEST_S]
        if not allowed:
            return False
        if self.runs:
            self.kill()
        at = random.choice(allowed)
        for _, later in self._backups[at + 1 :]:
            later.unlink()
        self._backups = self._backups[: at + 1]
        for suffix in ("-wal", "-shm"):
            self._file.with_name(self._file.name + suffix).unlink(missing_ok=True)
        shutil.copyfile(self._backups[at][1], self._file)
        await self.start()
        return True

    # --- what is checked ---

    def row(self, slot: int) -> DeviceRow:
        """Return where a device stands here."""
        found: DeviceRow | None = self.store.device(slot)
        assert found is not None  # noqa: S101  (all are enrolled before the first backup)
        return found
