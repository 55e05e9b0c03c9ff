"""The weights of the ranking: ten numbers that a fit finds, in five terms that are the reasons, and one for habits."""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from omega.core.errors import InputError, shown
from omega.core.files import read_bounded

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

LARGEST = 50.0
"""No weight is further from 0: features are logarithms, shares and cosines, and a score is some tens at most."""
SHIPPED_PATH = Path(__file__).parent.parent / "data" / "ranking_weights.json"
"""What a TV goes by until its operator publishes others; the file says which fit it is of."""
_MAX_FILE_BYTES = 100_000
_FORMAT = 1

TERMS = {
    "trend": ("trend", "surge"),
    "fresh": ("this_year", "last_year", "quality"),
    "audience": ("audience", "audience_settled"),
    "taste": ("genre", "content"),
    "novelty": ("novelty",),
}
"""The five terms and the weights of each; their sum is the score."""


class RankingWeights(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What each feature counts, in the features' own units."""

    trend: float
    """Per nat of a title's share of what is watched lately."""
    surge: float
    """Per nat by which that share is above the one of a well-known title."""
    this_year: float
    """For a title of this year."""
    last_year: float
    """For a title of the year before."""
    quality: float
    """Per point, 0..5, by which a title is liked better than the mean."""
    genre: float
    """Per nat by which the household watches the title's genres more than others do."""
    content: float
    """Per unit of cosine between the title and what the household watched."""
    novelty: float
    """Per nat by which the household watches titles of this age more than others do."""
    audience: float
    """Per nat of the odds that somebody of this taste is in the title's audience."""
    audience_settled: float
    """What the same counts more, the longer the household is known."""
    habits: float = 1.0
    """What the household's own habits count, times the weights that are set by hand; 0 and more.

    A log of ratings can't tell what they are worth at home: it has no evenings.
    """

    def __post_init__(self) -> None:
        """Raise InputError for a weight that is none."""
        for name in NAMES:
            value = getattr(self, name)
            if not (math.isfinite(value) and abs(value) <= LARGEST):
                raise InputError(f"weight {name} is {value}, allowed: -{LARGEST:g}..{LARGEST:g}: fit the weights anew")
        if not 0 <= self.habits <= LARGEST:
            raise InputError(f"weight habits is {self.habits}, allowed: 0..{LARGEST:g}: fit the weights anew")

    @classmethod
    def of(cls, values: Iterable[float]) -> RankingWeights:
        """Return the weights of ten numbers in the order of NAMES, and perhaps of one more, `habits`."""
        return cls(**dict(zip(cls.__struct_fields__, map(float, values), strict=False)))

    @property
    def values(self) -> tuple[float, ...]:
        """The ten numbers in the order of NAMES."""
        return tuple(getattr(self, name) for name in NAMES)

    def without(self, terms: Collection[str]) -> RankingWeights:
        """Return the weights with all of some terms at 0."""
        return msgspec.structs.replace(self, **dict.fromkeys((name for term in terms for name in TERMS[term]), 0.0))


NAMES: tuple[str, ...] = RankingWeights.__struct_fields__[:-1]
"""The features, in the order of every array of them."""


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """Where weights come from."""

    by: str
    """The command that found them."""
    of: str
    """The events that it looked at."""


class _File(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    omega_ranking_weights: int
    made: Made | None = None
    weights: RankingWeights


@cache
def shipped_weights() -> RankingWeights:
    """Return the weights that come with Omega, read once; raises InputError where the installation is damaged."""
    return read_weights(SHIPPED_PATH)


def read_weights(path: Path) -> RankingWeights:
    """Read a weights file; raises InputError."""
    return decode_weights(read_bounded(path, _MAX_FILE_BYTES), path.name)


def decode_weights(raw: bytes, name: str = "the file") -> RankingWeights:
    """Return the weights that `encode_weights` wrote; raises InputError that calls them `name`."""
    try:
        file = msgspec.json.decode(raw[:_MAX_FILE_BYTES], type=_File)
    except InputError as error:
        raise InputError(f"{name}: {error}") from error
    except (msgspec.MsgspecError, RecursionError) as error:
        raise InputError(
            f"{name} holds no ranking weights ({error}): write them by omega federation fit --out"
        ) from error
    if file.omega_ranking_weights != _FORMAT:
        found = shown(file.omega_ranking_weights)
        raise InputError(f"{name} is of format {found}, allowed: {_FORMAT}: fit the weights anew")
    return file.weights


def encode_weights(weights: RankingWeights, made: Made | None = None) -> bytes:
    """Return the weights as a JSON file that tells where they come from, if that is known."""
    file = _File(omega_ranking_weights=_FORMAT, made=made, weights=weights)
    return msgspec.json.format(msgspec.json.encode(file)) + b"\n"
