"""What the brain holds in memory of one household, read from the store when it opens and when another process wrote."""

from __future__ import annotations

from collections import deque
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from omega.core.errors import InputError, shown
from omega.core.records import Watched
from omega.core.types import SLOTS, ContentType, Title
from omega.core.wire import space_code
from omega.device import taste_code
from omega.device.history import is_finished, is_given_up, is_waiting, resume
from omega.device.memory.contexts import day_and_time
from omega.device.memory.episodes import SUCCESS_REWARD, Episode, facets_of, given_up, recall
from omega.device.memory.patterns import own_record
from omega.device.memory.skill_library import SkillLibrary
from omega.device.others import likeness
from omega.device.taste import REPLAYED_EVENTS, Taste
from omega.device.titles import KINDS, age_when_watched, unit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import tzinfo

    from numpy.typing import NDArray

    from omega.core.audience import Basis
    from omega.core.catalog import Catalog
    from omega.core.ports import DeviceStore, Embedder, Floats, Integers
    from omega.core.records import PatternRecord, Profile, WatchRecord
    from omega.device.others import Others
    from omega.device.taste_code import Rows
    from omega.device.titles import TitleArrays


REMINDING = 200
"""How many of the last episodes may be named as a reason."""
CODED_EVENTS = 400
"""The newest of them make the taste code."""
_ALIKE = 0.2
"""Cosine of centered vectors above which one title reminds of another."""


class Member:
    """One profile's state, or everybody's together: the last watch of each title, and the taste; n titles."""

    def __init__(self, catalog: Catalog, titles: TitleArrays) -> None:
        """Start with nothing known."""
        self._catalog = catalog
        self._episodes: deque[tuple[WatchRecord, Floats]] = deque(maxlen=REMINDING)
        self._stacked: tuple[Floats, Integers, NDArray[np.float64]] | None = None  # of the episodes, when asked for
        self.last: dict[str, Watched] = {}
        self.taste = Taste(len(titles.genre_names), titles.vectors.shape[1])
        self.unfinished = np.ones(len(catalog), bool)
        """(n,) what may be recommended."""
        self._left: dict[int, tuple[int, int]] = {}  # by ordinal, what waits: when it was left, in which context
        self._given_up: dict[int, int] = {}  # by ordinal, when
        self._own: dict[int, NDArray[np.float64]] = {}  # by ordinal (8, 2): watches, by how much they beat one half

    def learn(self, watch: WatchRecord, centered: Floats, genres: Floats, kind: int, age: int | None) -> None:
        """Add an event to the taste: its title's centered vector (384,), genre weights (g,), kind and age class."""
        self.taste.add(watch.slot, watch.watched_milli, centered, genres, kind, age)

    def remind(self, episodes: Iterable[tuple[WatchRecord, Floats]]) -> None:
        """Add events that may be named as a reason, each with its title's centered vector (384,)."""
        self._episodes.extend(episodes)
        self._stacked = None

    def reminder(
        self, centered: Floats, now: datetime, named: Callable[[WatchRecord], bool] | None = None
    ) -> WatchRecord | None:
        """Return the episode that speaks most for a title with this centered vector (384,), None without any.

        `named` says which may be named at all.
        """
        if not self._episodes:
            return None
        if self._stacked is None:
            rewards = np.array([watch.reward for watch, _ in self._episodes])
            at_s = np.array([watch.at for watch, _ in self._episodes], np.int64)
            self._stacked = np.array([vector for _, vector in self._episodes]), at_s, rewards
        vectors, at_s, rewards = self._stacked
        similarities = np.maximum(vectors @ centered, 0).astype(np.float64)
        allowed = rewards > SUCCESS_REWARD
        if named:
            allowed &= np.array([named(watch) for watch, _ in self._episodes])
        found = recall(similarities, at_s, rewards, allowed, now.timestamp(), 1)
        return self._episodes[found[0]][0] if len(found) and similarities[found[0]] >= _ALIKE else None

    def remember(self, watched: Watched) -> None:
        """Take in what is known of a title, in addition to what another profile did with it."""
        known = self.last.get(watched.content_id)
        self.last[watched.content_id] = watched = _merged(known, watched) if known else watched
        ordinal = self._catalog.ordinals.get(watched.content_id)
        if ordinal is not None:
            title = self._catalog.titles[ordinal]
            self.unfinished[ordinal] = not is_finished(title, watched)
            self._left.pop(ordinal, None)
            self._given_up.pop(ordinal, None)
            if is_waiting(title, watched):
                self._left[ordinal] = watched.at, watched.slot
            if is_given_up(title, watched):
                self._given_up[ordinal] = watched.at

    def count(self, ordinal: int, slot: int, samples: int, gain: float) -> None:
        """Add watches of a title in a context to its own record, with how much better than half they went in sum."""
        self._own.setdefault(ordinal, np.zeros((SLOTS, 2)))[slot] += samples, gain

    def record(self, shares: NDArray[np.float64]) -> Floats:
        """Return (n,) what `own_record` says by contexts' shares (8,); 0 for what was never watched."""
        return self._spread(self._own, lambda own: own_record(own, shares))

    def resume(self, now_s: float, slot: int) -> Floats:
        """Return (n,) 0..1, how much each title waits to be continued in a context."""
        return self._spread(self._left, lambda left: resume(left[:, 0], left[:, 1], now_s, slot))

    def given_up(self, now_s: float) -> Floats:
        """Return (n,) -1..0, how lately each title was given up."""
        return self._spread(self._given_up, lambda at_s: given_up(at_s, now_s))

    def _spread(self, known: Mapping[int, object], told: Callable[[NDArray[np.float64]], Floats]) -> Floats:
        """Return (n,) what is `told` of what is known of the few titles that were watched, 0 for all others."""
        found = np.zeros(len(self._catalog), np.float32)
        if known:
            found[list(known)] = told(np.array(list(known.values()), np.float64))
        return found


