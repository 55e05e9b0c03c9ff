"""What a replay found, as it is printed, written as JSON and drawn."""

from __future__ import annotations

import msgspec

from omega.evaluation.intervals import Interval

LIFT_EDGES = (-1.0, -0.5, -0.3, -0.2, -0.1, -0.05, -0.01, 0.01, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0)
"""Between which a viewer's mean NDCG is above or below that of the best popularity."""


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """One method's figures; means over all lists, 0..1 where no unit is named."""

    name: str
    ndcg: float
    recall: float
    """Hits over what could be hit: min(k, titles watched)."""
    mrr: float
    """Mean of 1 / place of the first hit."""
    coverage: float
    """Share of the catalog that was in some list."""
    cov5: float
    """Share of the catalog that was in five lists or more."""
    entropy: float
    """exp(entropy) of what was shown, titles."""
    novelty: float
    """Mean of -log2 of a shown title's share of all events before, bits."""
    cold_share: float
    """Share of the places with titles that fewer than three viewers had watched."""
    vs_best_popularity: Interval
    """Relative gain of NDCG over the decayed popularity that is best in hindsight; drawn by days or weeks."""
    lift_histogram: tuple[int, ...]
    """Viewers by their mean NDCG less that of the best popularity, between the edges in `lift_edges`."""
    ndcg_by_step: tuple[float, ...]
    seconds: float
    """What learning and ranking took."""


class BestPopularity(msgspec.Struct, frozen=True):
    """Which decayed popularity is best."""

    before: str
    """Of the steps before those that are scored: what could have been chosen."""
    hindsight: str
    """Of those that are scored: what is compared with."""


class Fitted(msgspec.Struct, frozen=True):
    """How the weights were found."""

    lists: int
    loss: float
    """Mean over the lists, nats."""
    loss_without: dict[str, float]
    """The same when a term is left out and the others are fitted anew."""
    blind: float = 0.0
    """The same of lists in random order."""


class Sizes(msgspec.Struct, frozen=True):
    """What travelled while the product was replayed, and how much of it."""

    tvs: int
    weeks: float
    """From the first event to the last step."""
    syncs: int
    """A TV syncs at the end of a day on which something was watched, and whenever it is asked."""
    sent_bytes: int
    """Frames of all TVs, without what a transport adds."""
    received_bytes: int

    @property
    def bytes_per_tv_week(self) -> float:
        """Both ways."""
        return (self.sent_bytes + self.received_bytes) / max(self.tvs * self.weeks, 1e-9)


class Audit(msgspec.Struct, frozen=True):
    """What changed at or before a moment when all events after it were given random titles: nothing may."""

    after: str
    """The moment, ISO 8601."""
    steps: int
    """How many steps were compared."""
    leaks: tuple[str, ...]
    """What changed, in words."""


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """A whole replay."""

    protocol: str
    steps: int
    viewers: int
    """Lists asked for: viewers at all steps."""
    methods: tuple[Figures, ...]
    k: int
    score_from: str
    days: tuple[str, ...]
    """When each step begins, ISO 8601."""
    lists_by_step: tuple[int, ...]
    events: int
    titles: int
    best_popularity: BestPopularity
    lift_edges: tuple[float, ...] = LIFT_EDGES
    weights: dict[str, float] | None = None
    """The formula's; None where it wasn't asked for."""
    fit: Fitted | None = None
    loop_weights: dict[str, float] | None = None
    """The product's own, which its TVs may be given; None where it wasn't asked for."""
    loop_fit: Fitted | None = None
    loop_sizes: Sizes | None = None
    audit: Audit | None = None
    left_out: tuple[str, ...] = ()
    """Methods that are missing, with the reason."""
    notes: tuple[str, ...] = ()
    """What the files held that wasn't used."""

    def method(self, name: str) -> Figures:
        """Return a method's figures."""
        return next(figures for figures in self.methods if figures.name == name)
