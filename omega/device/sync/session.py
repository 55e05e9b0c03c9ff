"""One TV's conversation with one shard: ledger to push, replies to ledger. It opens nothing, waits for nothing.

What is counted exactly once rests on three things: rows are bound to (incarnation, version) for good, before the push
exists; the shard counts a push only when it is at the push's `base`; the push holds all rows of the versions that it
moves the shard over. What this side believes of the shard may be wrong in any way: the answer corrects it.

- Repeated, lost, late: the same rows go under the same version, and the shard acknowledges them without counting.
- Shard restored from a backup: it names its version, and all later versions are sent again from the ledger, several in
  one push where they fit; what was given and taken back among them isn't told again.
- TV reset: its incarnation is new, and greater than the last one, by the clock or once the shard has named that.
- Store older than what the shard counted (a copy was put back): nobody can say what was told in the lost time, so that
  all that waits counts as told. At most once goes before at least once.
- Moved to another shard: what a shard counted is taken back from that same shard, since it holds the sums; a shard's id
  names the sums, and whoever inherits them answers to it. `settles` makes a session for such debts, which tells nothing
  new there; until somebody answers to the id, they wait. A shard that was left is visited until no backup of it lacks
  anything.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

from omega.core.wire import Ack, Artifact, Header, Pull, Push, Reason, Resync, lineage_code, space_code
from omega.device.sync import link as links
from omega.device.sync import trends
from omega.device.sync.rows import References, fitting, net

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from random import Random

    from omega.core.catalog import Catalog
    from omega.core.ports import DeviceStore
    from omega.core.records import Contribution
    from omega.device.sync.link import Link
    from omega.device.sync.messages import Reply

PUSH_BYTES = 1_024
"""What a push is planned to take at most. A version that needs more once its titles go by hash is sent all the same."""
MOST_ROWS = 512


class Outcome(StrEnum):
    """What an answer meant."""

    COUNTED = "counted"
    """The shard is where the push was to bring it, now or before."""
    RESENT = "resent"
    """The shard is elsewhere: what it lacks goes again."""
    REWOUND = "rewound"
    """The shard counted versions that this store has no memory of."""
    REFUSED = "refused"
    """The shard can't count for this TV until something is changed; what waits, waits."""
    IGNORED = "ignored"
    """It answered some earlier push, or none."""


class Synced(msgspec.Struct, frozen=True):
    """What became of one push."""

    outcome: Outcome
    contributed: int = 0
    retracted: int = 0
    again: bool = False
    """There is more to tell at once."""
    reason: Reason | None = None
    next_sync_s: int = 0
    """The shard's wish; 0 is none."""
    retry_after_s: int = 0
    """Above 0 when the shard has no time."""
    pulled: bool = False
    """What the others enjoy has changed."""
    epoch: int = 0
    """Of the shard's catalog; 0 when it didn't say."""
    artifacts: tuple[Artifact, ...] = ()
    """Files that the shard names as current."""


