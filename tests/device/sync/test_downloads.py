"""A TV and what its shard names, over a transport without a network: taken, refused, cut, and taken up again."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from itertools import count
from random import Random
from typing import TYPE_CHECKING

import msgspec
import pytest

from omega.core.artifacts.accepted import Accepted
from omega.core.artifacts.catalogs import accepted_catalog
from omega.core.artifacts.keys import Keyring, SigningKey
from omega.core.artifacts.manifest import LIMIT_BYTES, Kind, Manifest, Patch, digest, seal
from omega.core.artifacts.naming import to_wire
from omega.core.artifacts.shelf import Shelf
from omega.core.audience import Basis
from omega.core.catalog import Catalog
from omega.core.errors import ArtifactError, CatalogError, InputError, ModelError, OmegaError, TransportError
from omega.core.experiments import Arm, Experiment, Experiments, encode_experiments
from omega.core.privacy import Account, withdrawn
from omega.core.ranking_weights import RankingWeights, encode_weights
from omega.core.shard_records import TASTE_SPACE
from omega.core.testing.fakes import FakeEmbedder
from omega.core.testing.transport_contract import ScriptedApp
from omega.core.types import ContentType, Title
from omega.core.wire import Artifact, Pull, space_code
from omega.device.sync.downloads import CHUNK_BYTES, Bounds, Downloads, taken
from omega.device.sync.runtime import Exchanger, Syncer
from omega_plugins.transports.loopback import LoopbackTransport, serving
from tests.device.sync.shards import Shard
from tests.device.sync.wires import Direct, Wire, Wires

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from omega.core.ports import Fetched, Floats, TransportClient
    from omega.device.brain import Brain
    from tests.device.conftest import OpenBrain

KEY = SigningKey.generate()


def titled(number: int, words: str = "") -> Title:
    name = f"Brand New {number} {words}".strip()
    return Title(f"new-{number}", name, 2026, ContentType.MOVIE, ("drama", "crime"), 100, 12, 1.0)


class Tv:
    """A brain, what it has accepted, and a shard's files."""

    def __init__(self, brain: Brain, home: Path, client: TransportClient, app: ScriptedApp) -> None:
        self.brain, self.home, self.client, self.app = brain, home, client, app
        self.shelf = Shelf(home / "shelf")
        self.base = brain.catalog
        self._versions = count(7)
        self.asked: list[tuple[str, int]] = []
        self.trouble: OmegaError | None = None
        self.restart()

    def restart(self, bounds: Bounds | None = None, shipped: Path | None = None) -> None:
        self.accepted = Accepted(self.home / "accepted", Keyring([KEY.public]), shipped=shipped)
        self.downloads = Downloads(self.brain, self.accepted, None, bounds)

    async def get(self, path: str, *, max_bytes: int, part: range | None = None) -> Fetched:
        if self.trouble:
            raise self.trouble
        assert part
        self.asked.append((path, part.start))
        return await self.client.get(path, max_bytes=max_bytes, part=part)

    def publish(self, catalog: Catalog) -> Manifest:
        made = self.shelf.publish(catalog.encode(), Kind.CATALOG, KEY, made_at=0)
        self.give_out()
        return made

    def forge(self, data: bytes, key: SigningKey = KEY, **fields: object) -> Artifact:
        """Let the shard name what a sound shelf would never hold."""
        honest = Manifest(
            kind=Kind.CATALOG,
            name=self.base.lineage,
            version=next(self._versions),
            sha256=digest(data),
            size_bytes=len(data),
            made_at=0,
            patches=(),
            key=key.id,
        )
        made = msgspec.structs.replace(honest, **fields)
        self.shelf.folder.mkdir(exist_ok=True)
        (self.shelf.folder / made.file).write_bytes(seal(made, key))
        (self.shelf.folder / made.sha256).write_bytes(data)
        self.give_out()
        return to_wire(made.named)

    def give_out(self) -> None:
        self.app.files = {file.name: file for file in self.shelf.folder.iterdir()}

    def fetch(self, *artifacts: Artifact) -> None:
        async def fetched() -> None:
            await self.downloads.fetch(artifacts, self)
            await self.downloads.adopt()

        asyncio.run(fetched())

    @property
    def epoch(self) -> int:
        return self.brain.status().catalog_epoch


BASIS = Basis(
    version=1,
    space=space_code(TASTE_SPACE),
    mean=(0.0,) * 44,
    projection=((0.25,) * 44,) * 12,
    scale=(0.5,) * 12,
    genre_shares={"war": 0.25},
    age_shares=(0.5, 0.5, 0, 0, 0, 0),
)


