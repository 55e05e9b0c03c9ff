"""One question to the brain: which patterns speak in a context, and what every title scores there."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from omega.core.parsing import check_context, completed
from omega.core.text import context_text
from omega.core.types import success_rate, time_and_day
from omega.device import ranking
from omega.device.explain import Asked
from omega.device.memory.contexts import asked_context
from omega.device.memory.lifts import lifts
from omega.device.memory.patterns import context_shares
from omega.device.ranking import Evidence, Known
from omega.device.titles import KINDS, age_shares, unit

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from omega.core.ports import DeviceStore, Floats, Where
    from omega.core.records import PatternRecord
    from omega.core.types import ViewContext
    from omega.device.household import Household
    from omega.device.ranking import Weights

EVIDENCE_PATTERNS = 50
"""How many patterns near the context are looked at."""
GUEST = -1
"""A profile that has no events."""
_CACHED_MOODS = 256


class Asking:
    """Scores titles for one household in one space."""

    def __init__(self, store: DeviceStore, household: Household, embed: Callable[[str], Floats | None]) -> None:
        """Use what the brain holds; `embed` gives None while the model is broken."""
        self._store = store
        self._household = household
        self._titles = household.titles
        self._embed = embed
        self._moods = lru_cache(maxsize=_CACHED_MOODS)(self._embed_context)

    def ask(self, context: ViewContext, now: datetime, weights: Weights, *, as_guest: bool) -> Asked:
        """Score every title in a context; a guest is asked for without the household. Raises InputError."""
        slot, context = completed(check_context(context), now)
        wish, mood = self._wish(slot, context.mood)
        kind = KINDS.index(context.kind) if context.kind else None
        profile = None if context.profile is None else self._household.profile(context.profile)
        asker = None if profile is None else profile.id
        member = self._household.guest() if as_guest else self._household.member(asker)
        evidence, patterns = self._evidence(wish, kind, asker, as_guest=as_guest)
        resume = member.resume(now.timestamp(), slot)
        titles, others = self._titles, self._household.others
        ages = titles.ages_in(now.year)
        leanings = member.taste.leanings(slot, titles.genre_shares, titles.kind_shares, age_shares(ages))
        day, time = asked_context(slot, now)
        sums = self._household.skills.arrays(GUEST if as_guest else asker)
        lift = lifts(sums, day, time, now.timestamp())
        own = member.record(context_shares(slot))
        gone = member.given_up(now.timestamp())
        known = Known(leanings, lift, own, resume, gone, self._household.likeness, len(member.last))
        scores = ranking.score(titles, others, ages, known, mood, evidence, weights)
        limits = [age for age in (context.max_age, profile.age if profile else None) if age is not None]
        limit = min(limits, default=None)
        fitting = np.ones(len(self._titles.ages), np.bool_) if limit is None else self._titles.ages <= limit
        of_kind = np.ones_like(fitting) if kind is None else self._titles.kinds == kind
        return Asked(
            slot=slot,
            day=day,
            time=time,
            now=now,
            profile=GUEST if as_guest else asker,
            context=context,
            leanings=leanings,
            lift=lift,
            scores=scores,
            patterns=patterns,
            evidence=evidence,
            member=member,
            ages=ages,
            others=others,
            age_limit=limit,
            fitting=fitting,
            of_kind=of_kind,
        )

    def _wish(self, slot: int, mood: str | None) -> tuple[Floats, Floats | None]:
        """Return a context's vector and what the mood added to it; None when there is no mood that says anything."""
        base = self._titles.contexts[slot]
        if mood is None:
            return base, None
        wish = self._moods(slot, mood)
        if wish is None:
            return base, None
        added = unit(wish - base)
        return (wish, added) if ranking.is_understood(self._titles, added) else (base, None)

    def _evidence(
        self, query: Floats, kind: int | None, profile: int | None, *, as_guest: bool
    ) -> tuple[Evidence, tuple[PatternRecord, ...]]:
        """Return the patterns nearest to a context's vector, of one profile if one asks."""
        bounds = {"kind": kind, "profile": profile}
        where: Where = {name: (value, value) for name, value in bounds.items() if value is not None}
        near = [] if as_guest else self._store.search(query, EVIDENCE_PATTERNS, where or None)
        patterns = tuple(found.pattern for found in near)
        similarities = np.array([found.similarity for found in near], np.float32)
        rates = np.array([success_rate(p.sample_count, p.success_milli) for p in patterns], np.float32)
        return Evidence(similarities, rates, self._household.centered(patterns)), patterns

    def _embed_context(self, slot: int, mood: str) -> Floats | None:
        return self._embed(context_text(*time_and_day(slot), mood))
