"""Memories in words: habits, and the evidence that speaks for a title."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from omega.device.memory.contexts import DAYS, TIMES, night_day
from omega.device.memory.episodes import Critique, genre_facet, kind_facet
from omega.device.titles import KINDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from omega.core.ports import Floats
    from omega.device.memory.skills import Skill

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_PLURALS = {
    "genre:adventure": "adventures",
    "genre:biography": "biographies",
    "genre:cartoon": "cartoons",
    "genre:comedy": "comedies",
    "genre:documentary": "documentaries",
    "genre:drama": "dramas",
    "genre:family": "family titles",
    "genre:musical": "musicals",
    "genre:mystery": "mysteries",
    "genre:romance": "romances",
    "genre:sci fi": "science fiction",
    "genre:thriller": "thrillers",
    "genre:western": "westerns",
    "kind:movie": "movies",
    "kind:documentary": "documentaries",
}
_A_CONTEXT = 2
"""How many habits of a context are told: a crime series is also a drama, a thriller and a series."""
_VERBS = {
    Critique.FINISHED: "finished",
    Critique.ENJOYED: "enjoyed",
    Critique.LUKEWARM: "left",
    Critique.GIVEN_UP: "gave up",
}


def facet_words(facet: str) -> str:
    """Return a facet in the plural; one that has none, or that is an operator's own, as it is."""
    return _PLURALS.get(facet, facet.partition(":")[2])


def skill_words(skill: Skill) -> str:
    """Return a habit: `Friday evenings: thrillers, 7 of 9 finished`."""
    often = f"{skill.count} times"
    how = f"{skill.finished} of {skill.count} finished" if 2 * skill.finished >= skill.count else f"watched {often}"
    return f"{DAYS[skill.day]} {TIMES[skill.time]}s: {facet_words(skill.facet)}, {how}"


def habits(skills: Iterable[Skill]) -> list[str]:
    """Return skills in words, the most successful episodes first; the two best of each context."""
    best = sorted(skills, key=lambda s: (-s.count * s.success, s.day, s.time, s.facet))
    told: Counter[tuple[int, int]] = Counter()
    found = []
    for skill in best:
        told[skill.day, skill.time] += 1
        if told[skill.day, skill.time] <= _A_CONTEXT:
            found.append(skill_words(skill))
    return found


def lift_words(shares: Floats, genre_names: Sequence[str], day: int, time: int, *, usual: bool) -> str:
    """Return why a context speaks for a title: `thrillers and movies do well on Friday evenings`; else against it.

    `shares` (g + 3,) is how much each of its genres and kinds says so.
    """
    facets = [*map(genre_facet, genre_names), *map(kind_facet, KINDS)]
    best = [facet_words(facets[i]) for i in np.argsort(-shares, kind="stable")[:2] if shares[i] > 0]
    return f"{' and '.join(best)} {'do well' if usual else 'are rare'} on {DAYS[day]} {TIMES[time]}s"


def date_words(moment: datetime, now: datetime) -> str:
    """Return the day of a local time as `Fri 6 Mar`, with its year unless it is now's; the night is the evening's."""
    day, today = night_day(moment), night_day(now)
    year = "" if day.year == today.year else f" {day.year}"
    return f"{DAYS[day.weekday()][:3]} {day.day} {_MONTHS[day.month - 1]}{year}"


def evidence_words(name: str, critique: Critique, moment: datetime, now: datetime) -> str:
    """Return what an episode says: `you finished Heat on Fri 6 Mar`."""
    half_way = " half-way" if critique is Critique.LUKEWARM else ""
    return f"you {_VERBS[critique]} {name}{half_way} on {date_words(moment, now)}"
