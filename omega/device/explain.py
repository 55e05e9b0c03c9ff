"""From scores to recommendations: each term that counts becomes a reason in words."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from omega.core.types import Reason, Recommendation
from omega.device import words
from omega.device.ranking import TERMS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from omega.core.ports import PatternRecord
    from omega.core.types import ViewContext
    from omega.device.household import Household
    from omega.device.ranking import Evidence, Scores
    from omega.device.taste import Leanings

_SHOWN_DIGITS = 6
"""Weights are rounded before they are summed, so that what is shown adds up."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One question with every title's answer; n titles, m patterns."""

    slot: int
    context: ViewContext
    leanings: Leanings
    scores: Scores
    patterns: tuple[PatternRecord, ...]
    """The m patterns of the evidence, nearest to the context first."""
    evidence: Evidence
    unfinished: NDArray[np.bool_]
    """(n,)"""
    allowed: NDArray[np.bool_]
    """(n,) unfinished and of the kind that was asked for."""


def explained(asked: Asked, row: int, variety: float, household: Household) -> Recommendation:
    """Return title `row` with its reasons, the heaviest first; `variety` is the term that its place in a list added."""
    title = household.catalog.titles[row]
    values = dict(zip(TERMS, (round(float(term), _SHOWN_DIGITS) for term in asked.scores.terms[row]), strict=True))
    values["variety"] = round(variety, _SHOWN_DIGITS)
    reasons = [
        Reason(kind, _text(kind, value, asked, row, household), value) for kind, value in values.items() if value
    ]
    reasons.sort(key=lambda reason: -abs(reason.weight))
    if all(reason.kind == "variety" for reason in reasons):
        reasons.append(Reason("new", "nothing is known of your taste yet", 0.0))
    score = round(math.fsum(reason.weight for reason in reasons), _SHOWN_DIGITS)
    return Recommendation(
        content_id=title.id, title=title.title, kind=title.kind, year=title.year, score=score, reasons=tuple(reasons)
    )


def _text(kind: str, value: float, asked: Asked, row: int, household: Household) -> str:
    titles, leanings = household.titles, asked.leanings
    title, genres = household.catalog.titles[row], household.titles.genres[row]
    match kind:
        case "taste":
            text = words.taste_words(titles, leanings, genres, value)
        case "context":
            text = words.context_words(titles, leanings, asked.slot, genres, int(titles.kinds[row]), value)
        case "mood":
            text = words.mood_words(asked.context.mood or "", value)
        case "habit":
            text = _habit_text(asked, row, household)
        case "continue":
            text = words.resume_words(title, household.last[title.id])
        case "popularity":
            text = f"{titles.popularity[row]:.1%} of viewers watch it"
        case _:
            text = "much like a title further up"
    return text


def _habit_text(asked: Asked, row: int, household: Household) -> str:
    """Name the pattern that says most for title `row`, or most against it where its habits do."""
    shares = asked.scores.habits[row]
    at = int(np.argmax(shares if shares.sum() >= 0 else -shares))
    pattern = asked.patterns[at]
    name = household.title(pattern.content_id).title
    same = pattern.content_id == household.catalog.titles[row].id
    return words.habit_words(name, pattern.slot, float(asked.evidence.rates[at]), same=same)
