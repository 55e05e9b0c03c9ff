"""Where each TV stands with the shard: a session's rules on arrays, 30 B a device, beside the wheel's 8.

`omega.device.sync.session` keeps its ledger in a database; here what was told as a version is drawn anew whenever it is
needed. The rules are the same: rows are bound to a version before they leave, and go again under it until it is
acknowledged; a shard that stands elsewhere gets all that it lacks in one push; the incarnation is the unix seconds of
the first sync. A test holds the frames against those of real sessions.
"""

from __future__ import annotations

from enum import IntEnum
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np

from omega.core.errors import WireCode, WireError
from omega.core.wire import REPLY_LIMIT, Ack, Pull, Push, Reason, Resync, decode, encode, split
from omega.fleet.load.plain_frames import PlainFrames

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from omega.core.ports import Integers
    from omega.core.wire import Header, Message, Row
    from omega.fleet.load.watching import Watching

VERSION_BITS = 32
"""Below the incarnation, where both are one number."""
MOST_STEPS = 8
"""Versions in one push at most; with five rows each they fit it."""
_BEHIND = 3
"""Versions that a shard which was put back to a backup has lost of a device."""


class Role(IntEnum):
    """How a TV behaves."""

    PLAIN = 0
    RESTORED = 1
    """The shard that it meets was put back, and lacks its last versions: it is asked for them."""
    FORGETS = 2
    """Takes back the first thing that it told the last time."""
    OLD_TOKEN = 3
    """Comes with a token of the day before first."""
    ABUSER = 4
    """Comes every second, whatever it is told."""
    SLOW = 5
    """Stops for a second in the middle of its push."""


_MIXED = {Role.RESTORED: 0.02, Role.FORGETS: 0.02, Role.OLD_TOKEN: 0.01, Role.ABUSER: 0.01, Role.SLOW: 0.01}
"""Share of each in a mix."""


class Told(msgspec.Struct, gc=False):
    """One push, made."""

    frame: bytes
    incarnation: int
    version: int
    contributed: int
    retracted: int


class Heard(msgspec.Struct, frozen=True, gc=False):
    """What an answer meant."""

    acknowledged: bool = False
    again: bool = False
    """There is more to tell at once: the shard stands elsewhere, or one push didn't hold all that it lacked."""
    reason: str = ""
    """Why it isn't acknowledged."""


_ALL, _AND_MORE = Heard(acknowledged=True), Heard(acknowledged=True, again=True)
_ROLES = tuple(Role)


class _One(NamedTuple):
    """The arrays for single reads and writes, which take a third of numpy's time."""

    slot: memoryview
    failures: memoryview
    version: memoryview
    last: memoryview
    acknowledged: memoryview
    known_pull: memoryview
    role: memoryview