class Household:
    """Everybody's state and each asked profile's own, with the titles that this TV alone knows."""

    def __init__(
        self,
        store: DeviceStore,
        embedder: Embedder,
        catalog: Catalog,
        titles: TitleArrays,
        others: Others,
        basis: Basis | None,
        factors: Rows | None,
        zone: tzinfo | None,
        embedded: Mapping[str, Floats] | None = None,
    ) -> None:
        """Read the state from the store; vectors of another space than the embedder's are replaced first.

        `zone` is the household's; `embedded` are vectors of titles that no catalog has, by id, where they are known.
        """
        self.zone = zone
        self.catalog = catalog
        self.titles = titles
        self.others = others
        self._basis, self._factors = basis, factors
        self._likeness: Floats | None = None
        self._store = store
        self._embedder = embedder
        self.version = store.version()
        """The store's, as it was before this was read."""
        self.local: dict[str, Title] = {key: title for key, title in store.titles().items() if title}
        if not store.bind(embedder.space, titles.contexts):
            self._reembed(embedded or {})
        self.profiles = {profile.name: profile for profile in store.profiles()}
        self.newest_at_s = 0
        """When the newest event ended, in unix seconds."""
        self.skills = SkillLibrary(store, self._episode, titles.genre_names)
        self._members: dict[int | None, Member] = {None: self._read(None)}
        self._day_code: tuple[datetime, bytes] | None = None

    @property
    def everyone(self) -> Member:
        """All profiles together, and what nobody was named for."""
        return self._members[None]

    def member(self, profile: int | None) -> Member:
        """Return a profile's own state, read when first asked for; None is everybody."""
        if profile not in self._members:
            self._members[profile] = self._read(profile)
        return self._members[profile]

    def guest(self) -> Member:
        """Return the state of somebody of whom nothing is known."""
        return Member(self.catalog, self.titles)

    def profile(self, name: str) -> Profile:
        """Return the profile of this name; raises InputError."""
        if (profile := self.profiles.get(name)) is None:
            names = ", ".join(self.profiles) or "none yet"
            raise InputError(f"profile is {shown(name)}, allowed: {names}: make it with omega device profiles NAME")
        return profile

    @property
    def likeness(self) -> Floats:
        """(n,) how like this household each title's audience is, in log odds; 0 where nothing is known."""
        if self._likeness is None:
            self._likeness = likeness(self.others.audiences, self._place(), len(self.catalog))
        return self._likeness

    def hear(self, others: Others, basis: Basis | None, factors: Rows | None) -> None:
        """Take in what the others enjoy, the map of their audiences, and where titles stand among tastes."""
        self.others, self._basis, self._factors, self._likeness = others, basis, factors, None

    def taste_code(self, midnight: datetime) -> bytes:
        """Return the code of what the household watched of the catalog before this day; empty without any.

        One code for all that a day contributes: several cost no more than one, and the order of a day stays at home.
        """
        if self._day_code is None or self._day_code[0] != midnight:
            standing = self._standing(midnight.timestamp())
            self._day_code = midnight, b"" if standing is None else taste_code.code_of(standing)
        return self._day_code[1]

    def title(self, content_id: str) -> Title:
        """Return a title that was watched: the catalog's, or the TV's own."""
        known = self.catalog.get(content_id) or self.local.get(content_id)
        return known or Title(content_id, content_id, 0, ContentType.MOVIE, (), minutes=0, age=0)

    def vector(self, title: Title) -> Floats:
        """Return the vector (384,) of any title; one that no catalog has is embedded when it is new."""
        ordinal = self.catalog.ordinals.get(title.id)
        row: Floats = self._embedder.embed([title.text])[0] if ordinal is None else self.titles.vectors[ordinal]
        return row

    def centered(self, patterns: Sequence[PatternRecord]) -> Floats:
        """Return the centered title vectors (m, 384) of patterns."""
        rows = np.empty((len(patterns), self.titles.vectors.shape[1]), np.float32)
        for row, pattern in enumerate(patterns):
            rows[row] = self._centered(pattern.content_id)
        return rows

    def add(self, watch: WatchRecord, title: Title, *, local: bool) -> None:
        """Take in an event that was recorded."""
        if local:
            self.local[title.id] = title
        self.newest_at_s = max(self.newest_at_s, watch.at)
        self._likeness = None
        for profile in {None, watch.profile} & self._members.keys():
            member = self._members[profile]
            known = member.last.get(watch.content_id)
            self._record(member, watch.content_id, watch.slot, 1, watch.watched_milli)
            member.remember(known.after(watch) if known else Watched.first(watch))
            self._learn(member, watch)
            member.remind([(watch, self._centered(watch.content_id))])
        self.skills.add(watch)

    def _place(self) -> Floats | None:
        """Return where the household is on the map, (12,); None where it has none, or nothing was watched."""
        basis = self._basis
        if basis is None or self.others.audiences is None or basis.space != space_code(self._embedder.space):
            return None
        if (standing := self._standing()) is None:
            return None
        numbers = standing / taste_code.STEPS - np.array(basis.mean, np.float32)
        place: Floats = np.array(basis.projection, np.float32) @ numbers
        return place

    def _standing(self, end_s: float = np.inf) -> Floats | None:
        """Return (44,) where the household stood at a moment; None without a title of the catalog, or in its space."""
        axes = taste_code.axes_of(self._embedder.space)
        if axes is None:
            return None
        watched: dict[int, WatchRecord] = {}  # by ordinal, the latest first
        for event in sorted(self._store.events(CODED_EVENTS), key=lambda event: -event.at):
            ordinal = self.catalog.ordinals.get(event.content_id)
            if ordinal is not None and event.at < end_s:
                watched.setdefault(ordinal, event)
        rows = list(watched)[: taste_code.LATEST_TITLES]
        if not rows:
            return None
        ages = [age_when_watched(self._year(watched[row]), self.catalog.titles[row].year) for row in rows]
        told = taste_code.told_by(axes, self._factors, self.titles.centered[rows], rows)
        return taste_code.standing(told, ages)

    def _episode(self, row_id: int, watch: WatchRecord) -> Episode:
        day, time = day_and_time(datetime.fromtimestamp(watch.at, self.zone))
        return Episode(
            id=row_id,
            at=watch.at,
            day=day,
            time=time,
            watched_milli=watch.watched_milli,
            facets=facets_of(self.title(watch.content_id)),
            engagement_milli=watch.engagement_milli,
            offered=watch.offered is not None,
            profile=watch.profile,
        )

    def _read(self, profile: int | None) -> Member:
        """Rebuild a state from all titles' last events, all patterns, and the newest events of each context."""
        member = Member(self.catalog, self.titles)
        for watched in self._store.watched():
            self.newest_at_s = max(self.newest_at_s, watched.at)
            if profile in (None, watched.profile):
                member.remember(watched)
        for pattern in self._store.patterns():
            if profile in (None, pattern.profile):
                self._record(member, pattern.content_id, pattern.slot, pattern.sample_count, pattern.success_milli)
        for slot in range(SLOTS):
            for watch in self._store.events(REPLAYED_EVENTS, slot=slot, profile=profile):
                self._learn(member, watch)
        member.remind([(e, self._centered(e.content_id)) for e in self._store.events(REMINDING, profile=profile)])
        return member

    def _record(self, member: Member, content_id: str, slot: int, samples: int, success_milli: int) -> None:
        if (ordinal := self.catalog.ordinals.get(content_id)) is not None:
            member.count(ordinal, slot, samples, success_milli / 1000 - samples / 2)

    def _learn(self, member: Member, watch: WatchRecord) -> None:
        title = self.title(watch.content_id)
        genres = self.titles.genre_weights(title)
        age = age_when_watched(self._year(watch), title.year)
        member.learn(watch, self._centered(watch.content_id), genres, KINDS.index(title.kind), age)

    def _year(self, watch: WatchRecord) -> int:
        return datetime.fromtimestamp(watch.at, self.zone).year

    def _centered(self, content_id: str) -> Floats:
        ordinal = self.catalog.ordinals.get(content_id)
        if ordinal is not None:
            row: Floats = self.titles.centered[ordinal]
            return row
        return unit(self._store.vectors([content_id])[0] - self.titles.mean)

    def _reembed(self, embedded: Mapping[str, Floats]) -> None:
        """Replace all titles' vectors by ones of the embedder's space; those of the catalog are looked up."""
        names = list(self._store.titles())
        rows = (embedded[name] if name in embedded else self.vector(self.title(name)) for name in names)
        self._store.reembed(names, rows)


def _merged(known: Watched, other: Watched) -> Watched:
    """Return what two profiles' summaries of a title say together: the later last event, the greater best."""
    last, first = (other, known) if other.at >= known.at else (known, other)
    return msgspec.structs.replace(last, best_milli=max(last.best_milli, first.best_milli))
