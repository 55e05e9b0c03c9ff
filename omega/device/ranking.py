"""The score of every title, as a sum of named terms; pure functions on arrays.

score = trend + fresh + audience + taste + novelty + context + skill + mood + habit + continue + given_up + variety.
Each term is what one reason says, its weight is the term's value, and their sum is the score. The first five follow a
formula that was fitted to real viewers, of log ratios and log odds; content similarity alone would be near random for
what people watch next. The others are the household's own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np

from omega.core.ranking_weights import NAMES, shipped_weights
from omega.device import exploring
from omega.device.features import COLUMNS, features
from omega.device.memory.lifts import skill_term

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from omega.core.experiments import Arm
    from omega.core.ports import Floats
    from omega.core.ranking_weights import RankingWeights
    from omega.device.others import Others
    from omega.device.taste import Leanings
    from omega.device.titles import TitleArrays

TERMS = (
    "trend",
    "fresh",
    "audience",
    "taste",
    "novelty",
    "context",
    "skill",
    "mood",
    "habit",
    "continue",
    "given_up",
)
"""The terms of every title, in this order; `variety` comes with its place in a list."""
OF_EVERYBODY = slice(0, 2)
"""Those that are the same in every household."""
QUIET = 0.35
"""How much of them counts at the last places of a list, which would else be the same everywhere too."""
POOL = 300
"""How many of the best by score compete for a place in the list."""
MOOD_FLOOR = 0.18
"""Cosine that a mood needs with some genre: "qwertz" reaches .14, "uplifting" .21, "scary" .58."""
_SIMILARITY_SOFTNESS = 0.05


def _fitted(name: str) -> float:
    """Return a field that is, unless it is given, what the shipped fit found."""
    made: float = msgspec.field(default_factory=lambda: float(getattr(shipped_weights(), name)))
    return made


class Weights(msgspec.Struct, frozen=True):
    """How much each part counts. The first ten are of the shipped fit; the rest is set by hand."""

    trend: float = _fitted("trend")
    surge: float = _fitted("surge")
    this_year: float = _fitted("this_year")
    last_year: float = _fitted("last_year")
    quality: float = _fitted("quality")
    audience: float = _fitted("audience")
    audience_settled: float = _fitted("audience_settled")
    genre: float = _fitted("genre")
    content: float = _fitted("content")
    novelty: float = _fitted("novelty")
    alike: float = 1.0
    """Per unit of cosine with an audience that the shard was asked for."""
    context_genre: float = 0.65
    context_kind: float = 0.6
    skill: float = 1.0
    mood: float = 0.5
    habit: float = 8.0
    own: float = 6.0
    resume: float = 2.0
    given_up: float = 2.0
    variety: float = 0.5
    breadth: float = 0.3
    """Which part of a list is filled with the trend turned down, 0..1."""
    explore: float = 0.025
    """Which part of a list goes to titles that are drawn, 0..1: its last places. See `exploring`.

    Of lists of 20, every second one's last title. By replay that costs .1 % of NDCG and shows half as many titles more.
    """
    habits: float = _fitted("habits")
    """What context, skill and habit count, times their weights above, which are set by hand."""

    def fitted(self, found: RankingWeights) -> Weights:
        """Return the same with what a fit found in place of the first ten, and of `habits`."""
        return msgspec.structs.replace(self, **msgspec.structs.asdict(found))

    @property
    def of_features(self) -> Floats:
        """(10,) float32, in the order of `ranking_weights.NAMES`."""
        return np.array([getattr(self, name) for name in NAMES], np.float32)

    def tried(self, arm: Arm) -> Weights:
        """Return the same with what an arm of an experiment changes."""
        scaled = {name: getattr(self, name) * factor for name, factor in arm.factors.items()}
        return msgspec.structs.replace(self, **arm.settings, **scaled)


@dataclass(frozen=True, slots=True)
class Evidence:
    """The household's patterns nearest to the context, best first; m of them."""

    similarities: Floats
    """(m,) cosine of the context's text with each pattern."""
    rates: Floats
    """(m,) success rates, 0..1."""
    centered: Floats
    """(m, 384) centered title vectors."""


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of who asks; n titles, g genres."""

    leanings: Leanings
    lift: Floats
    """(g + 3,) what the skill library says of each genre and kind."""
    record: Floats
    """(n,) how each title itself went."""
    resume: Floats
    """(n,) 0..1, how much it waits to be continued."""
    given_up: Floats
    """(n,) -1..0."""
    likeness: Floats
    """(n,) how like this household the title's audience is, in log odds; 0 where nothing is known."""
    watched: int
    """By how many titles that is known."""


