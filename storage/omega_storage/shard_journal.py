"""What a tick counted as one row, until a fold adds many ticks to the sums at once.

A title that many watch is in every tick; added up tick by tick, its sums would be read and written each time. Samples
stand in order of titles, so that nothing of what one device told stays together, and taste codes as their titles' sums.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np

from omega.core.shard_records import MOMENT_TITLES, TASTE_BYTES, TASTE_NUMBERS
from omega_storage.shard_sums import distinct, faded, taste_numbers

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from omega.core.ports import Bits, Bytes
    from omega.core.shard_records import PlainMoves, Sample

    Records: TypeAlias = NDArray[np.void]

SAMPLE = np.dtype(
    [("title", "<i8"), ("tag", "<u4"), ("day", "<u4"), ("success_milli", "<u2"), ("slot", "u1"), ("sign", "i1")]
)
"""`sign` is 1 for a contribution, -1 for a retraction."""
TOLD = np.dtype([("title", "<i8"), ("numbers", "<f4", (1 + TASTE_NUMBERS,))])
"""What a tick's taste codes add to a title's audience, or to the moments of all of them, as of the tick's day."""
_MIXER = np.uint32(0x9E3779B1)
"""2^32 over the golden ratio, odd: a multiple of a tag stands anywhere (Knuth's multiplicative hash)."""
_SAMPLE = Struct("<qIIHBb")  # numpy takes tuples in 2.5 us a sample, this in .3


class Counted(NamedTuple):
    """What a tick counted, as rows."""

    samples: Records
    """(m,) of SAMPLE."""
    heard: Records
    """(k,) of SAMPLE: those that came with a taste code."""
    taste: Bytes
    """(k, TASTE_BYTES)."""


class Packed(NamedTuple):
    """A tick as two columns of a row."""

    samples: bytes
    told: bytes


def counted_of(samples: Sequence[tuple[int, Sample]]) -> Counted:
    """Return samples, each with its sign, as rows."""
    rows = _rows_of(samples)
    heard = [(sign, s) for sign, s in samples if s.taste]
    taste = np.frombuffer(b"".join(s.taste for _, s in heard), np.uint8).reshape(-1, TASTE_BYTES)
    return Counted(rows, _rows_of(heard), taste)


def counted_of_plain(plain: PlainMoves, accepted: Bits) -> Counted:
    """Return the samples of those plain moves, (n,), that were accepted."""
    kept = np.repeat(accepted, plain.count)
    rows = np.empty(np.count_nonzero(kept), SAMPLE)
    for name in ("title", "tag", "day", "success_milli"):
        rows[name] = getattr(plain, name)[kept]
    rows["slot"], rows["sign"] = plain.context[kept], 1
    heard = plain.heard[kept]
    return Counted(rows, rows[heard], plain.taste[kept][heard])


def packed(counted: Sequence[Counted], day: int) -> Packed:
    """Return a tick's samples by title; those of one household keep their order.

    What it takes back in one context and gives in another is one household in all of them: contexts don't part it.
    Households stand in an order that their tags don't tell: a sketch that heard the smallest first would count nobody.
    """
    rows, heard, taste = (np.concatenate(of) for of in zip(*counted, strict=True))
    ordered = rows[np.lexsort((rows["tag"] * _MIXER, rows["title"]))]
    return Packed(ordered.tobytes(), _told(heard, taste, day).tobytes() if len(heard) else b"")


def samples_of(ticks: Iterable[bytes]) -> Records:
    """Return (n,) of SAMPLE: several ticks, one after the other."""
    return np.frombuffer(b"".join(ticks), SAMPLE)


def told_of(ticks: Iterable[bytes]) -> Records:
    """Return (m,) of TOLD: several ticks, one after the other."""
    return np.frombuffer(b"".join(ticks), TOLD)


def _rows_of(samples: Iterable[tuple[int, Sample]]) -> Records:
    pack = _SAMPLE.pack
    raw = b"".join([pack(s.title, s.tag, s.day, s.success_milli, s.slot, sign) for sign, s in samples])
    return np.frombuffer(raw, SAMPLE)


def _told(heard: Records, taste: Bytes, day: int) -> Records:
    titles, place = distinct(heard["title"])
    worth = faded(day - heard["day"].astype(np.int64)) * heard["sign"]
    # What one household tells stands together and has one code: moments take it as one.
    begins = np.flatnonzero(np.r_[True, (taste[1:] != taste[:-1]).any(axis=1)])
    numbers = taste_numbers(taste[begins])
    of = np.repeat(np.arange(len(begins)), np.diff(np.r_[begins, len(taste)]))
    told = np.zeros(len(titles) + len(MOMENT_TITLES), TOLD)
    told["title"] = *titles, *MOMENT_TITLES
    told["numbers"][: len(titles)] = _added_up(place, worth[:, None] * numbers[of], len(titles))
    told["numbers"][len(titles) :] = (np.add.reduceat(worth, begins)[:, None] * numbers).T @ numbers
    return told


def _added_up(place: NDArray[np.intp], numbers: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """Return (count, k): the rows (n, k) summed by their place (n,)."""
    order = np.argsort(place, kind="stable")
    starts = np.searchsorted(place[order], np.arange(count))
    summed: NDArray[np.float64] = np.add.reduceat(numbers[order], starts, axis=0)
    return summed
