"""From scores to recommendations: each term that counts becomes a reason in words."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from omega.core.types import Reason, Recommendation
from omega.device import history, words
from omega.device.memory.episodes import Critique, critique, facets_of
from omega.device.memory.lifts import skill_shares
from omega.device.memory.words import evidence_words, lift_words, skill_words
from omega.device.ranking import TERMS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from omega.core.ports import Floats
    from omega.core.records import PatternRecord, Watched, WatchRecord
    from omega.core.types import Title, ViewContext
    from omega.device.household import Household, Member
    from omega.device.others import Others
    from omega.device.ranking import Evidence, Place, Scores
    from omega.device.taste import Leanings

_WENT_WELL = (Critique.FINISHED, Critique.ENJOYED)
_SHOWN_DIGITS = 6
"""Weights are rounded before they are summed, so that what is shown adds up."""


@dataclass(frozen=True)
class Asked:
    """One question with every title's answer; n titles, m patterns."""

    slot: int
    day: int
    """0..8 as in `memory.contexts`."""
    time: int
    now: datetime
    profile: int | None
    """Who asks; None is everybody."""
    context: ViewContext
    leanings: Leanings
    lift: Floats
    """(g + 3,) what the skill library says of each genre and kind."""
    ages: NDArray[np.int64]
    """(n,) age classes of the titles, -1 where the year is unknown."""
    others: Others
    scores: Scores
    patterns: tuple[PatternRecord, ...]
    """The m patterns of the evidence, nearest to the context first."""
    evidence: Evidence
    member: Member
    """Whose history it was asked with."""
    age_limit: int | None
    """Nothing for older viewers is recommended, or named in a reason."""
    fitting: NDArray[np.bool_]
    """(n,) for viewers of the age that was asked for."""
    of_kind: NDArray[np.bool_]
    """(n,)"""

    @cached_property
    def quiet(self) -> Floats:
        """(n, 11) the terms where the trend counts less."""
        return self.scores.quiet

    @property
    def allowed(self) -> NDArray[np.bool_]:
        """(n,) what may be recommended: unfinished, fitting, and of the kind that was asked for."""
        return self.member.unfinished & self.fitting & self.of_kind

    def goes_on(self, title: Title) -> tuple[int | None, int | None]:
        """Return the season and episode at which a series goes on that waits to be continued."""
        watched = self.member.last.get(title.id)
        return history.next_episode(watched) if watched and history.is_waiting(title, watched) else (None, None)

    def reminder(self, centered: Floats, household: Household) -> WatchRecord | None:
        """Return the episode that speaks most for a title with this centered vector (384,), if it may be named."""
        limit = self.age_limit
        named = None if limit is None else lambda watch: household.title(watch.content_id).age <= limit
        return self.member.reminder(centered, self.now, named)

    def kin(self, row: int, household: Household) -> Title | None:
        """Return what this household finished whose audience is most like that of title `row`, if it may be named."""
        neighbors, titles = self.others.neighbors, household.catalog.titles
        for near in neighbors.near(row) if neighbors else ():
            if near < len(titles) and (watched := self.member.last.get(titles[near].id)):
                title = titles[near]
                named = self.age_limit is None or title.age <= self.age_limit
                if named and history.is_finished(title, watched):
                    return title
        return None

    def excluded(self, row: int, age: int) -> str | None:
        """Say why title `row`, which is meant for viewers of `age`, may not be recommended."""
        if not self.fitting[row]:
            return f"meant for viewers of {age} and older"
        if not self.of_kind[row]:
            return f"not a {self.context.kind}"
        return None if self.member.unfinished[row] else "finished"


def explained(asked: Asked, place: Place, household: Household) -> Recommendation:
    """Return the title at a place of a list with its reasons, the heaviest first."""
    row, title = place.row, household.catalog.titles[place.row]
    terms = (asked.quiet if place.quiet else asked.scores.terms)[row]
    values = dict(zip(TERMS, (round(float(term), _SHOWN_DIGITS) for term in terms), strict=True))
    values["variety"] = round(place.variety, _SHOWN_DIGITS)
    reasons = [
        Reason(kind, _text(kind, value, asked, row, household), value) for kind, value in values.items() if value
    ]
    reasons.sort(key=lambda reason: -abs(reason.weight))
    if all(reason.kind == "variety" for reason in reasons):
        reasons.append(Reason("new", "nothing is known of your taste yet", 0.0))
    score = round(math.fsum(reason.weight for reason in reasons), _SHOWN_DIGITS)
    season, episode = asked.goes_on(title)
    return Recommendation(
        content_id=title.id,
        title=title.title,
        kind=title.kind,
        year=title.year,
        score=score,
        reasons=tuple(reasons),
        season=season,
        episode=episode,
        propensity=place.propensity,
    )