@dataclass(frozen=True, slots=True)
class Scores:
    """What `score` found; n titles."""

    terms: Floats
    """(n, 11) in the order of TERMS."""
    features: Floats
    """(n, 10) that the first five come of."""
    habits: Floats
    """(n, m) what each pattern near the context adds to `habit`."""
    own: Floats
    """(n,) what a title's own record adds to `habit`."""

    @property
    def total(self) -> Floats:
        """The (n,) sums."""
        total: Floats = self.terms.sum(axis=1)
        return total

    @property
    def quiet(self) -> Floats:
        """The (n, 11) terms with what speaks for a title in every household turned down."""
        terms = self.terms.copy()
        of_everybody = terms[:, OF_EVERYBODY]
        of_everybody -= (1 - QUIET) * np.maximum(of_everybody, 0)
        return terms


class Place(NamedTuple):
    """A place in a list."""

    row: int
    variety: float
    """The term that it adds, 0 or less."""
    quiet: bool
    """Whether the trend counts less here."""
    propensity: float | None = None
    """As `Recommendation.propensity`."""


def score(
    titles: TitleArrays,
    others: Others,
    ages: NDArray[np.int64],
    known: Known,
    mood: Floats | None,
    evidence: Evidence,
    weights: Weights,
) -> Scores:
    """Return every title's terms.

    `ages` (n,) are the titles' age classes; `mood` (384,) is what the mood adds to the context's text, or None.
    """
    leanings = known.leanings
    ten = features(
        others,
        ages,
        genre=titles.genres @ leanings.genres,
        content=_cosines(titles.centered, leanings.vector),
        novelty=np.where(ages >= 0, leanings.ages[ages], 0.0),
        likeness=known.likeness,
        known=known.watched,
    )
    fitted = weights.of_features
    by_term = {term: ten[:, columns] @ fitted[columns] for term, columns in COLUMNS.items()}
    slot_genre = titles.genres @ leanings.slot_genres
    slot_kind = leanings.slot_kinds[titles.kinds]
    habits = weights.habits * weights.habit * habit_shares(titles.centered, evidence)
    recorded = weights.own * known.record
    terms = (
        by_term["trend"],
        by_term["fresh"],
        weights.alike * others.nearness + by_term["audience"],
        by_term["taste"],
        by_term["novelty"],
        weights.habits * (weights.context_genre * slot_genre + weights.context_kind * slot_kind),
        weights.habits * weights.skill * skill_term(known.lift, titles.genres, titles.kinds),
        weights.mood * mood_fit(titles, mood) if mood is not None else np.zeros(len(titles.kinds)),
        habits.sum(axis=1) + recorded,
        weights.resume * known.resume,
        weights.given_up * known.given_up,
    )
    return Scores(np.stack(terms, axis=1).astype(np.float32), ten, habits, recorded)


def is_understood(titles: TitleArrays, mood: Floats) -> bool:
    """Say whether some genre answers to a mood (384,); one that wasn't understood is best ignored."""
    return float((titles.genre_vectors @ mood).max(initial=0.0)) >= MOOD_FLOOR


def mood_fit(titles: TitleArrays, mood: Floats) -> Floats:
    """Return (n,) with mean 0 and variance 1: how well titles fit what a mood (384,) adds to the context's text.

    Four fifths are the mean of a title's genres, whose texts say how they feel, and one fifth is its own text: by names
    alone A Quiet Place would be relaxing.
    """
    answers = titles.genre_vectors @ mood
    by_genre, by_title = _standardized(titles.genres @ answers), _standardized(titles.centered @ mood)
    return _standardized(0.8 * by_genre + 0.2 * by_title)


