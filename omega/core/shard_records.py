"""What a shard's store is told and tells, as values: moves of versions, samples, sums, and what may be shown of them.

Nothing here, once stored, holds a device and a title together: a move names the device and is dropped with its samples
when the sums are made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from itertools import islice
from typing import TYPE_CHECKING

import msgspec

from omega.core.wire.messages import Trial

if TYPE_CHECKING:
    from omega.core.ports import Bits, Bytes, Integers

HALF_LIVES_DAYS = (1.0, 2.0, 7.0, 30.0)
"""Of the trend counters, each a sum of 2^(-age/half-life) over samples."""
RANKED_BY = 0
"""Which of them orders what is trending: one day, the best single list by replay of real viewers."""
MOST_TRENDS = tuple(4 / (1 - 2 ** (-1 / days)) for days in HALF_LIVES_DAYS)
"""What a household can add to a title's trends at most: one sample in each of a day's 4 contexts, every day. More of it
comes from who doesn't keep to that, and isn't told."""
AUDIENCE_HALF_LIFE_DAYS = 20.0
TASTE_NUMBERS = 44
LEAST_TASTE, MOST_TASTE = -8, 7
"""What each number of a taste code may be."""
TASTE_SPACE = "minilm-int4-23df5153"
"""What taste codes are of: the vectors of the model that ships."""
TASTE_BYTES = TASTE_NUMBERS // 2
"""A taste code: 44 numbers of 4 bits, the lower half of a byte first, 8 stands for 0."""
LEAST_HOUSEHOLDS = 3
"""Fewer distinct households show nothing, and so many more or fewer must come before a shown figure changes."""
LEAST_AGAIN = 2 * LEAST_HOUSEHOLDS - 1
"""From so many on is shown what was hidden: two that stayed, at most, and LEAST_HOUSEHOLDS that came. With fewer, one
that leaves and comes back would have the figures of the other two told anew each time."""
LEAST_SUCCESS = 0.8
"""Posterior success rate of what is told to be similar: three households that all watched to the end just reach it."""
MAX_TAGS = 8
TAG_RANGE = 2**32
"""Tags are below it."""
BUCKET_DAYS = 35
"""How long the counts of single days are kept."""
TRIAL_DAYS = 400
"""How long those of experiments are: the longest takes a year."""
ALL_SLOTS = 8
"""Stands in a key in place of a context: the title in all of them."""
DEVICE_ID_BYTES = 16
DAY_S = 86_400
FOR_GOOD = 2**32 - 1
"""A device whose tokens count from then on was revoked."""
HASH_RANGE = 2**40


MOMENT_TITLES = tuple(-1 - HASH_RANGE - row for row in range(1 + TASTE_NUMBERS))
"""Stand in place of a title for the rows of the taste codes' second moments."""


def unknown_title(hashed: int) -> int:
    """Return the reference of a title that the catalog doesn't have, from its 40-bit hash: a negative number."""
    return -1 - hashed


class Sample(msgspec.Struct, frozen=True, gc=False):
    """One contribution, or the retraction of one."""

    title: int
    """Ordinal, or `unknown_title`."""
    slot: int
    day: int
    """Days since 1970, by the device."""
    success_milli: int
    tag: int
    """Keyed hash of household and title, below TAG_RANGE."""
    taste: bytes = b""
    """TASTE_BYTES, or none."""


class Move(msgspec.Struct, frozen=True, gc=False):
    """What one sync asks for: the device's version from `base` to `version`, and these samples with it."""

    slot: int
    """The device's number, as `enrol` gave it."""
    incarnation: int
    base: int
    version: int
    contributed: tuple[Sample, ...] = ()
    retracted: tuple[Sample, ...] = ()
    trials: tuple[Trial, ...] = ()
    trials_retracted: tuple[Trial, ...] = ()

    @property
    def gives(self) -> int:
        """How many contributions it holds."""
        return len(self.contributed) + len(self.trials)

    @property
    def takes(self) -> int:
        """How many retractions it holds; samples come before trials."""
        return len(self.retracted) + len(self.trials_retracted)


