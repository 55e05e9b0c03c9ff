"""The formula once more, as slow and as near to its definition as can be: loops over events, one pair at a time."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from omega.evaluation.log import Log

DAY = 86_400


class Literal:
    """What the formula says at a moment, of a log, vectors of its titles (t, d), and factors (t, f)."""

    def __init__(self, log: Log, at_s: int, vectors: NDArray[np.float32], factors: NDArray[np.float32]) -> None:
        self.at_s, self.titles, self.vectors, self.factors = at_s, log.titles, vectors, factors
        rows = zip(log.viewers.tolist(), log.watched.tolist(), log.ratings.tolist(), log.times_s.tolist(), strict=True)
        self.events = [row for row in rows if row[3] < at_s]

    def history(self, viewer: int, until: int | None = None) -> list[int]:
        """Which titles a viewer watched, in order, in the first `until` events."""
        return [title for who, title, _, _ in self.events[:until] if who == viewer]

    def decayed(self, title: int | None, half_life: float, *, damped: bool = False, rated: float = 0.0) -> float:
        total = 0.0
        for who, what, rating, at in self.events:
            if title in (None, what):
                weight = 2 ** (-(self.at_s - at) / DAY / half_life)
                if damped:
                    weight /= math.sqrt(sum(w == who and t // DAY == at // DAY for w, _, _, t in self.events))
                total += weight * (rating - rated if rated else 1)
        return total

    def share(self, title: int, half_life: float, *, damped: bool = False) -> float:
        return self.decayed(title, half_life, damped=damped) / self.decayed(None, half_life, damped=damped)

    def trend(self, title: int) -> tuple[float, float]:
        day, damped = self.share(title, 1), self.share(title, 2, damped=True)
        return math.log(0.5 * day + 0.5 * damped + 1e-4), max(0, math.log((day + 1e-4) / 0.004))

    def fresh(self, title: int) -> tuple[float, float, float]:
        year = datetime.fromtimestamp(self.at_s, UTC).year
        mean = sum(rating for _, _, rating, _ in self.events) / len(self.events)
        quality = self.decayed(title, 30, rated=mean) / (self.decayed(title, 30) + 5)
        return float(self.titles[title].year >= year), float(self.titles[title].year == year - 1), quality

    def genre(self, viewer: int, title: int) -> float:
        history = self.history(viewer)
        length = sum(2 ** (-k / 40) for k in range(len(history)))
        total = 0.0
        for genre in self.titles[title].genres:
            own = sum(2 ** (-k / 40) for k, what in enumerate(history[::-1]) if genre in self.titles[what].genres)
            base = sum(self.share(what, 30) for what in range(len(self.titles)) if genre in self.titles[what].genres)
            total += math.log((own + 5 * base) / (length + 5) / base)
        return total / len(self.titles[title].genres)

    def content(self, viewer: int, title: int) -> float:
        seen = sorted({what for _, what, _, _ in self.events})
        mean = sum(self.vectors[what].astype(float) for what in seen) / len(seen)
        centered = [row - mean for row in self.vectors.astype(float)]
        rows = [row / np.linalg.norm(row) for row in centered]
        taste = sum(2 ** (-k / 15) * rows[what] for k, what in enumerate(self.history(viewer)[::-1]))
        return float(rows[title] @ taste / np.linalg.norm(taste))

    def age(self, title: int, at_s: float) -> int:
        years = datetime.fromtimestamp(at_s, UTC).year - self.titles[title].year
        return 0 if years < 1 else 1 if years < 2 else 2 if years < 4 else 3 if years <= 10 else 4 if years <= 25 else 5

    def novelty(self, viewer: int, title: int) -> float:
        here = self.age(title, self.at_s)
        total = self.decayed(None, 30)
        base = (
            sum(2 ** (-(self.at_s - at) / DAY / 30) for _, what, _, at in self.events if self.age(what, at) == here)
            / total
        )
        own = [self.age(what, at) for who, what, _, at in self.events if who == viewer]
        base = max(base, 1e-6)
        return math.log((own.count(here) + 5 * base) / (len(own) + 5) / base)

    def rank_class(self, event: int) -> int:
        """How far up the list of the day the event's title was when the day began."""
        start = self.events[event][3] // DAY * DAY
        sums: dict[int, float] = {}
        for _, what, _, at in self.events:
            if at < start:
                sums[what] = sums.get(what, 0.0) + 2 ** (-(start - at) / DAY / 7)
        own = sums.get(self.events[event][1], 0.0)
        if not own:
            return 5
        above = sum(other > own for other in sums.values())
        return sum(above >= bound for bound in (10, 30, 100, 300, 1000))

    def code(self, viewer: int, until: int) -> NDArray[np.float64]:
        """A viewer's z after the first `until` events."""
        own = [at for at in range(until) if self.events[at][0] == viewer][::-1]
        tasted, faceted = np.zeros(self.factors.shape[1]), np.zeros(12)
        for k, at in enumerate(own):
            _, what, _, when = self.events[at]
            tasted += 0.955**k * self.factors[what]
            faceted[self.age(what, when)] += 0.95**k
            faceted[6 + self.rank_class(at)] += 0.95**k
        return np.concatenate([part / (np.linalg.norm(part) or 1) for part in (tasted, faceted)])

    def audiences(self) -> tuple[NDArray[np.float64], NDArray[np.float64], dict[int, NDArray[np.float64]]]:
        """Mean, W, and of each title that is told a_i in whitened coordinates, before B and codes."""
        kept, codes, weights = [], [], []
        for at, (who, _, _, when) in enumerate(self.events):
            if len(self.history(who, at)) >= 3:
                kept.append(at)
                codes.append(self.code(who, at))
                weights.append(2 ** (-(self.at_s - when) / DAY / 20))
        mean = sum(weight * z for weight, z in zip(weights, codes, strict=True)) / sum(weights)
        covariance = sum(weight * np.outer(z - mean, z - mean) for weight, z in zip(weights, codes, strict=True)) / sum(
            weights
        )
        values, directions = np.linalg.eigh(covariance)
        whitened = directions / np.sqrt(values.clip(0) + 0.1 * values.clip(0).mean())
        found = {}
        for title in range(len(self.titles)):
            here = [place for place, at in enumerate(kept) if self.events[at][1] == title]
            total = sum(weights[place] for place in here) + 10
            found[title] = sum((weights[place] * (codes[place] - mean) for place in here), np.zeros(len(mean))) / total
        return mean, whitened, {title: row @ whitened for title, row in found.items()}

    def households(self, title: int) -> int:
        """Viewers of the last 21 days."""
        return sum(what == title and self.at_s - at <= 21 * DAY for _, what, _, at in self.events)