class Session:
    """Syncs a store with one shard; for the store's thread. Each step is one transaction of notes and ledger."""

    def __init__(
        self,
        store: DeviceStore,
        catalog: Catalog,
        shard: str,
        *,
        space: str,
        size_of: Callable[[Push], int],
        now_s: Callable[[], float],
        random: Random,
        settles: bool = False,
    ) -> None:
        """`size_of` says how many bytes a push takes, `now_s` the unix time; with `settles` only debts are settled."""
        self._store, self._ledger, self._catalog = store, store.ledger, catalog
        self.shard = shard
        self._size_of, self._settles = size_of, settles
        self._header = Header(space=space_code(space), lineage=lineage_code(catalog.lineage), epoch=catalog.epoch)
        self._now_s, self._random = now_s, random
        self._references = References(catalog)
        self._known_pull = 0
        self._pushed: Push | None = None

    @property
    def waits(self) -> bool:
        """Whether there is anything to tell."""
        return self._has_more(links.read(self._store, self.shard, self._now_s()))

    def begin(self) -> Push:
        """Return what is to be told next; bound to its version on the disk. Without an answer, begin again."""
        with self._store.many():
            link = before = self._read()
            held = trends.read(self._store)
            self._known_pull = held.pull_id if held.shard == self.shard else 0
            owed = self._ledger.since(self.shard, link.incarnation, link.version)
            link = self._bound(link, fresh=not owed and not self._settles)
            owed = self._ledger.since(self.shard, link.incarnation, link.version)
            self._pushed = self._filled(link, owed)
            if link != before:
                links.keep(self._store, self.shard, link)
        return self._pushed

    def receive(self, replies: Sequence[Reply]) -> Synced:
        """Take in the answer to the push that `begin` gave last, and say what it meant."""
        pushed, self._pushed = self._pushed, None
        with self._store.many():
            link = before = self._read()
            if pushed is None or pushed.incarnation != link.incarnation:
                return Synced(Outcome.IGNORED)
            synced = Synced(Outcome.IGNORED)
            for reply in replies:
                match reply:
                    case Ack():
                        link, synced = self._acknowledged(link, pushed, reply)
                    case Resync():
                        link, synced = self._corrected(link, pushed, reply)
                    case Pull():
                        synced = self._pulled(reply, synced)
            if link != before:
                links.keep(self._store, self.shard, link)
        return synced

    def _read(self) -> Link:
        link = links.read(self._store, self.shard, self._now_s())
        if self._store.note(f"sync {self.shard}") is None:
            links.keep(self._store, self.shard, link)  # a life's number is drawn once
        return link

    def _bound(self, link: Link, *, fresh: bool) -> Link:
        """Bind what waits to the next version, as much as fits."""
        waiting = self._ledger.waiting(self.shard, link.incarnation, MOST_ROWS, fresh=fresh)
        if not waiting:
            return link
        version = max(link.version, link.last) + 1
        most = fitting(waiting, lambda lines: self._size_of(self._push(link, version, lines)) <= PUSH_BYTES)
        self._ledger.assign(self.shard, link.incarnation, version, most, fresh=fresh)
        return msgspec.structs.replace(link, last=version)

    def _filled(self, link: Link, owed: dict[int, list[Contribution]]) -> Push:
        """Return a push of the first versions that the shard lacks, as many as fit, at least one."""
        push = self._push(link, link.version, ())
        lines: list[Contribution] = []
        for version, more in owed.items():
            lines = net([*lines, *more])
            longer = self._push(link, version, lines)
            if push.step and (len(lines) > MOST_ROWS or self._size_of(longer) > PUSH_BYTES):
                break
            push = longer
        return push

    def _push(self, link: Link, version: int, lines: Sequence[Contribution]) -> Push:
        tried = [(line.retracts, trial) for line in lines if (trial := line.trial)]
        rows = [(line.retracts, self._references.row(line, link.epoch)) for line in lines if not line.trial]
        return Push(
            header=self._header,
            incarnation=link.incarnation,
            base=link.version,
            step=version - link.version,
            contributed=tuple(row for retracts, row in rows if not retracts),
            retracted=tuple(row for retracts, row in rows if retracts),
            trials=tuple(trial for retracts, trial in tried if not retracts),
            trials_retracted=tuple(trial for retracts, trial in tried if retracts),
            known_pull=self._known_pull,
        )

    def _acknowledged(self, link: Link, pushed: Push, ack: Ack) -> tuple[Link, Synced]:
        if ack.version < pushed.version or ack.incarnation != link.incarnation:
            return link, Synced(Outcome.IGNORED)
        counted = pushed.version == ack.version
        link, outcome = self._at(msgspec.structs.replace(link, epoch=max(ack.header.epoch, 1)), ack.version)
        self._ledger.drop_before(self.shard, link.incarnation, min(ack.horizon, ack.version))
        return link, Synced(
            outcome,
            contributed=len(pushed.contributed) if counted else 0,
            retracted=len(pushed.retracted) if counted else 0,
            again=not ack.retry_after_s and self._has_more(link),
            next_sync_s=ack.next_sync_s,
            retry_after_s=ack.retry_after_s,
            epoch=ack.header.epoch,
        )

    def _corrected(self, link: Link, pushed: Push, resync: Resync) -> tuple[Link, Synced]:
        epoch = max(resync.header.epoch, 1)
        refused = Synced(Outcome.REFUSED, reason=resync.reason, epoch=epoch)
        resent = Synced(Outcome.RESENT, reason=resync.reason, epoch=epoch, again=True)
        if resync.reason in (Reason.SPACE, Reason.LINEAGE):
            return link, refused
        if resync.reason is Reason.EPOCH:
            if epoch >= min(link.epoch, self._catalog.epoch):
                return link, Synced(Outcome.IGNORED)  # it has all the ordinals that this push could name
            return msgspec.structs.replace(link, epoch=epoch), resent
        if resync.reason is Reason.DICTIONARY:
            return link, resent
        link = msgspec.structs.replace(link, epoch=epoch)
        outcome = Outcome.RESENT
        if resync.incarnation == link.incarnation:
            link, outcome = self._at(link, resync.version)
            outcome = Outcome.RESENT if outcome is Outcome.COUNTED else outcome
        elif resync.incarnation < link.incarnation:
            link = msgspec.structs.replace(link, version=0)
        else:
            newer = links.next_incarnation(resync.incarnation, self._now_s(), self._random)
            if newer <= resync.incarnation:
                return link, refused
            outcome = Outcome.REWOUND if link.reached else Outcome.RESENT
            self._ledger.carry(self.shard, link.incarnation, newer, told=link.reached)
            last = 0 if link.reached else link.last
            link = msgspec.structs.replace(link, incarnation=newer, version=0, last=last, reached=False)
        again = pushed.step > 0 or self._has_more(link)
        return link, Synced(outcome, again=again, reason=resync.reason, epoch=epoch)

    def _at(self, link: Link, version: int) -> tuple[Link, Outcome]:
        """Believe that the shard is at this version of our incarnation."""
        rewound = version > max(link.last, link.version)
        if rewound:
            self._ledger.carry(self.shard, link.incarnation, link.incarnation, told=True)
        else:
            self._ledger.acknowledge(self.shard, link.incarnation, version)
        last = max(link.last, link.version, version)
        link = msgspec.structs.replace(link, version=version, last=last, reached=True)
        return link, Outcome.REWOUND if rewound else Outcome.COUNTED

    def _has_more(self, link: Link) -> bool:
        """Whether there is anything to tell that isn't counted."""
        named = self.shard, link.incarnation
        waits = self._ledger.waiting(*named, 1, fresh=not self._settles)
        return bool(waits or self._ledger.since(*named, link.version))

    def _pulled(self, pull: Pull, synced: Synced) -> Synced:
        """Keep what the others enjoy; another lineage's ordinals would name other titles."""
        if pull.header.lineage == self._header.lineage and not self._settles:
            held = trends.read(self._store)
            newer = held.after(self.shard, pull)
            if newer != held:
                trends.keep(self._store, newer)
                synced = msgspec.structs.replace(synced, pulled=True)
        return msgspec.structs.replace(synced, artifacts=pull.artifacts)
