"""Made-up traffic over a real catalog: what the dictionary is trained on and the claims measure.

Watching follows Zipf's law: the k-th most watched title is watched 1/k as often as the first. Which titles these are is
drawn anew for each seed.
"""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING

from omega.core.types import SLOTS
from omega.core.wire.messages import (
    AUDIENCE_BYTES,
    TASTE_BYTES,
    Artifact,
    ArtifactKind,
    Header,
    Pull,
    Push,
    Row,
    Similar,
    Trend,
    quantized,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

TODAY = 20_700
"""A day of 2026."""
DAY_ODDS = (1, 2, 3, 1, 8, 5, 3, 2)
"""How often something is watched in each context; weekday evenings lead."""


def pushed(random: Random, titles: Sequence[int], n: int, *, days: int = 1, hashed: bool = False) -> Push:
    """Return a push of n samples of the last `days`, all of one taste code; `titles` are ordinals or hashes."""
    taste = random.randbytes(TASTE_BYTES)
    drawn: dict[tuple[int, int, int], Row] = {}
    watched = _Zipf(random, titles)
    while len(drawn) < n:
        title, slot = watched.pick(), random.choices(range(SLOTS), DAY_ODDS)[0]
        day = TODAY - random.randrange(days)
        drawn[title, slot, day] = Row(title, slot, day, quantized(_share(random)), taste, hashed)
    return Push(
        header=header(random),
        incarnation=random.getrandbits(32),
        base=random.randrange(16_384),
        known_pull=random.randrange(16_384),
        contributed=tuple(drawn.values()),
    )


def pulled(random: Random, titles: Sequence[int], *, trending: int, similar: int) -> Pull:
    """Return a pull of so many trends, each with an audience code, and similar titles; `titles` are ordinals."""
    places: dict[tuple[int, int | None], None] = {}
    watched = _Zipf(random, titles)
    while len(places) < trending + similar:
        places[watched.pick(), random.choice((None, *range(SLOTS)))] = None
    keys = list(places)
    trends = [
        Trend(*key, *_shown(random), random.randrange(256), random.randbytes(AUDIENCE_BYTES)) for key in keys[:trending]
    ]
    near = [Similar(*key, *_shown(random), random.randrange(128, 256)) for key in keys[trending:]]
    return Pull(
        header=header(random),
        pull_id=random.randrange(16_384),
        trending=tuple(trends),
        similar=tuple(near),
        removed=tuple(random.sample(titles, 3)),
        artifacts=tuple(
            Artifact(kind, random.randrange(1, 300), random.randbytes(16), random.randrange(1 << 24))
            for kind in range(ArtifactKind.CATALOG, ArtifactKind.MODEL + 1)  # the newest dictionary is of these
        ),
    )


def header(random: Random) -> Header:
    """Return a header of a made-up space and lineage, epoch 1 to 100."""
    return Header(space=random.getrandbits(24), lineage=random.getrandbits(24), epoch=random.randrange(1, 101))


class _Zipf:
    """Draws titles by Zipf's law."""

    def __init__(self, random: Random, titles: Sequence[int]) -> None:
        self._random = random
        self._titles = random.sample(titles, len(titles))
        self._odds = list(accumulate(1 / rank for rank in range(1, len(titles) + 1)))

    def pick(self) -> int:
        return self._random.choices(self._titles, cum_weights=self._odds)[0]


def _share(random: Random) -> int:
    """Return what was watched in thousandths: mostly to the end, now and then a bit, seldom the half of it."""
    fate = random.random()
    low, high = (0.9, 1.0) if fate < 0.7 else (0.02, 0.3) if fate < 0.9 else (0.3, 0.9)
    return round(1000 * random.uniform(low, high))


def _shown(random: Random) -> tuple[int, int]:
    """Return households, in steps of 3, and success, .8 and more, as a shard shows them."""
    return 3 * min(int(random.paretovariate(0.8)), 100_000), quantized(random.randrange(800, 1000))