def habit_shares(centered: Floats, evidence: Evidence) -> Floats:
    """Return (n, m): what each of m patterns says for each of n titles.

    A pattern counts by how near it is to the context (softmax of its similarity), how much better or worse than one
    half it went, and how near its title is (cosine, 0 when opposed): a kernel estimate of the success in this context.
    """
    if not len(evidence.rates):
        return np.zeros((len(centered), 0), np.float32)
    nearness = np.exp((evidence.similarities - evidence.similarities.max()) / _SIMILARITY_SOFTNESS)
    pull = nearness / nearness.sum() * (evidence.rates - 0.5)
    shares: Floats = np.maximum(centered @ evidence.centered.T, 0) * pull
    return shares


def places(
    scores: Scores, centered: Floats, allowed: NDArray[np.bool_], k: int, weights: Weights, *, seed: int = 0
) -> list[Place]:
    """Return up to `k` places of a list: the best by score, the best with the trend turned down, then what is drawn.

    Of 20, with a breadth of .3, the last 6 are not the first sort: lists of several households differ more than by
    chance, at little cost. No score is higher than the one above it, as far as scores decide. With an `explore` of .1
    the last 2 are drawn among the pool, by the `seed` alone; with .025 the last one is, every second time.
    """
    loud, shares = k - round(k * weights.breadth), exploring.shares(k, weights.explore)
    quiet = scores.quiet.sum(axis=1)
    rows, variety, propensities = diverse(
        scores.total, centered, allowed, k, weights.variety, later=(loud, quiet), drawn=(shares, seed)
    )
    found = zip(rows, variety.tolist(), propensities, strict=True)
    return [Place(row, term, place >= loud, chance) for place, (row, term, chance) in enumerate(found)]


def diverse(
    total: Floats,
    centered: Floats,
    allowed: NDArray[np.bool_],
    k: int,
    strength: float,
    *,
    later: tuple[int, Floats] | None = None,
    drawn: tuple[Sequence[float], int] | None = None,
) -> tuple[list[int], Floats, list[float | None]]:
    """Return up to `k` rows of the best pool, each one's variety term, which is 0 or less, and its propensity.

    Maximal marginal relevance (Carbonell and Goldstein, 1998): each place goes to the row with the highest total less
    `strength` x its greatest cosine to the rows above it, so that scores fall down the list. From a place on, `later`
    gives other totals (n,), none of them higher. `drawn` lets chance choose by its seed, at each place by so much.
    """
    candidates = np.flatnonzero(allowed)
    size = min(max(POOL, k), len(candidates))
    best = np.argpartition(-total[candidates], size - 1)[:size] if size else np.empty(0, np.intp)
    pool = np.sort(candidates[best])
    totals, vectors = total[pool].astype(np.float64), centered[pool]
    penalty = np.zeros(len(pool))
    chosen: list[int] = []
    variety: list[float] = []
    propensities: list[float | None] = []
    open_ = np.ones(len(pool), bool)
    for place in range(min(k, len(pool))):
        if later and place == later[0]:
            totals = later[1][pool].astype(np.float64)
        if drawn and drawn[0][place]:
            at, propensity = _drawn(totals - penalty, pool, open_, place, *drawn)
        else:
            at, propensity = int(np.argmax(np.where(open_, totals - penalty, -np.inf))), None
        chosen.append(int(pool[at]))
        variety.append(-float(penalty[at]))
        propensities.append(propensity)
        open_[at] = False
        penalty = np.maximum(penalty, strength * (vectors @ vectors[at]))
    return chosen, np.array(variety, np.float32), propensities


def _drawn(
    totals: NDArray[np.float64],
    pool: NDArray[np.intp],
    open_: NDArray[np.bool_],
    place: int,
    shares: Sequence[float],
    seed: int,
) -> tuple[int, float | None]:
    """Return which of the open rows of a pool chance gives a place, and how probable that was."""
    left = np.flatnonzero(open_)
    odds = exploring.propensities(totals[left], shares[place])
    at = exploring.draw(odds, exploring.chances(seed, place, pool[left]))
    return int(left[at]), float(odds[at])


def _cosines(rows: Floats, vector: Floats) -> Floats:
    """Return (n,) cosines of unit rows with a vector of any length; 0 for a zero vector."""
    length = float(np.linalg.norm(vector))
    return rows @ (vector / length) if length > 0 else np.zeros(len(rows), np.float32)


def _standardized(values: Floats) -> Floats:
    """Return (n,) values with mean 0 and variance 1."""
    standardized: Floats = (values - values.mean()) / max(float(values.std()), 1e-9)
    return standardized
