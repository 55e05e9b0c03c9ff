"""The brain of one TV: observe what is watched, recommend what to watch, say why.

Nothing is written, logged or called through a hook while a recommendation is made.
"""

from __future__ import annotations

import secrets
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import msgspec

import omega
from omega.core.errors import InputError, StoreError, shown
from omega.core.experiments import Experiments
from omega.core.factors import Factors
from omega.core.neighbors import Neighbors
from omega.core.parsing import check_event, check_profile
from omega.core.privacy import Account
from omega.core.ranking_weights import RankingWeights
from omega.core.records import NOBODY, Forgotten, Outcome, Profile, Selection, Watched
from omega.core.types import Recommendation, ViewContext, pattern_id, success_rate
from omega.device import backup, exploring, ranking, trials
from omega.device.asking import Asking
from omega.device.backup import Document, Restored
from omega.device.explain import explained
from omega.device.household import Household
from omega.device.memory import words as memory_words
from omega.device.memory.skill_library import Progress
from omega.device.moving import following
from omega.device.observe import RELEASED, Offer, day_number, day_of, midnight, title_of, trusted, watch_of
from omega.device.others import heard
from omega.device.privacy import Privacy, privacy
from omega.device.ranking import Place, Weights
from omega.device.results import Explanation, Memories, Mode, Observed, Status
from omega.device.sync import trends
from omega.device.sync.session import Session
from omega.device.taste_code import Rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import date, datetime
    from pathlib import Path
    from random import Random

    from omega.core.audience import Basis
    from omega.core.catalog import Catalog
    from omega.core.experiments import Arm, Experiment
    from omega.core.ports import DeviceStore, Embedder, Floats
    from omega.core.records import WatchRecord
    from omega.core.types import Title, ViewingEvent
    from omega.core.wire import Artifact, Push
    from omega.device.explain import Asked
    from omega.device.moving import Mover
    from omega.device.others import Others
    from omega.device.sync.report import Report
    from omega.device.sync.runtime import Syncer
    from omega.device.sync.trends import Trends
    from omega.device.titles import TitleArrays

LIST_LENGTH = 20
MOST_TITLES = 10_000
"""No list is longer."""
MAX_EVENTS = 50_000
"""Older events are let go; what they added up to stays. Ten a day for 13 years."""
MAX_PATTERNS = 10_000
PRUNE_ABOVE = 1.02
"""Some more than the limits are let be, so that one event more doesn't mean another pruning."""
TEND_MS = 20.0
"""Idle work at a time: no request waits longer for it."""
RECENT_EPISODES = 20
MOST_HABITS = 8
_MODE = "mode"
_HOUSEHOLD = "household"
"""The note of what makes a household's chances its own."""
_HOUSEHOLD_BYTES = 16
_OFFER_HOLDS_S = 12 * 3600
"""What is watched this long after it was recommended counts as chosen from the list."""