@pytest.fixture
def tv(open_brain: OpenBrain, tmp_path: Path) -> Iterator[Tv]:
    app = ScriptedApp()
    with ExitStack() as opened:
        wire = opened.enter_context(serving(app))
        yield Tv(open_brain(), tmp_path, LoopbackTransport.connect(wire.url, token=str), app)


@pytest.fixture
def newer(example: Catalog) -> Catalog:
    return Catalog.build((*example.titles, titled(1)), example)


@pytest.fixture
def large(example: Catalog) -> Catalog:
    """Three chunks and more, however it is packed."""
    return Catalog.build((*example.titles, *(titled(n, Random(n).randbytes(80).hex()) for n in range(3_000))), example)


def test_weights_and_the_map_of_audiences_are_used_at_once_and_after_a_restart(tv: Tv) -> None:
    weights = RankingWeights.of(range(1, 11))
    files = {Kind.WEIGHTS: encode_weights(weights), Kind.AUDIENCE: BASIS.encode()}
    made = [tv.shelf.publish(data, kind, KEY, made_at=0) for kind, data in files.items()]
    tv.give_out()
    habit = tv.brain.weights.habit
    tv.fetch(*(to_wire(one.named) for one in made))
    assert (tv.brain.weights.trend, tv.brain.weights.audience_settled, tv.brain.weights.habit) == (1, 10, habit)
    assert tv.brain._basis == BASIS
    tv.restart()
    assert taken(tv.accepted) == [BASIS, weights]
    (tv.accepted.folder / made[1].sha256).write_bytes(b"damaged")
    tv.restart()
    assert taken(tv.accepted) == [weights]


def test_what_others_figures_cost_is_told_after_a_restart_too_until_it_is_taken_back(tv: Tv) -> None:
    account = Account(releases=3, released_at=9, epsilon_spent=0.5, epsilon_a_year=4.0, delta=1e-6, floor=171)
    made = tv.shelf.publish(account.encode(), Kind.PRIVACY, KEY, made_at=0)
    tv.give_out()
    assert tv.brain.status().privacy is None
    tv.fetch(to_wire(made.named))
    assert tv.brain.status().privacy == account
    tv.restart()
    assert taken(tv.accepted) == [account]
    made = tv.shelf.publish(withdrawn().encode(), Kind.PRIVACY, KEY, made_at=0)
    tv.give_out()
    tv.fetch(to_wire(made.named))
    assert tv.brain.status().privacy is None


def test_experiments_are_begun_at_once_go_on_after_a_restart_and_end_with_the_next_version(tv: Tv) -> None:
    day = tv.brain._now().date()
    arms = Arm(name="as-ever", share=0.5), Arm(name="wide", share=0.5, settings={"breadth": 0.5})
    running = Experiments((Experiment(id="wider", first_day=day, last_day=day, arms=arms),))
    made = tv.shelf.publish(encode_experiments(running), Kind.EXPERIMENTS, KEY, made_at=0)
    tv.give_out()
    tv.fetch(to_wire(made.named))
    assert list(tv.brain.status().experiments) == ["wider"]
    tv.restart()
    assert taken(tv.accepted) == [running]
    ended = tv.shelf.publish(encode_experiments(Experiments()), Kind.EXPERIMENTS, KEY, made_at=0)
    tv.give_out()
    tv.fetch(to_wire(ended.named))
    assert tv.brain.status().experiments == {}
    tv.fetch(to_wire(made.named))
    assert tv.brain.status().experiments == {}, "an older version is not taken again"


@pytest.mark.parametrize("kind", [Kind.WEIGHTS, Kind.AUDIENCE, Kind.EXPERIMENTS])
def test_weights_and_maps_that_make_no_sense_change_nothing(tv: Tv, kind: Kind) -> None:
    before = tv.brain.weights
    with pytest.raises(OmegaError):
        tv.fetch(tv.forge(b'{"format": 1}', kind=kind, name=kind.value))
    assert (tv.brain.weights, tv.brain._basis, taken(tv.accepted)) == (before, None, [])


def test_a_later_epoch_is_taken_used_and_found_again(tv: Tv, newer: Catalog) -> None:
    made = tv.publish(newer)
    tv.fetch(to_wire(made.named))
    assert tv.epoch == 2
    assert "new-1" in {title.content_id for title in tv.brain.recommend(k=900)}
    assert tv.downloads.fetched_bytes < made.size_bytes / 2, "it came compressed"
    asked = len(tv.asked)
    tv.fetch(to_wire(made.named))
    tv.restart()
    tv.fetch(to_wire(made.named))
    assert len(tv.asked) == asked, "what is held isn't asked for"
    assert accepted_catalog(tv.base, tv.accepted).epoch == 2


