"""Exploration: the last places of a list go to titles that are drawn, each with a probability that is known.

What is only ever chosen by score can't be told from what would have been liked as well. Where chance decides, it can:
weighted by 1 / propensity, what was watched estimates any other way of choosing (Horvitz and Thompson, 1952; Li et al.,
2011). Pure functions on arrays; the chance is a hash of TV, day and title, so that a list is the same all day.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

UNIFORM = 0.1
"""How much of the chance all titles share alike: of n none has less than UNIFORM / n, so that weights stay bounded."""
LEAST_PLACES, MOST_PLACES = 10, 20
"""Of a list in which chance decides anything, and of those that its share is counted by."""
_GAMMA, _FIRST, _SECOND = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_PLACE_SHIFT = np.uint64(40)


def seed_of(household: bytes, day: int) -> int:
    """Return 64 bits that stand for a household's day, given in days since 1970."""
    said = day.to_bytes(8, "big", signed=True)
    return int.from_bytes(blake2b(said, digest_size=8, key=household[:64], person=b"omega-explore").digest(), "big")


def propensities(totals: NDArray[np.float64], share: float = 1.0) -> NDArray[np.float64]:
    """Return (n,) the probability of each of n titles that are left to stand at a place; n at least 1.

    Where chance decides, by a `share` of the time, nine tenths are the softmax of the totals, which is what the fit of
    the weights takes them for: the log odds of being watched out of a list; one tenth is the same for all. Else it is
    the title with the highest total.
    """
    odds = np.exp(totals - totals.max())
    found: NDArray[np.float64] = share * ((1 - UNIFORM) * odds / odds.sum() + UNIFORM / len(totals))
    found[np.argmax(totals)] += 1 - share
    return found


def chances(seed: int, place: int, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return (n,) numbers in 0..1, none of them 0 or 1, one for each of the titles `rows` (n,) of a catalog at a place.

    A title's number doesn't depend on which others there are. SplitMix64 (Steele, Lea and Flood, 2014).
    """
    state = np.uint64(seed) ^ ((np.uint64(place) << _PLACE_SHIFT) | rows.astype(np.uint64))
    for _ in range(2):  # rows differ in few bits, seeds may too
        state = state + _GAMMA
        state = (state ^ (state >> np.uint64(30))) * _FIRST
        state = (state ^ (state >> np.uint64(27))) * _SECOND
        state = state ^ (state >> np.uint64(31))
    found: NDArray[np.float64] = ((state >> np.uint64(12)).astype(np.float64) + 0.5) / 2.0**52
    return found


def shares(k: int, explore: float) -> list[float]:
    """Return for each place of a list of `k` how probably chance decides it: of `explore` of the list, its end.

    A short list has no place to spare, and a long one is explored no more than a list of MOST_PLACES.
    """
    places = min(k, MOST_PLACES) * explore if k >= LEAST_PLACES else 0.0
    return [min(max(places - (k - 1 - place), 0.0), 1.0) for place in range(k)]


def draw(odds: NDArray[np.float64], uniform: NDArray[np.float64]) -> int:
    """Return which of n titles with probabilities `odds` (n,) the chances (n,) choose: the Gumbel-max trick.

    Where a title's odds move a little, the choice is mostly the same: a list doesn't flicker.
    """
    with np.errstate(divide="ignore"):
        return int(np.argmax(np.log(odds) - np.log(-np.log(uniform))))