def _text(kind: str, value: float, asked: Asked, row: int, household: Household) -> str:
    titles, leanings = household.titles, asked.leanings
    title, genres = household.catalog.titles[row], household.titles.genres[row]
    match kind:
        case "taste":
            text = words.taste_words(titles, leanings, genres, value)
            if value > 0 and (episode := asked.reminder(titles.centered[row], household)):
                text = f"{text}: {_evidence(episode, asked, household)}"
        case "skill":
            text = _skill_text(asked, row, value, household)
        case "given_up":
            text = _evidence(asked.member.last[title.id], asked, household)
        case "context":
            text = words.context_words(titles, leanings, asked.slot, genres, int(titles.kinds[row]), value)
        case "mood":
            text = words.mood_words(asked.context.mood or "", value)
        case "habit":
            text = _habit_text(asked, row, value, household)
        case "continue":
            text = words.resume_words(title, asked.member.last[title.id])
        case "variety":
            text = "much like a title further up"
        case _:
            text = _others_text(kind, value, asked, row, household)
    return text


def _others_text(kind: str, value: float, asked: Asked, row: int, household: Household) -> str:
    """Say what everybody watches, what is new, what viewers of this taste enjoy, and how old titles suit it."""
    households, age = int(asked.others.households[row]), int(asked.ages[row])
    match kind:
        case "trend":
            text = words.trend_words(float(asked.others.shares[row]), households)
        case "fresh":
            text = words.fresh_words(age, value)
        case "novelty":
            text = words.novelty_words(age, value)
        case _:
            text = words.audience_words(households, value, asked=bool(asked.others.alike[row]))
            if value > 0 and (kin := asked.kin(row, household)):
                text = words.kin_words(text, kin.title)
    return text


def _skill_text(asked: Asked, row: int, value: float, household: Household) -> str:
    """Name the habit of this context that title `row` belongs to, or the genres that do well or are rare then."""
    title, titles, now_s = household.catalog.titles[row], household.titles, asked.now.timestamp()
    if value > 0 and (habit := household.skills.best(asked.profile, asked.day, asked.time, facets_of(title), now_s)):
        return skill_words(habit)
    shares = skill_shares(asked.lift, titles.genres[row], int(titles.kinds[row]))
    return lift_words(shares if value > 0 else -shares, titles.genre_names, asked.day, asked.time, usual=value > 0)


def _evidence(watch: WatchRecord | Watched, asked: Asked, household: Household) -> str:
    """Say what the household did with a title, and when."""
    name, moment = household.title(watch.content_id).title, datetime.fromtimestamp(watch.at, asked.now.tzinfo)
    return evidence_words(name, critique(watch.watched_milli), moment, asked.now)


def _habit_text(asked: Asked, row: int, value: float, household: Household) -> str:
    """Name what says most for title `row`, or against it when `value` is below 0: its own record, or a pattern."""
    title, sign = household.catalog.titles[row], 1 if value >= 0 else -1
    shares = sign * asked.scores.habits[row]
    at = int(np.argmax(shares)) if len(shares) else None
    if at is None or sign * asked.scores.own[row] >= shares[at]:
        last = asked.member.last.get(title.id)
        agrees = last is not None and (critique(last.watched_milli) in _WENT_WELL) == (value >= 0)
        return (
            _evidence(last, asked, household) if last and agrees else words.record_words(title.title, well=value >= 0)
        )
    pattern = asked.patterns[at]
    other, same = household.title(pattern.content_id), pattern.content_id == title.id
    name = other.title if asked.age_limit is None or other.age <= asked.age_limit else "what others watched"
    return words.habit_words(name, pattern.slot, float(asked.evidence.rates[at]), same=same)