@dataclass(frozen=True, slots=True)
class PlainMoves:
    """n moves, each of another device, that contribute m samples and do nothing else; as columns.

    Nearly all syncs are such ones.
    """

    slot: Integers
    """(n,), as the next four."""
    incarnation: Integers
    base: Integers
    version: Integers
    count: Integers
    """Samples of each."""
    title: Integers
    """(m,), move by move, as the next four: what stands in Sample."""
    context: Integers
    day: Integers
    success_milli: Integers
    tag: Integers
    taste: Bytes
    """(m, TASTE_BYTES)."""
    heard: Bits
    """(m,) whether there is a taste code."""

    def __len__(self) -> int:
        """Return how many moves there are."""
        return len(self.slot)

    def moves(self) -> list[Move]:
        """Return them one by one."""
        tastes = [code.tobytes() if heard else b"" for code, heard in zip(self.taste, self.heard, strict=True)]
        columns = self.title, self.context, self.day, self.success_milli, self.tag
        samples = map(Sample, *(column.tolist() for column in columns), tastes)
        heads = (column.tolist() for column in (self.slot, self.incarnation, self.base, self.version, self.count))
        return [
            Move(slot, incarnation, base, version, tuple(islice(samples, count)))
            for slot, incarnation, base, version, count in zip(*heads, strict=True)
        ]


class Tick(msgspec.Struct, frozen=True):
    """The syncs that are committed together."""

    day: int
    """Today, days since 1970."""
    moves: Sequence[Move]
    """In order of arrival."""
    plain: PlainMoves | None = None
    """Of other devices than these."""

    def all_moves(self) -> list[Move]:
        """Return all moves in the order in which a store answers them: the plain ones last."""
        return [*self.moves, *self.plain.moves()] if self.plain else list(self.moves)

    def slots(self) -> list[int]:
        """Return whose moves they are, in the same order."""
        return [*(move.slot for move in self.moves), *(self.plain.slot.tolist() if self.plain else ())]


class Verdict(Enum):
    """What became of a move."""

    ACCEPTED = auto()
    """The version moved, the samples are counted."""
    DUPLICATE = auto()
    """The device is there already; nothing changed."""
    BEHIND = auto()
    """The device is further already; nothing changed, it is to adopt the version."""
    GAP = auto()
    """The base isn't where the device stands; nothing changed, it is to send again what came after the version."""
    STALE = auto()
    """A later incarnation of the device is known; nothing changed, it is to begin one larger than that."""
    STRANGER = auto()
    """No such device, or it was revoked: it must enrol again."""


class Standing(msgspec.Struct, frozen=True, gc=False):
    """The answer to a move: its verdict, and where the device stands now."""

    verdict: Verdict
    incarnation: int = 0
    version: int = 0
    """Of the incarnation that asked; what was counted up to now. Of the known one where that is later."""
    horizon: int = 0
    """The version that every backup holds which may still be restored."""
    refused: int = 0
    """Retractions that weren't taken, because the device had retracted all that it contributed."""


class DeviceRow(msgspec.Struct, frozen=True, gc=False):
    """All that is known of a device."""

    slot: int
    device_id: bytes
    counts_from: int
    """Tokens that were given before this moment, Unix seconds, don't count."""
    incarnation: int = 0
    version: int = 0
    seen_day: int = 0
    contributed: int = 0
    retracted: int = 0
    horizon: int = 0
    mark_day: int = 0
    """When `mark_version` was noted, which becomes the horizon once no backup is older."""
    mark_version: int = 0

    @property
    def revoked(self) -> bool:
        """Whether it was shut out for good."""
        return self.counts_from == FOR_GOOD


class Figures(msgspec.Struct, frozen=True, gc=False):
    """Sums at one moment."""

    samples: int
    success_milli: int
    households: int
    """Distinct ones: exact up to MAX_TAGS, then an estimate (25 % standard error) that no repeat moves."""
    day: int
    """The trends are worth this as of then."""
    trends: tuple[float, ...]
    """Decayed numbers of samples, one for each of HALF_LIVES_DAYS."""


class TrialSums(msgspec.Struct, frozen=True, gc=False):
    """What households' days in one arm of an experiment came to, on one day."""

    experiment: int
    """`Experiment.code`."""
    arm: int
    day: int
    households: int
    """Distinct ones: each tells a day once."""
    watched: int
    chosen: int
    minutes: int
    watched_squares: int
    """Sum over households of the square, from which their variance follows; so the next two."""
    chosen_squares: int
    minutes_squares: int


class Aggregate(msgspec.Struct, frozen=True, gc=False):
    """All that is counted of a title in a context."""

    title: int
    slot: int
    """0..7, or ALL_SLOTS."""
    now: Figures
    shown: Figures | None
    """What may be shown: as it was when 3 further households had come; None below 3."""


class Shown(msgspec.Struct, frozen=True, gc=False):
    """What may be shown of a title in a context; nothing in it is newer than LEAST_HOUSEHOLDS households."""

    title: int
    slot: int
    figures: Figures
