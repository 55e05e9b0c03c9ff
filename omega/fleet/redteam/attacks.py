"""What bad devices tell. They know all but the keys, and each tells the most that a shard takes of it.

A device may contribute a day's samples, each with any title, context, day and taste code, and take back as many as it
contributed, of titles that it never watched. What it tells of days to come counts in full, as does what it takes back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from omega.core.shard_records import LEAST_TASTE, MOST_TASTE, TASTE_BYTES, TASTE_NUMBERS
from omega.core.types import SLOTS
from omega.core.wire import Row
from omega.fleet.redteam.crowd import SAMPLES_A_DAY, packed_taste

if TYPE_CHECKING:
    from collections.abc import Callable

EXTREME = packed_taste(np.full(TASTE_NUMBERS, MOST_TASTE))
"""A taste as far from all others as a code can say, ..."""
OPPOSITE = packed_taste(np.full(TASTE_NUMBERS, LEAST_TASTE))
"""... and one on the other side."""
_LONG_AGO_DAYS = 200
"""What was watched then moves no trend."""


class Aim(NamedTuple):
    """What the attackers know and want."""

    boosted: int
    """A title that few watch, to be told to all."""
    buried: int
    """The title that is watched most, to be told to nobody."""
    titles: int
    """How many the catalog has."""
    day: int
    """Today."""
    most: int
    """Samples that a shard takes of a device in a day."""


class Told(NamedTuple):
    """What one device tells on the day of the attack."""

    contributed: list[Row]
    retracted: list[Row]


class Attack(NamedTuple):
    """One way to attack."""

    name: str
    what: str
    target: Callable[[Aim], int]
    """The title whose share is looked at."""
    told: Callable[[Aim, np.random.Generator], Told]
    """What one device tells."""
    stolen: bool = False
    """The devices are made up behind one maker's stolen key, as many as its quota admits, all at one shard."""


def _boost(aim: Aim, _: np.random.Generator) -> Told:
    return Told(_rows(aim.boosted, aim.most, aim.day, 1000, EXTREME), [])


def _quiet(aim: Aim, _: np.random.Generator) -> Told:
    return Told(_rows(aim.boosted, SAMPLES_A_DAY, aim.day, 1000, EXTREME), [])


def _bury(aim: Aim, _: np.random.Generator) -> Told:
    long_ago = aim.day - _LONG_AGO_DAYS
    given = _rows(aim.boosted, aim.most, long_ago, 0, OPPOSITE)
    return Told(given, _rows(aim.buried, aim.most, aim.day, 1000, EXTREME))


def _noise(aim: Aim, random: np.random.Generator) -> Told:
    places = random.choice(aim.titles * SLOTS, aim.most, replace=aim.most > aim.titles * SLOTS)
    taste = random.bytes(TASTE_BYTES)
    return Told(
        [
            Row(int(place) // SLOTS, int(place) % SLOTS, aim.day, 4 * int(random.integers(251)), taste)
            for place in places
        ],
        [],
    )


ATTACKS = (
    Attack("quiet", "as much as a household watches, all of one title", lambda aim: aim.boosted, _quiet),
    Attack("boost", "all that a shard takes, of one title", lambda aim: aim.boosted, _boost),
    Attack("bury", "takes back what others said of the most watched title", lambda aim: aim.buried, _bury),
    Attack("noise", "all that a shard takes, of anything", lambda aim: aim.boosted, _noise),
    Attack("sybils", "boosts at one shard, behind a stolen maker's key", lambda aim: aim.boosted, _boost, stolen=True),
)


def _rows(title: int, count: int, day: int, success: int, taste: bytes) -> list[Row]:
    """Return so many samples of one title, in all contexts on this day and then on days to come."""
    return [Row(title, place % SLOTS, day + place // SLOTS, success, taste) for place in range(count)]