def test_what_shipped_is_the_base_of_a_patch(tv: Tv, newer: Catalog) -> None:
    shipped = tv.home / "catalog.jsonl"
    shipped.write_bytes(tv.base.encode())
    tv.restart(shipped=shipped)
    first = tv.publish(tv.base)
    tv.fetch(to_wire(first.named))
    assert (tv.asked, tv.epoch) == ([], 1)
    tv.fetch(to_wire(tv.publish(newer).named), to_wire(first.named))
    assert tv.epoch == 2
    assert tv.downloads.fetched_bytes < 1_500


def test_what_it_cannot_use_is_not_asked_for(tv: Tv) -> None:
    made = tv.shelf.publish(b"a model", Kind.MODEL, KEY, made_at=0)
    tv.give_out()
    tv.fetch(to_wire(made.named), Artifact(99, 1, bytes(16), 10))
    assert tv.asked == []


def refusals(tv: Tv, newer: Catalog) -> dict[str, tuple[Artifact, str]]:
    """What a shard may name that must not be taken, and what is said of it."""
    data = newer.encode()
    other = Catalog.build([titled(number) for number in range(9)])
    fork = Catalog.build((*tv.base.titles[:700], titled(3)), Catalog.build(tv.base.titles[:700])).encode()
    limit = LIMIT_BYTES[Kind.CATALOG]
    bomb = Patch("", digest(data), len(data))
    found = {
        "unsigned": (tv.forge(data, SigningKey.generate()), "signed by key"),
        "another lineage": (tv.forge(other.encode(), name=other.lineage), f"allowed: {tv.base.lineage}"),
        "another lineage by a false name": (tv.forge(other.encode() + b"\n"), "catalog has lineage"),
        "another past": (tv.forge(fork), "catalog has lineage"),
        "garbage": (tv.forge(b"?" * 500), "is no catalog file"),
        "the same epoch": (tv.forge(tv.base.encode() + b"\n"), "allowed: 2 and more"),
        "changed": (tv.forge(data + b"\n\n\n", sha256="cd" * 32), "can't be fetched"),
        "truncated": (tv.forge(data[:-9], sha256=digest(data + b"\n"), size_bytes=len(data) + 1), "ends at"),
        "no patch at all": (tv.forge(data + b"\n\n", patches=(bomb,), sha256="ef" * 32), "can't be fetched"),
    }
    gone = tv.forge(b"gone")
    (tv.shelf.folder / digest(b"gone")).unlink()
    found["gone"] = gone, "the server has no such file"
    found["oversize"] = Artifact(1, 8, bytes(16), limit + 1), ""
    found["nowhere"] = Artifact(1, 8, bytes(16), 99), "the server has no such file"
    tv.give_out()
    return found


def test_what_is_not_signed_newer_whole_and_ours_is_refused_and_the_tv_goes_on(tv: Tv, newer: Catalog) -> None:
    before = [title.content_id for title in tv.brain.recommend()]
    for what, (artifact, said) in refusals(tv, newer).items():
        tv.restart()
        if said:
            with pytest.raises((ArtifactError, CatalogError)) as caught:
                tv.fetch(artifact)
            assert said in str(caught.value), what
        else:
            tv.fetch(artifact)
        assert tv.epoch == 1, what
        assert accepted_catalog(tv.base, tv.accepted) is tv.base
    assert [title.content_id for title in tv.brain.recommend()] == before
    tv.fetch(tv.forge(newer.encode()))
    assert tv.epoch == 2, "a good one is taken after all of them"


def test_an_older_version_is_never_taken_again(tv: Tv, newer: Catalog) -> None:
    made = tv.publish(newer)
    tv.fetch(to_wire(made.named))
    third = Catalog.build((*newer.titles, titled(2)), newer).encode()
    tv.restart()
    replayed = tv.forge(third, version=1)
    with pytest.raises(ArtifactError, match="allowed: 2 and more: older ones are never taken again"):
        tv.fetch(replayed)
    asked = len(tv.asked)
    tv.fetch(replayed)
    assert (len(tv.asked), tv.epoch) == (asked, 2)


def test_one_bad_file_is_in_nobodys_way(tv: Tv, newer: Catalog) -> None:
    bad = tv.forge(b"bad", version=9)
    good = tv.forge(newer.encode(), version=10)
    with pytest.raises(CatalogError):
        tv.fetch(bad)
    tv.restart()
    unsigned = tv.forge(b"unsigned", SigningKey.generate(), version=11)
    with pytest.raises(ArtifactError):
        tv.fetch(unsigned, good, bad)
    asyncio.run(tv.downloads.adopt())
    assert tv.epoch == 2


