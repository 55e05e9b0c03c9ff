"""Reasons in words, from the numbers that made them and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from omega.core.types import DayType, TimeSlot, time_and_day
from omega.device.history import next_episode
from omega.device.titles import KINDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from omega.core.ports import Floats
    from omega.core.records import Watched
    from omega.core.types import Title
    from omega.device.taste import Leanings
    from omega.device.titles import TitleArrays

_PLURALS = {"movie": "movies", "series": "series", "documentary": "documentaries"}
_NEW = {0: "new this year", 1: "came out last year"}
_OF_AGE = (
    "what is new",
    "last year's titles",
    "titles of recent years",
    "titles of the last ten years",
    "older titles",
    "classics",
)
_TIMES = {
    TimeSlot.MORNING: "mornings",
    TimeSlot.AFTERNOON: "afternoons",
    TimeSlot.EVENING: "evenings",
    TimeSlot.NIGHT: "nights",
}


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
        return f"you enjoy {listed(genres)}" if likes else f"you rarely watch {listed(genres)} at times like this"
    if leanings.liked < 1:
        return "unlike what you gave up lately" if likes else "close to what you gave up lately"
    return "close to what you enjoyed lately" if likes else "unlike what you enjoyed lately at times like this"


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


def record_words(name: str, *, well: bool) -> str:
    """Say how a title went with the household, all in all."""
    return f"{name} {'went well' if well else 'did not go well'} before"


def trend_words(share: float, households: int) -> str:
    """Say who else watches a title: how many households at least, as a shard says, else the operator's share, 0..1."""
    return f"{households:,} households watched it lately" if households else f"{share:.1%} of viewers watch it"


def audience_words(households: int, value: float, *, asked: bool) -> str:
    """Say whose taste a title is; `asked`: how many of these there are at least was the answer to a question."""
    if asked:
        return f"{households:,} households like yours enjoyed it"
    return "viewers of your taste enjoy it" if value > 0 else "viewers of another taste enjoy it"


def kin_words(text: str, finished: str) -> str:
    """Add the title that the household finished and whose audience is alike; who watched both, nobody knows."""
    return f"{text}; its audience is like that of {finished}, which you finished"


def fresh_words(age: int, value: float) -> str:
    """Say what is new, from an age class, or else how those who watched it found it."""
    new = _NEW.get(age) if value > 0 else None
    return new or ("well liked by who watched it" if value > 0 else "less liked by who watched it")


def novelty_words(age: int, value: float) -> str:
    """Say how the title's age class suits the household."""
    return f"you {'often' if value > 0 else 'seldom'} watch {_OF_AGE[age]}"


def resume_words(title: Title, watch: Watched) -> str:
    """Say where the title was left, or with which episode it goes on."""
    season, episode = next_episode(watch)
    if episode is not None:
        return f"goes on with {f'season {season}, ' if season is not None else ''}episode {episode}"
    if watch.watched_milli >= 1000 or title.kind == "series":
        return "you are in the middle of the series"
    return f"you left it at {watch.watched_milli // 10} %"
