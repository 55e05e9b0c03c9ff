"""Reasons and habits in words, from the numbers that made them and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from omega.core.types import SLOTS, DayType, TimeSlot, time_and_day
from omega.device.titles import KINDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from omega.core.ports import Floats, WatchRecord
    from omega.core.types import Title
    from omega.device.taste import Leanings, Taste
    from omega.device.titles import TitleArrays

_PLURALS = {"movie": "movies", "series": "series", "documentary": "documentaries"}
_TIMES = {
    TimeSlot.MORNING: "mornings",
    TimeSlot.AFTERNOON: "afternoons",
    TimeSlot.EVENING: "evenings",
    TimeSlot.NIGHT: "nights",
}
_LEAST_LIKED_EVENTS = 3.0
"""Fewer liked events in a context than this are no habit yet."""
_LEAST_RATIO = 0.2
"""Natural log by which a genre stands out in a context before it is named: 22 % more than elsewhere."""
_LEAST_SHARE = 0.1
"""Share of a context's likings that a genre needs before it is named."""


def slot_words(slot: int) -> str:
    """Return the context's name in the plural: `weekday evenings`."""
    time, day = time_and_day(slot)
    return f"{'weekend' if day is DayType.WEEKEND else 'weekday'} {_TIMES[time]}"


def listed(names: Sequence[str]) -> str:
    """Return `a`, `a and b` or `a, b and c`."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}" if names else ""


def leading(ratios: Floats, weights: Floats, names: Sequence[str], most: int = 2) -> list[str]:
    """Return up to `most` names whose weight times ratio is highest, of those that are above 0."""
    gains = ratios * weights
    return [names[i] for i in np.argsort(-gains, kind="stable")[:most] if gains[i] > 0]


def taste_words(titles: TitleArrays, leanings: Leanings, weights: Floats, value: float) -> str:
    """Say why the taste speaks for a title with genre weights (g,), or against it when `value` is below 0."""
    likes = value >= 0
    if genres := leading(leanings.genres if likes else -leanings.genres, weights, titles.genre_names):
        return f"you {'enjoy' if likes else 'rarely watch'} {listed(genres)}"
    if leanings.liked < 1:
        return "unlike what you gave up lately" if likes else "close to what you gave up lately"
    return "close to what you enjoyed lately" if likes else "unlike what you enjoyed lately"


def context_words(titles: TitleArrays, leanings: Leanings, slot: int, weights: Floats, kind: int, value: float) -> str:
    """Say why the context's habits speak for a title, or against it when `value` is below 0."""
    usual = value >= 0
    sign = 1 if usual else -1
    what = leading(sign * leanings.slot_genres, weights, titles.genre_names)
    if sign * leanings.slot_kinds[kind] > 0:
        what.append(_PLURALS[KINDS[kind]])
    return f"{'' if usual else 'seldom '}{listed(what) or 'something'} on {slot_words(slot)}"


def mood_words(mood: str, value: float) -> str:
    """Say whether a title sounds like the mood that was asked for."""
    return f"{'sounds' if value >= 0 else 'does not sound'} {mood}"


def habit_words(name: str, slot: int, rate: float, *, same: bool) -> str:
    """Say which pattern speaks for (or against) a title: its name, its context and how it went there."""
    how = "went well" if rate >= 0.5 else "was given up"
    return f"{name} {how} on {slot_words(slot)}" if same else f"like {name}, which {how} on {slot_words(slot)}"


def resume_words(title: Title, watch: WatchRecord) -> str:
    """Say where the title was left."""
    if watch.season is not None and watch.episode is not None:
        return f"you are at season {watch.season}, episode {watch.episode}"
    if watch.watched_milli >= 1000 or title.kind == "series":
        return "you are in the middle of the series"
    return f"you left it at {watch.watched_milli // 10} %"


def habits(titles: TitleArrays, taste: Taste) -> list[str]:
    """Return what the household likes in each context where it has a habit, the strongest first.

    `weekday mornings: animation and family, mostly series`
    """
    found = [slot for slot in range(SLOTS) if taste.slot_liked[slot] >= _LEAST_LIKED_EVENTS]
    return [_habit(titles, taste, slot) for slot in sorted(found, key=lambda slot: -taste.slot_liked[slot])]


def _habit(titles: TitleArrays, taste: Taste, slot: int) -> str:
    shares = taste.slot_genres[slot] / max(float(taste.slot_genres[slot].sum()), 1e-9)
    leanings = taste.leanings(slot, titles.genre_shares, titles.kind_shares)
    ratios = leanings.slot_genres + leanings.genres
    telling = (ratios >= _LEAST_RATIO) & (shares >= _LEAST_SHARE)
    genres = leading(np.where(telling, ratios, 0), shares, titles.genre_names)
    kinds = taste.slot_kinds[slot]
    kind = int(np.argmax(kinds))
    mostly = f"mostly {_PLURALS[KINDS[kind]]}" if kinds[kind] > 0.5 * kinds.sum() else "of every kind"
    return f"{slot_words(slot)}: {listed(genres) or 'a bit of everything'}, {mostly}"