class Brain:
    """One household's intelligence; for one thread at a time. `omega.compose.open_brain` makes one from settings."""

    def __init__(
        self,
        store: DeviceStore,
        embedder: Embedder,
        catalog: Catalog,
        titles: TitleArrays,
        *,
        now: Callable[[], datetime],
        weights: Weights | None = None,
        mover: Mover | None = None,
        clock_from: datetime = RELEASED,
        hear: Callable[[Floats, Trends, Basis | None, Neighbors | None], Others] = heard,
    ) -> None:
        """Take over `store` and `embedder`, which are closed with the brain.

        `titles` are the catalog's arrays in the embedder's space; `now` gives aware local time; `mover` keeps the
        embedder the one that serves best, where the settings leave that open. A clock that shows a time before
        `clock_from` isn't set. `hear` makes arrays of what a pull says: who has many brains may remember them.
        """
        self._store = store
        self._embedder = embedder
        self._catalog = catalog
        self._titles = titles
        self._now, self._clock_from = now, clock_from
        self._hear = hear
        self.weights = weights or Weights()
        """How much each part counts; holds from the next question on."""
        self._mover = mover
        self._basis: Basis | None = None  # of audiences
        self._account: Account | None = None
        self._factors: Rows | None = None
        self._neighbors: Neighbors | None = None
        self._experiments = Experiments()
        self._tried_until: date | None = None  # days before are told
        self._offered: dict[str, tuple[Offer, float]] = {}  # by title: its place in the last list, and when
        self.syncer: Syncer | None = None
        """What syncs it with a shard, where its process does that."""
        self._key = self._household_key()
        self._read()

    def observe(self, event: ViewingEvent) -> Observed:
        """Learn from an event and return what it became, once it is written: safe from a power cut.

        The same event told again adds nothing; told with another share, the later one holds. While the TV is paused or
        has a guest, nothing is stored. Raises InputError for values out of range and for a title that is unknown and
        has no name; nothing is stored then.
        """
        self._follow()
        clock = self._now()
        now = trusted(clock, self._household.newest_at_s, self._clock_from)
        event = check_event(event, now=now, ahead=now is clock)
        title, local = title_of(event, self._catalog, self._household.local)
        profile = self._profile_id(event.profile)
        watch = watch_of(event, title, now, profile, *self._before(event, title, profile))
        if self._mode is not Mode.LEARNING:
            return _observed(watch, title, 0, 0, Outcome.IGNORED, local=local)
        recorded = self._store.record(
            watch,
            title,
            self._vector(title),
            local=local,
            day=None if local else day_of(watch, now),
            taste=b"" if local else self._household.taste_code(midnight(now)),
        )
        if recorded.outcome is Outcome.ADDED:
            self._household.add(watch, title, local=local)
        elif recorded.outcome is Outcome.CORRECTED:
            self._read()
        pattern = recorded.pattern
        return _observed(watch, title, pattern.sample_count, pattern.success_milli, recorded.outcome, local=local)

    @contextmanager
    def many(self) -> Iterator[None]:
        """Let all that is observed in the block be written together at its end: one wait for the disk instead of many.

        When the block fails, none of it is kept.
        """
        try:
            with self._store.many():
                yield
        except BaseException:
            self._read()
            raise

    def recommend(self, context: ViewContext | None = None, k: int = LIST_LENGTH) -> list[Recommendation]:
        """Return up to `k` titles for the context (by default: now), best first, each with its reasons.

        Raises InputError when the context is out of range or `k` is less than 1.
        """
        if not 1 <= k <= MOST_TITLES:
            raise InputError(f"k is {k}, allowed: 1..{MOST_TITLES:,}")
        asked, now_s = self.ask(context), self._now().timestamp()
        seed = exploring.seed_of(self._key, day_number(asked.now))
        weights = self._weights(asked.now.date())
        places = ranking.places(asked.scores, self._titles.centered, asked.allowed, k, weights, seed=seed)
        titles = [explained(asked, place, self._household) for place in places]
        if self._mode is not Mode.GUEST:  # the household chose nothing from a guest's list
            self._offered = {
                title.content_id: (Offer(place, title.propensity), now_s) for place, title in enumerate(titles, 1)
            }
        return titles

    def ask(self, context: ViewContext | None = None) -> Asked:
        """Return what `recommend` chooses from: every title's terms in the context. Raises InputError."""
        self._follow()
        now = self._now()
        weights = self._weights(now.date())
        return self._asking.ask(context or ViewContext(), now, weights, as_guest=self._mode is Mode.GUEST)

    def why(self, content_id: str, context: ViewContext | None = None) -> Explanation:
        """Explain one title of the catalog in the context (by default: now), recommended or not. Raises InputError."""
        row = self._catalog.ordinals.get(content_id)
        if row is None:
            raise InputError(f"content_id is {shown(content_id)}, allowed: {self._catalog.hint(content_id)}")
        asked = self.ask(context)
        total, allowed = asked.scores.total, asked.allowed
        return Explanation(
            recommendation=explained(asked, Place(row, 0.0, quiet=False), self._household),
            rank=int((total[allowed] > total[row]).sum()) + 1 if allowed[row] else None,
            excluded=asked.excluded(row, self._catalog.titles[row].age),
            watched=() if self._mode is Mode.GUEST else self._watched(content_id),
        )

    @property
    def space(self) -> str:
        """The space that is worked in."""
        return self._embedder.space

    @property
    def catalog(self) -> Catalog:
        """What it recommends from."""
        return self._catalog

    @property
    def mode(self) -> Mode:
        """Whether the TV learns; kept in the store."""
        self._follow()
        return self._mode

    def set_mode(self, mode: Mode) -> None:
        """Pause learning, let a guest watch, or learn again; holds until it is changed, restarts included."""
        self._store.set_note(_MODE, mode.encode())
        self._mode = mode

    def profiles(self) -> tuple[Profile, ...]:
        """Return the named profiles, in order of their making."""
        return tuple(self._store.profiles())

    def set_profile(self, name: str, age: int | None = None) -> Profile:
        """Make a profile, or change its age limit, and return it. Raises InputError."""
        check_profile(name, age)
        profile = self._store.set_profile(name, age)
        self._household.profiles[name] = profile
        return profile

    def forget(self, selection: Selection, profile: str | None = None) -> Forgotten:
        """Delete what is selected, by name a profile's, and all that followed from it; no byte is left in the files.

        What was shared of it will be taken back. Raises InputError for an unknown profile or title and for a period
        without time, StoreError when another process holds the file open: bytes stay until `compact` then.
        """
        if selection.since is not None and selection.until is not None and selection.since >= selection.until:
            raise InputError(f"until is {selection.until}, allowed: after since, {selection.since}: swap them")
        self._follow()
        if profile is not None:
            selection = msgspec.structs.replace(selection, profile=self._profile_id(profile))
        if (title := selection.content_id) is not None and title not in (known := self._store.titles()):
            raise InputError(f"title is {shown(title)}, allowed: one of the {len(known)} titles that were watched")
        try:
            return self._store.forget(selection)
        finally:
            self._offered = {}
            self._read()

    def export(self) -> Document:
        """Return everything that is held, to be written as JSON and given to `restore` on another TV."""
        self._follow()
        return Document(
            format=backup.FORMAT,
            omega=omega.__version__,
            exported_at=self._now().isoformat(timespec="seconds"),
            catalog_lineage=self._catalog.lineage,
            mode=self._mode,
            profiles=self.profiles(),
            titles=tuple(self._household.local.values()),
            events=tuple(self._store.events()),
            patterns=tuple(self._store.patterns()),
            skills=tuple(self._store.skills()[1]),
            ledger=self._store.ledger.counts(),
        )

    def restore(self, document: Document) -> Restored:
        """Take in what another TV exported, all or none of it; told twice it adds nothing, and nothing is shared."""
        self._follow()
        try:
            return backup.restore(self._store, self._household, document)
        finally:
            self._read()

    def privacy(self) -> Privacy:
        """Return what is held and what would be shared, in plain words."""
        self._follow()
        return privacy(
            events=self._store.event_count(),
            titles=len(self._household.everyone.last),
            local=len(self._household.local),
            profiles=tuple(self._household.profiles),
            ledger=self._store.ledger.counts(),
        )

    def memories(self, profile: str | None = None) -> Memories:
        """Return the memories in words and figures, of one profile or of everybody. Raises InputError."""
        self._follow()
        now_s, asker = self._now().timestamp(), None if profile is None else self._household.profile(profile).id
        skills = self._household.skills.skills(asker, now_s)
        return Memories(
            habits=tuple(memory_words.habits(skills)),
            skills=tuple(skills),
            episodes=tuple(self._store.events(RECENT_EPISODES, profile=asker)),
            episode_count=self._store.event_count(),
            pattern_count=self._store.pattern_count(),
        )

    def session(self, shard: str, size_of: Callable[[Push], int], random: Random, *, settles: bool = False) -> Session:
        """Return this TV's side of a sync with a shard; see `Session`."""
        self._tell_trials()
        return Session(
            self._store,
            self._catalog,
            shard,
            space=self.space,
            size_of=size_of,
            now_s=lambda: self._now().timestamp(),
            random=random,
            settles=settles,
        )

    def debts(self, shard: str) -> list[str]:
        """Return the other shards that have to be told something still, or could forget it with a backup put back."""
        return [held.shard for held in self._store.ledger.shards() if held.owes and held.shard != shard]

    def published(self, shard: str) -> tuple[Artifact, ...]:
        """Return the files that the newest pull of a shard named as current."""
        held = trends.read(self._store)
        return held.artifacts if held.shard == shard else ()

    def listen(self) -> None:
        """Take over what the others enjoy, as a session has just stored it."""
        self._household.hear(*self._told(self._titles))

    def adopt(self, found: Basis | Factors | Neighbors | Account | RankingWeights | Experiments) -> None:
        """Go by these weights, factors and experiments, name these neighbors, tell this account, or use this map.

        A map counts as soon as a pull names it; neighbors of another catalog say nothing here and are left out.
        """
        if isinstance(found, RankingWeights):
            self.weights = self.weights.fitted(found)
            return
        if isinstance(found, Account):
            self._account = found if found.releases else None
            return
        if isinstance(found, Experiments):
            self._experiments = found
            if not self._store.is_read_only:
                trials.begin(self._store, found, self._now().date())
            return
        if isinstance(found, Factors):
            self._factors = Rows.of(found)
        elif isinstance(found, Neighbors):
            self._neighbors = found if found.lineage == self._catalog.lineage else None
        else:
            self._basis = found
        self.listen()

    def sync(self, *, begin: bool = True) -> Report:
        """Begin a sync now, unless `begin` is False, and return the report of the one that ended last.

        The next one's has a greater number. Raises InputError where nothing syncs this brain.
        """
        if self.syncer is None:
            raise InputError(
                "nothing syncs this brain, allowed: a daemon with shard_url set: start one, or enrol first"
            )
        if begin:
            self.syncer.ask()
        return self.syncer.report

    def tend(self, budget_ms: float = TEND_MS) -> Progress:
        """Do idle work for about so long, and say how far the consolidation of episodes into skills has got.

        The model is judged too, a move to another embedder goes on, and what is beyond its limit is pruned.
        """
        self._follow()
        self._move(budget_ms)
        progress = self._household.skills.consolidate(budget_ms, time.perf_counter, self._now().timestamp())
        too_many = (
            self._store.event_count() > PRUNE_ABOVE * MAX_EVENTS
            or self._store.pattern_count() > PRUNE_ABOVE * MAX_PATTERNS
        )
        if too_many and not progress.remaining:
            self._store.prune(MAX_EVENTS, MAX_PATTERNS)
        return progress

    def consolidate(
        self, budget_ms: float | None = None, progress: Callable[[int, int], None] = lambda done, total: None
    ) -> Progress:
        """Do all idle work, or what fits the budget, then `compact`; `progress` gets episodes done and in all."""
        end_s = None if budget_ms is None else time.perf_counter() + budget_ms / 1000
        done = 0
        while True:
            step = self.tend(TEND_MS if end_s is None else min(TEND_MS, budget_ms or TEND_MS))
            done += step.episodes
            progress(done, done + step.remaining)
            if not step.remaining or (end_s is not None and time.perf_counter() >= end_s):
                break
        self.compact()
        return Progress(done, step.remaining)

    def compact(self) -> None:
        """Rebuild the file, so that it takes what its content needs. Raises StoreError while another process reads."""
        self._store.compact()

    def adopting(self, catalog: Catalog, cache: Path | None) -> Iterator[tuple[int, int]]:
        """Embed what a later epoch of the catalog added, then go on with it; gives (texts done, in all) step by step.

        `cache` is the folder of catalog vectors, where the epoch before is found. The brain may be used between steps.
        Raises InputError for another lineage or an earlier epoch.
        """
        self._check_later(catalog)
        titles = yield from following(lambda: self._embedder, catalog, cache)
        self.adopt_catalog(catalog, titles)

    def adopt_catalog(self, catalog: Catalog, titles: TitleArrays) -> None:
        """Go on with a later epoch of the catalog; all that was learned stays.

        `titles` are its arrays in the embedder's space. Raises InputError for another lineage or an earlier epoch.
        """
        self._check_later(catalog)
        before = self._catalog, self._titles
        self._catalog, self._titles = catalog, titles
        try:
            self._read()
        except BaseException:
            self._catalog, self._titles = before
            raise
        if self._mover:
            self._mover.adopt_catalog(catalog)

    def counts(self) -> tuple[int, int]:
        """Return how many events and patterns the store holds."""
        return self._store.event_count(), self._store.pattern_count()

    def draw_by(self, household: bytes) -> None:
        """Let chance go by these up to 64 bytes in place of its own, for a household that is played again."""
        self._store.set_note(_HOUSEHOLD, household)
        self._key = household

    def status(self) -> Status:
        """Return the brain in figures, and what it learned in words."""
        self._follow()
        skills = self._household.skills.skills(None, self._now().timestamp())
        return Status(
            events=self._store.event_count(),
            patterns=self._store.pattern_count(),
            skills=len(skills),
            local_titles=len(self._household.local),
            catalog_titles=len(self._catalog),
            catalog_lineage=self._catalog.lineage,
            catalog_epoch=self._catalog.epoch,
            embedder=self._embedder.NAME,
            space=self._embedder.space,
            fallback=self._mover.fallback.state if self._mover else None,
            mode=self._mode,
            profiles=tuple(self._household.profiles),
            shared=self._store.ledger.counts(),
            store_bytes=self._store.size_bytes(),
            read_only=self._store.is_read_only,
            rescued_at=rescued.decode() if (rescued := self._store.note("rescued_at")) else None,
            habits=tuple(memory_words.habits(skills)[:MOST_HABITS]),
            privacy=self._account,
            experiments={one.id: arm.name for one, arm in self._arms(self._now().date())},
        )

    def close(self) -> None:
        """Close the store and the embedder."""
        if self._mover:
            self._mover.close()
        self._store.close()
        self._embedder.close()

    def _check_later(self, catalog: Catalog) -> None:
        if catalog.lineage != self._catalog.lineage or catalog.epoch < self._catalog.epoch:
            raise InputError(
                f"catalog is epoch {catalog.epoch} of {catalog.lineage}, allowed: epoch {self._catalog.epoch} or later "
                f"of {self._catalog.lineage}: open another brain for another catalog"
            )

    def _read(self) -> None:
        """Read everything that is held in memory from the store."""
        zone = self._now().tzinfo
        told = self._told(self._titles)
        self._household = Household(self._store, self._embedder, self._catalog, self._titles, *told, zone)
        self._asking = Asking(self._store, self._household, self._embed)
        self._mode = Mode((self._store.note(_MODE) or Mode.LEARNING.encode()).decode())

    def _told(self, titles: TitleArrays) -> tuple[Others, Basis | None, Rows | None]:
        """Return what is known of the others."""
        others = self._hear(titles.popularity, trends.read(self._store), self._basis, self._neighbors)
        return others, self._basis, self._factors

    def _follow(self) -> None:
        """Read the store again if another process wrote."""
        if self._store.version() != self._household.version:
            self._read()

    def _arms(self, day: date) -> tuple[tuple[Experiment, Arm], ...]:
        return self._experiments.arms(self._key, day)

    def _weights(self, day: date) -> Weights:
        """Return how much each part counts on a day: as always, but for what is being tried on this household."""
        weights = self.weights
        for _, arm in self._arms(day):
            weights = weights.tried(arm)
        return weights

    def _watched(self, content_id: str) -> tuple[WatchRecord, ...]:
        return tuple(sorted(self._store.events(content_id=content_id), key=lambda event: event.at))

    def _profile_id(self, name: str | None) -> int:
        return NOBODY if name is None else self._household.profile(name).id

    def _embed(self, text: str) -> Floats | None:
        """Return (384,) of a text, or None when the model broke and `tend` is to replace it."""
        if self._mover:
            return self._mover.embed(self._embedder, text, self._now().timestamp())
        row: Floats = self._embedder.embed([text])[0]
        return row

    def _vector(self, title: Title) -> Floats:
        """Return the vector (384,) of a title; one that the catalog has not is embedded, whatever that takes."""
        if title.id not in self._catalog.ordinals:
            if (row := self._embed(title.text)) is not None:
                return row
            self._move(float("inf"))
        return self._household.vector(title)

    def _move(self, budget_ms: float) -> None:
        """Go on towards another embedder, if one is better; everything is taken over at once at the end."""
        if self._mover is None:
            return
        local, now = self._household.local.values(), self._now()
        if found := self._mover.tend(self._embedder, local, now.timestamp(), budget_ms):
            embedder, titles, told = found.embedder, found.titles, self._told(found.titles)
            household = Household(self._store, embedder, self._catalog, titles, *told, now.tzinfo, found.local)
            self._embedder.close()
            self._embedder, self._household, self._titles = embedder, household, titles
            self._asking = Asking(self._store, household, self._embed)

    def _household_key(self) -> bytes:
        """Return what makes this household's chances its own: drawn once, never told, the same after a restart.

        Where it can't be kept, it holds as long as the process.
        """
        if (kept := self._store.note(_HOUSEHOLD)) is not None:
            return kept
        key = secrets.token_hex(_HOUSEHOLD_BYTES).encode()
        if not self._store.is_read_only:
            with suppress(StoreError):
                self._store.set_note(_HOUSEHOLD, key)
        return key

    def _tell_trials(self) -> None:
        """Once a day, let what the days before came to in experiments wait to be shared."""
        now = self._now()
        if self._tried_until == now.date() or self._mode is not Mode.LEARNING or self._store.is_read_only:
            return
        if self._experiments.experiments:
            trials.tell(self._store, self._experiments, self._key, now, self._minutes)
        self._tried_until = now.date()

    def _minutes(self, content_id: str) -> int:
        """Return how long a title takes, 0 where nobody knows."""
        return self._household.title(content_id).minutes

    def _before(self, event: ViewingEvent, title: Title, profile: int) -> tuple[Watched | None, Offer | None]:
        """Return what the profile did with the title before a checked event, and the event's place in a list.

        An event that is told again is seen as it was the first time, so that telling it twice changes nothing.
        """
        known = self._household.member(profile).last.get(title.id)
        at_s = int(event.at.timestamp()) if event.at else 0
        if known is None or at_s > known.at:
            return known, self._place(title)
        before: Watched | None = None
        for told in self._store.events(content_id=title.id, profile=profile):
            if (told.at, told.season, told.episode) == (at_s, event.season, event.episode):
                return before, None if told.offered is None else Offer(told.offered, told.propensity)
            before = before.after(told) if before else Watched.first(told)
        return known, self._place(title)

    def _place(self, title: Title) -> Offer | None:
        """Return the title's place in the last list, if that was lately."""
        offer, at_s = self._offered.get(title.id, (None, 0.0))
        return offer if 0 <= self._now().timestamp() - at_s <= _OFFER_HOLDS_S else None


def _observed(
    watch: WatchRecord, title: Title, sample_count: int, success_milli: int, outcome: Outcome, *, local: bool
) -> Observed:
    return Observed(
        content_id=title.id,
        title=title.title,
        pattern_id=pattern_id(title.id, watch.slot, watch.profile),
        sample_count=sample_count,
        success_rate=success_rate(sample_count, success_milli),
        local=local,
        outcome=outcome,
    )
