"""What goes first when not everything fits: the most useful per byte, the rest next time.

Rows of a push. A retraction comes before everything: a person asked for it. A sample is worth `2^(-age / 7 days)`,
age counted from the newest one's day, since a shard's trends forget at about that pace; it costs 3 bytes, 7 when
hashed, and its share of a taste code. What waits is worth less every day, yet nothing is lost: a frame holds more than
comes between two syncs, so that every row's turn comes.

Entries of a pull. Removed titles and artifacts go whole. Trends and similar titles come as the shard ranks them, best
first; the k-th is worth `1 / log2(k + 1)`, the discount of NDCG (Järvelin and Kekäläinen, 2002), and costs its bytes.

Sizes are never estimated: the longest beginning of that order whose real frame fits is found by halving.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, TypeVar

import msgspec

from omega.core.errors import WireCode, WireError
from omega.core.wire.compression import NEWEST
from omega.core.wire.entries import MAX_ENTRIES
from omega.core.wire.frames import PULL_LIMIT, PUSH_LIMIT, encode
from omega.core.wire.messages import TASTE_BYTES, Pull, Push
from omega.core.wire.rows import MAX_ROWS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from omega.core.wire.messages import Row

_Part = TypeVar("_Part", Push, Pull)

HALF_LIFE_DAYS = 7.0
"""How fast the worth of a sample that waits halves."""


class PlannedPush(msgspec.Struct, frozen=True):
    """The part of a push that fits, its frame, and which rows are in it."""

    push: Push
    frame: bytes
    contributed: tuple[int, ...]
    """Places in the `contributed` that was given, ascending."""
    retracted: tuple[int, ...]
    """Places in the `retracted` that was given, ascending."""


class PlannedPull(msgspec.Struct, frozen=True):
    """The part of a pull that fits, and its frame."""

    pull: Pull
    frame: bytes


def plan_push(push: Push, limit: int = PUSH_LIMIT, dictionary: int = NEWEST) -> PlannedPush:
    """Return the most useful rows of a push whose frame has at most `limit` bytes.

    Raises WireError when not even a push without rows fits, or for a row that `encode` refuses.
    """
    order = [(True, place) for place in range(len(push.retracted))]
    order += [(False, place) for place in _most_useful_first(push.contributed)]
    # No section takes more, and no frame of the limit holds so many.
    order = order[:MAX_ROWS]

    def part(n: int) -> Push:
        retracted, contributed = _places(order[:n])
        return msgspec.structs.replace(
            push,
            contributed=tuple([push.contributed[place] for place in contributed]),
            retracted=tuple([push.retracted[place] for place in retracted]),
        )

    n, chosen, frame = _most(part, len(order), limit, dictionary)
    retracted, contributed = _places(order[:n])
    return PlannedPush(chosen, frame, tuple(contributed), tuple(retracted))


def plan_pull(pull: Pull, limit: int = PULL_LIMIT, dictionary: int = NEWEST) -> PlannedPull:
    """Return the most useful entries of a pull whose frame has at most `limit` bytes; its lists stand best first.

    Raises WireError when its removed titles and artifacts alone are too long, or for an entry that `encode` refuses.
    """
    costs = [(0, pull.trending, 11), (1, pull.similar, 5)]
    worth = [(-1 / math.log2(rank + 2) / cost, which) for which, entries, cost in costs for rank in range(len(entries))]
    order = [which for _, which in sorted(worth)]

    def part(n: int) -> Pull:
        similar = sum(order[:n])
        cut = pull.trending[: min(n - similar, MAX_ENTRIES)], pull.similar[: min(similar, MAX_ENTRIES)]
        return msgspec.structs.replace(pull, trending=cut[0], similar=cut[1])

    _, chosen, frame = _most(part, len(order), limit, dictionary)
    return PlannedPull(chosen, frame)


def _most_useful_first(rows: Sequence[Row]) -> list[int]:
    """Return the places of rows by worth per byte, descending; equals keep their order."""
    newest = max((row.day for row in rows), default=0)
    sharing = Counter(row.taste for row in rows)

    def worth(place: int) -> float:
        row = rows[place]
        cost = (7 if row.hashed else 3) + (TASTE_BYTES / sharing[row.taste] if row.taste else 0)
        return -math.exp2((row.day - newest) / HALF_LIFE_DAYS) / cost

    return sorted(range(len(rows)), key=worth)


def _places(order: Iterable[tuple[bool, int]]) -> tuple[list[int], list[int]]:
    """Return the places of retractions and of contributions, ascending."""
    taken = sorted(order)
    return [place for is_back, place in taken if is_back], [place for is_back, place in taken if not is_back]


def _most(part: Callable[[int], _Part], most: int, limit: int, dictionary: int) -> tuple[int, _Part, bytes]:
    """Return the greatest n up to `most` that halving finds to fit, with part(n) and its frame."""
    low, high = 0, most
    best = part(0)
    frame = encode(best, dictionary)
    if len(frame) > limit:
        raise WireError(WireCode.SIZE, f"frame is {len(frame)} B before its first row, allowed {limit} B: allow more")
    n = most
    while low < high:
        candidate = part(n)
        found = encode(candidate, dictionary)
        if len(found) <= limit:
            low, best, frame = n, candidate, found
        else:
            high = n - 1
        n = (low + high + 1) // 2
    return low, best, frame