def test_a_fetch_goes_on_at_the_byte_where_it_stopped(tv: Tv, large: Catalog) -> None:
    made = tv.publish(large)
    [patch] = made.patches
    assert patch.size_bytes > 3 * CHUNK_BYTES
    for _ in range(2):
        tv.restart(Bounds(fetch_bytes=1))
        tv.fetch(to_wire(made.named))
        tv.fetch(to_wire(made.named))
        assert tv.epoch == 1
    tv.restart()
    tv.trouble = TransportError("no way there")
    with pytest.raises(TransportError):
        tv.fetch(to_wire(made.named))
    tv.trouble = None
    tv.fetch(to_wire(made.named))
    assert tv.epoch == 2
    starts = [start for path, start in tv.asked if path.endswith(patch.sha256)]
    assert starts == list(range(0, patch.size_bytes, CHUNK_BYTES)), "each byte came once"


def test_time_is_bounded_too(tv: Tv, newer: Catalog) -> None:
    tv.restart(Bounds(fetch_s=0))
    tv.fetch(to_wire(tv.publish(newer).named))
    assert (tv.asked, tv.epoch) == ([], 1)


class Stubborn(FakeEmbedder):
    """Fails as often as it is told to."""

    failures = 0

    def embed(self, texts: Sequence[str]) -> Floats:
        if self.failures:
            self.failures -= 1
            raise ModelError("the model is broken")
        return super().embed(texts)


def test_new_titles_are_embedded_in_steps_and_what_failed_is_tried_again(
    open_brain: OpenBrain, tv: Tv, example: Catalog
) -> None:
    embedder = Stubborn()
    tv.brain = open_brain(embedder=embedder)
    tv.restart()
    made = tv.publish(Catalog.build((*example.titles, *(titled(n) for n in range(40))), example))

    async def live() -> None:
        await tv.downloads.fetch([to_wire(made.named)], tv)
        embedder.failures = 1
        with pytest.raises(ModelError):
            await tv.downloads.adopt()
        assert len(tv.brain.recommend()) == 20
        await tv.downloads.adopt(0)
        assert tv.epoch == 1, "there is no time for more than a step"
        adopting, answers = asyncio.create_task(tv.downloads.adopt()), 0
        while not adopting.done():
            answers += len(tv.brain.recommend()) == 20
            await asyncio.sleep(0)
        await adopting
        assert answers > 5
        assert tv.epoch == 2
        await tv.downloads.adopt()

    asyncio.run(live())


class Served(Wire):
    """A shard in dicts that gives out a TV's files."""

    tv: Tv

    async def get(self, path: str, *, max_bytes: int, part: range | None = None) -> Fetched:
        return await self.tv.get(path, max_bytes=max_bytes, part=part)


def a_syncer(tv: Tv, shard: Shard) -> Syncer:
    wires = Wires({"shard-a": shard})

    def connect(name: str) -> Exchanger:
        served = Served(wires, name)
        served.tv = tv
        return served

    return Syncer(tv.brain, Direct("shard-a", connect), random=Random(1), downloads=tv.downloads)


def test_a_sync_fetches_and_never_fails_for_it(tv: Tv, newer: Catalog, caplog: pytest.LogCaptureFixture) -> None:
    shard = Shard(newer, space="fake-words-1")
    made = tv.publish(newer)
    shard.pull = Pull(header=shard.header, pull_id=3, artifacts=(to_wire(made.named),))
    for trouble in (TransportError("no way there"), InputError("the disk is full")):
        tv.trouble = trouble
        report = asyncio.run(a_syncer(tv, shard).sync())
        assert (report.error, report.fetch_error, report.fetched_bytes) == (None, str(trouble), 0)
        assert f"what the shard publishes has to wait: {trouble}" in caplog.text
    assert tv.brain.published("shard-b") == ()
    tv.trouble = None
    report = asyncio.run(a_syncer(tv, shard).sync())
    assert report.artifacts == (), "the shard named it once, and the TV remembers"
    assert (report.error, report.fetch_error, report.catalog_epoch, tv.epoch) == (None, None, 2, 2)
    assert report.fetched_bytes == tv.downloads.fetched_bytes > 600
    assert asyncio.run(a_syncer(tv, shard).sync()).fetched_bytes == 0


def test_a_model_that_breaks_is_told_by_the_sync(open_brain: OpenBrain, tv: Tv, newer: Catalog) -> None:
    embedder = Stubborn()
    tv.brain = open_brain(embedder=embedder)
    tv.restart()
    shard = Shard(newer, space="fake-words-1")
    shard.pull = Pull(header=shard.header, pull_id=3, artifacts=(to_wire(tv.publish(newer).named),))
    embedder.failures = 1
    syncer = a_syncer(tv, shard)
    report = asyncio.run(syncer.sync())
    assert (report.error, report.fetch_error, tv.epoch) == (None, "the model is broken", 1)
    assert asyncio.run(syncer.sync()).fetch_error is None
    assert tv.epoch == 2
