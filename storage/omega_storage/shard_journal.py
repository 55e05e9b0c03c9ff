"""What a tick counted as one row, until a fold adds many ticks to the sums at once.

A title that many watch is in every tick; added up tick by tick, its sums would be read and written each time. Samples
stand in order of titles, so that nothing of what one device told stays together, and taste codes as their titles' sums.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np

from omega.core.shard_records import MOMENT_TITLES, TASTE_NUMBERS
from omega_storage.shard_sums import faded, taste_numbers

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from omega.core.shard_records import Sample

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


class Packed(NamedTuple):
    """A tick as two columns of a row."""

    samples: bytes
    told: bytes


def packed(samples: Sequence[tuple[int, Sample]], day: int) -> Packed:
    """Return a tick's samples, each with its sign, by title; those of one household keep their order.

    What it takes back in one context and gives in another is one household in all of them: contexts don't part it.
    Households stand in an order that their tags don't tell: a sketch that heard the smallest first would count nobody.
    """
    pack = _SAMPLE.pack
    raw = b"".join([pack(s.title, s.tag, s.day, s.success_milli, s.slot, sign) for sign, s in samples])
    rows = np.frombuffer(raw, SAMPLE)
    ordered = rows[np.lexsort((rows["tag"] * _MIXER, rows["title"]))]
    heard = [(sign, s) for sign, s in samples if s.taste]
    return Packed(ordered.tobytes(), _told(heard, day).tobytes() if heard else b"")


def samples_of(ticks: Iterable[bytes]) -> Records:
    """Return (n,) of SAMPLE: several ticks, one after the other."""
    return np.frombuffer(b"".join(ticks), SAMPLE)


def told_of(ticks: Iterable[bytes]) -> Records:
    """Return (m,) of TOLD: several ticks, one after the other."""
    return np.frombuffer(b"".join(ticks), TOLD)


def _told(heard: Sequence[tuple[int, Sample]], day: int) -> Records:
    titles, place = np.unique([s.title for _, s in heard], return_inverse=True)
    worth = faded(day - np.asarray([s.day for _, s in heard])) * [sign for sign, _ in heard]
    numbers = taste_numbers([s.taste for _, s in heard])
    weighed = worth[:, None] * numbers
    told = np.zeros(len(titles) + len(MOMENT_TITLES), TOLD)
    told["title"] = *titles, *MOMENT_TITLES
    told["numbers"][: len(titles)] = _added_up(place, weighed, len(titles))
    told["numbers"][len(titles) :] = weighed.T @ numbers
    return told


def _added_up(place: NDArray[np.intp], numbers: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """Return (count, k): the rows (n, k) summed by their place (n,)."""
    order = np.argsort(place, kind="stable")
    starts = np.searchsorted(place[order], np.arange(count))
    summed: NDArray[np.float64] = np.add.reduceat(numbers[order], starts, axis=0)
    return summed