class Devices:
    """All TVs of a generator."""

    def __init__(
        self, slots: Integers, watching: Watching, header: Header, *, now_s: int, seed: int, mixed: bool
    ) -> None:
        """(n,) `slots` are the shard's numbers of them; with `mixed` some misbehave. They begin to sync `now_s`."""
        count = len(slots)
        self.slots = slots.astype(np.uint32)
        self._watching, self._header, self._frames = watching, header, PlainFrames(header)
        self._incarnation = np.full(count, now_s, np.uint32)
        self._version = np.zeros(count, np.uint32)
        self._last = np.zeros(count, np.uint32)
        self.acknowledged = np.zeros(count, np.uint64)
        """(n,) incarnation << VERSION_BITS | version of the highest ack that each ever got."""
        self._known_pull = np.zeros(count, np.uint32)
        self._role = _roles(count, seed) if mixed else np.zeros(count, np.uint8)
        self._failures = np.zeros(count, np.uint8)
        restored = self._role == Role.RESTORED
        self._version[restored] = self._last[restored] = _BEHIND
        self._one = _One(
            slot=self.slots.data,
            failures=self._failures.data,
            version=self._version.data,
            last=self._last.data,
            acknowledged=self.acknowledged.data,
            known_pull=self._known_pull.data,
            role=self._role.data,
        )

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.slots)

    @property
    def size_bytes(self) -> int:
        """What the arrays take."""
        return sum(one.nbytes for one in vars(self).values() if isinstance(one, np.ndarray))

    def role(self, device: int) -> Role:
        """Return how a device behaves."""
        return _ROLES[self._one.role[device]]

    def slot(self, device: int) -> int:
        """Return a device's number at the shard."""
        return self._one.slot[device]

    @property
    def unserved(self) -> int:
        """How many told something that isn't acknowledged."""
        return int(np.count_nonzero(self._last > self._version))

    # --- what is told ---

    def told(self, devices: Sequence[int]) -> list[Told]:
        """Return the next push of each of these devices, bound to its version. Raises WireError."""
        base = self._version[devices].astype(np.int64)
        last = np.maximum(self._last[devices].astype(np.int64), base + (self._last[devices] <= base))
        last = np.minimum(last, base + MOST_STEPS)
        self._last[devices] = np.maximum(self._last[devices], last)
        plain = (last == base + 1) & (self._role[devices] != Role.FORGETS)
        told: list[Told | None] = [None] * len(devices)
        places = np.flatnonzero(plain)
        for place, made in zip(places.tolist(), self._plain(np.asarray(devices)[places], base[places]), strict=True):
            told[place] = made
        others = [place for place, made in enumerate(told) if made is None]
        wanted = [
            (devices[place], version)
            for place in others
            for version in range(self._from(devices[place], int(base[place])), int(last[place]) + 1)
        ]
        drawn = dict(zip(wanted, self._drawn(wanted), strict=True)) if wanted else {}
        return [
            made or self._push(device, int(first), int(end), drawn)
            for device, first, end, made in zip(devices, base, last, told, strict=True)
        ]

    def _plain(self, devices: Integers, base: Integers) -> Iterator[Told | None]:
        """Give what each of (n,) devices tells as the version behind its `base`, as far as that is plain."""
        drawn, tastes = self._watching.drawn(devices, base + 1), self._watching.tastes(devices)
        life, pull = self._incarnation[devices].astype(np.int64), self._known_pull[devices].astype(np.int64)
        frames = self._frames.made(drawn, tastes, life, base, pull)
        for made, incarnation, version in zip(frames, life.tolist(), base.tolist(), strict=True):
            yield made and Told(made[0], incarnation, version + 1, made[1], 0)

    def warm_up(self) -> None:
        """Make a push that nobody sends: the first one takes 40 ms, in which others would be late."""
        (rows,) = self._drawn([(0, 1)])
        encode(Push(header=self._header, incarnation=1, base=0, contributed=rows))

    def _drawn(self, wanted: Sequence[tuple[int, int]]) -> list[tuple[Row, ...]]:
        devices, versions = np.asarray(wanted, np.int64).reshape(-1, 2).T
        return self._watching.rows(devices, versions)

    def _from(self, device: int, base: int) -> int:
        """Return the first version whose rows a push from `base` on needs: who forgets needs one more."""
        return max(base, 1) if self._role[device] == Role.FORGETS else base + 1

    def _push(self, device: int, base: int, last: int, drawn: dict[tuple[int, int], tuple[Row, ...]]) -> Told:
        contributed: dict[tuple[int, int, int], Row] = {}
        retracted: dict[tuple[int, int, int], Row] = {}
        forgets = self._role[device] == Role.FORGETS
        for version in range(base + 1, last + 1):
            if forgets and version > 1:
                row = drawn[device, version - 1][0]
                key = row.title, row.slot, row.day
                if contributed.pop(key, None) is None:  # what is given and taken back within a push isn't told
                    retracted[key] = row
            for row in drawn[device, version]:
                contributed[row.title, row.slot, row.day] = row
        push = Push(
            header=self._header,
            incarnation=int(self._incarnation[device]),
            base=base,
            step=last - base,
            known_pull=int(self._known_pull[device]),
            contributed=tuple(contributed.values()),
            retracted=tuple(retracted.values()),
        )
        return Told(encode(push), push.incarnation, last, len(contributed), len(retracted))

    # --- what is heard ---

    def heard(self, device: int, told: Told, body: bytes) -> Heard:
        """Take in the answer to what a device told, and say what it meant."""
        try:
            receipt, pull_id = _heard(body)
        except WireError as error:
            return Heard(reason=f"broken answer ({error.code.name.lower()})")
        if pull_id is not None:
            self._one.known_pull[device] = pull_id
        if isinstance(receipt, Ack):
            return self._acknowledged(device, told, receipt)
        if isinstance(receipt, Resync):
            return self._corrected(device, receipt)
        return Heard(reason="broken answer (no receipt)")

    def _acknowledged(self, device: int, told: Told, ack: Ack) -> Heard:
        if ack.incarnation != told.incarnation or ack.version < told.version:
            return Heard(reason="an ack of another push")
        one, version = self._one, ack.version
        if version > told.version:  # somebody told it in this life's name: what waits counts as told
            one.version[device] = one.last[device] = version
            return Heard(reason="rewound")
        one.version[device] = version
        one.acknowledged[device] = max(one.acknowledged[device], ack.incarnation << VERSION_BITS | version)
        one.failures[device] = 0
        return _AND_MORE if one.last[device] > version else _ALL

    def _corrected(self, device: int, resync: Resync) -> Heard:
        """Believe the shard's word of where it stands, as `Session` does."""
        reason = f"resync ({Reason(resync.reason).name.lower()})"
        if resync.reason is not Reason.GAP:
            return Heard(reason=reason)
        held = int(self._incarnation[device])
        if resync.incarnation > held:  # a life before this one: what it told isn't known any more
            self._incarnation[device] = resync.incarnation + 1
            self._version[device] = 0
        else:
            self._version[device] = resync.version if resync.incarnation == held else 0
        self._last[device] = max(self._last[device], self._version[device])
        return Heard(again=True, reason=reason)

    def failed(self, device: int) -> int:
        """Note that a device got nothing, and return how often in a row."""
        failures = min(int(self._failures[device]) + 1, 255)
        self._failures[device] = failures
        return failures


@lru_cache(1_024)
def _heard(body: bytes) -> tuple[Message, int | None]:
    """Return what a reply begins with and the last pull's id: many devices get the same bytes. Raises WireError."""
    receipt, *others = [decode(frame, max_bytes=REPLY_LIMIT) for frame in split(body, max_bytes=REPLY_LIMIT)]
    pull_id = next((of.pull_id if isinstance(of, Pull) else 0 for of in reversed(others)), None)
    for number in (getattr(receipt, "version", 0), pull_id or 0):
        if number >= 1 << VERSION_BITS:  # no shard of ours gives such a one, and the arrays have no room for it
            raise WireError(WireCode.VALUE, f"a number is {number}, allowed below {1 << VERSION_BITS}")
    return receipt, pull_id


def _roles(count: int, seed: int) -> NDArray[np.uint8]:
    """Return (count,) how each behaves in a mix."""
    drawn = np.random.default_rng([seed, 3]).random(count)
    ends = np.cumsum(list(_MIXED.values()))
    kinds = np.array([*_MIXED, Role.PLAIN], np.uint8)
    return kinds[np.searchsorted(ends, drawn, side="right")]
