"""Putting the rooms together: from settings to an open brain, and what is said when a part is missing."""

from __future__ import annotations

import subprocess
import sys
from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest

from omega import compose, models
from omega.core.artifacts.keys import SigningKey
from omega.core.artifacts.manifest import Kind
from omega.core.artifacts.shelf import Shelf
from omega.core.catalog import Catalog
from omega.core.errors import (
    ArtifactError,
    CatalogError,
    InputError,
    MissingExtraError,
    ModelError,
    PluginError,
    SettingsError,
)
from omega.core.settings import resolve
from omega.core.testing.fakes import Clock
from omega.core.types import ViewContext, ViewingEvent
from omega.demo import run_demo
from omega.fleet.households import PERSONAS
from omega_plugins.embedders import MODELS
from tests.device.sync.shards import Shard
from tests.device.sync.wires import Direct, Wires

if TYPE_CHECKING:
    from pathlib import Path

    from omega.core.settings import Settings
    from omega.fleet.report import Step


@pytest.fixture
def settings(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> Settings:
    """A home that all tests share, so that the catalog is embedded once; a TV of its own."""
    home = tmp_path_factory.getbasetemp() / "home-of-compose"
    return resolve({"home": home, "store": tmp_path / "tv", "embedder": "static"}, {}).settings


def test_the_example_opens_with_nothing_but_settings(settings: Settings) -> None:
    with closing(compose.open_brain(settings)) as brain:
        before = brain.recommend()
        assert len(before) == 20
        brain.observe(ViewingEvent(content_id=before[0].content_id, watch_pct=0.95))
    with closing(compose.open_brain(settings, in_memory=False)) as brain:
        assert brain.counts() == (1, 1)
        assert before[0].content_id not in [found.content_id for found in brain.recommend()]
        assert brain.status().embedder == "static"
    assert (settings.store / compose.STORE_FILE).exists()
    assert list((settings.cache / "titles").glob("*.npy"))


def test_the_model_that_ships_is_the_default(settings: Settings, tmp_path: Path) -> None:
    catalog = compose.open_catalog(settings)
    assert len(catalog) == 800
    Catalog.build(catalog.titles[:20]).write(tmp_path / "small.jsonl")
    flags = {"home": tmp_path / "home", "catalog": str(tmp_path / "small.jsonl")}
    seen: list[tuple[int, int]] = []
    with closing(
        compose.open_brain(resolve(flags, {}).settings, progress=lambda *done: seen.append(done), now=Clock())
    ) as brain:
        status = brain.status()
        assert (status.catalog_titles, status.embedder) == (20, "onnx")
        assert status.space.startswith("minilm-int4-")
        assert brain.recommend(ViewContext(mood="relaxed"), 3)
        observed = brain.observe(ViewingEvent(content_id=catalog.titles[0].id, watch_pct=1.0))
        assert observed.sample_count == 1
    assert seen[-1][0] == seen[-1][1] > 20


def test_missing_parts_are_named(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match=r"nowhere\.jsonl can't be read"):
        compose.open_brain(resolve({"home": tmp_path, "catalog": str(tmp_path / "nowhere.jsonl")}, {}).settings)
    with pytest.raises(CatalogError, match="no-such-user-here/c can't be read"):
        compose.open_catalog(resolve({"home": tmp_path, "catalog": "~no-such-user-here/c"}, {}).settings)
    with pytest.raises(PluginError, match="embedder is 'telepathy', allowed: onnx, static"):
        compose.open_embedder(resolve({"home": tmp_path, "embedder": "telepathy"}, {}).settings)
    with pytest.raises(ModelError, match=r"has no readable model\.json"):
        compose.open_embedder(resolve({"home": tmp_path, "model": tmp_path}, {}).settings)


def test_built_in_plugins_are_listed() -> None:
    names = {(plugin.kind, plugin.name) for plugin in compose.registry().plugins() if plugin.origin == "built in"}
    assert names == {
        ("embedder", "onnx"),
        ("embedder", "static"),
        ("vector store", "pgvector"),
        ("vector store", "sqlite-vec"),
        ("transport", "grpc"),
        ("transport", "http"),
        ("transport", "loopback"),
        ("transport", "quic"),
        ("strategy", "median"),
        ("strategy", "private"),
        ("strategy", "trimmed-mean"),
        ("strategy", "weighted-mean"),
        ("engine", "dask"),
        ("engine", "process-pool"),
    }


def test_a_shards_url_names_its_transport() -> None:
    assert type(compose.connect("HTTPS://localhost", token=str)).__name__ == "HttpClient"
    with pytest.raises(PluginError, match="allowed: grpc, grpcs, http, https, loopback, quic"):
        compose.connect("localhost:8443", token=str)


@pytest.mark.parametrize(
    ("absent", "call", "extra"),
    [
        ("numpy", "compose.open_brain(resolve({}, {}).settings)", "device"),
        ("apsw", "compose.registry()", "device"),
        ("onnxruntime", "compose.open_embedder(resolve({}, {}).settings)", "device"),
        ("onnx", "models.tool('quantize')", "models"),
        ("psycopg", "compose.registry().vector_store('pgvector').open('postgresql:///', dimensions=3)", "postgres"),
        ("pgvector", "compose.registry().vector_store('pgvector').open('postgresql:///', dimensions=3)", "postgres"),
    ],
)
def test_a_missing_extra_is_named_with_the_command_that_installs_it(absent: str, call: str, extra: str) -> None:
    program = (
        f"import sys; sys.modules[{absent!r}] = None\n"
        "from omega import compose, models\nfrom omega.core.errors import MissingExtraError\n"
        "from omega.core.settings import resolve\n"
        f"try:\n    {call}\nexcept MissingExtraError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(MissingExtraError(absent, extra))


def test_a_module_of_our_own_that_is_missing_is_a_bug_and_stays_one() -> None:
    with pytest.raises(ModuleNotFoundError, match=r"omega_model_tools\.no_such_tool"):
        models.tool("no_such_tool")


def test_models_are_found_by_name_and_by_path(settings: Settings, tmp_path: Path) -> None:
    at_home = resolve({"home": tmp_path}, {}).settings
    mine = at_home.models / "mine"
    mine.mkdir(parents=True)
    assert models.find_model(at_home, "minilm-int4") == MODELS / "minilm-int4"
    assert models.find_model(at_home, "mine") == mine
    assert models.find_model(at_home, tmp_path) == tmp_path
    with pytest.raises(
        ModelError, match=r"model is 'minilm-int3', allowed: a folder, or one of .*mine, minilm-int4, mini"
    ):
        models.find_model(at_home, "minilm-int3")
    with pytest.raises(ModelError, match=r"has no readable model\.json"):
        models.open_model(at_home, "mine")
    with pytest.raises(ModelError, match="model is '~no-such-user-here/x', allowed: a folder"):
        models.find_model(at_home, "~no-such-user-here/x")


def test_a_model_is_opened_by_the_embedder_of_its_kind(settings: Settings) -> None:
    assert models.open_model(settings, "minilm-static").NAME == "static"
    assert models.open_model(settings, "minilm-int4", threads=2).NAME == "onnx"


def test_texts_are_embedded_into_a_file(settings: Settings, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    texts = [f"text {n}" for n in range(40)]
    out = tmp_path / "sub" / "v.npy"
    space, vectors = models.embed_texts(settings, texts, "minilm-static", out, lambda *done: seen.append(done))
    assert space.startswith("minilm-static-")
    assert vectors.shape == (40, 384)
    assert np.array_equal(np.load(out), vectors)
    assert seen == [(32, 40), (40, 40)]


def test_a_demo_keeps_stores_that_a_brain_opens_and_overwrites_none(settings: Settings, tmp_path: Path) -> None:
    keep = tmp_path / "tvs"
    days: list[str] = []
    report = run_demo(settings, weeks=1, neighbors=1, keep=keep, on_day=lambda day: days.append(day.household))
    assert len(days) == 21
    assert sorted(folder.name for folder in keep.iterdir()) == sorted(persona.name for persona in PERSONAS)
    for outcome in report.households:
        tv = resolve({"home": settings.home, "store": keep / outcome.household, "embedder": "static"}, {}).settings
        with closing(compose.open_brain(tv, now=lambda: report.start + timedelta(weeks=1))) as brain:
            assert brain.counts() == (outcome.events, outcome.patterns)
            assert brain.status().habits == outcome.habits
    before = {file: file.read_bytes() for file in keep.rglob("store.db")}
    with pytest.raises(InputError, match="is there already, allowed: a new name"):
        run_demo(settings, weeks=1, keep=keep)
    assert {file: file.read_bytes() for file in before} == before


def test_a_demo_that_keeps_nothing_leaves_nothing(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    report = run_demo(settings, weeks=1, seed=3, neighbors=2)
    assert report.seed == 3
    assert report.street
    assert len(report.street.synced) == 2 + len(PERSONAS)
    assert not (settings.store / compose.STORE_FILE).exists()
    assert list(tmp_path.glob("omega-demo-*")) == []


def test_a_demo_without_neighbors_needs_no_shard(settings: Settings) -> None:
    steps: list[Step] = []
    assert run_demo(settings, weeks=1, neighbors=0, on_step=steps.append).street is None
    assert steps == []


@pytest.mark.parametrize("neighbors", [-1, 51])
def test_a_street_has_so_many_neighbors_at_most(settings: Settings, tmp_path: Path, neighbors: int) -> None:
    with pytest.raises(InputError, match=r"neighbors is .*, allowed: 0\.\.50"):
        run_demo(settings, weeks=1, neighbors=neighbors, keep=tmp_path / "tvs")
    assert not (tmp_path / "tvs").exists()


def test_one_sync_over_a_line_that_is_given(settings: Settings) -> None:
    with closing(compose.open_brain(settings)) as brain:
        brain.observe(ViewingEvent(content_id="heat-1995", watch_pct=0.9))
        shard = Shard(compose.open_catalog(settings), space=brain.space)
        wires = Wires({"shard-a": shard})
        report = compose.sync_now(settings, brain, Direct("shard-a", wires.connect))
    assert (report.contributed, report.round_trips, report.error) == (1, 1, None)
    assert wires.closed == ["shard-a"]
    with closing(compose.open_brain(settings)) as brain, pytest.raises(SettingsError, match="shard_url"):
        compose.sync_now(settings, brain)


def test_a_brain_starts_with_what_was_taken_while_its_signer_is_trusted(settings: Settings, tmp_path: Path) -> None:
    key, example = SigningKey.generate(), compose.open_catalog(settings)
    trusted = msgspec.structs.replace(settings, trust=key.write(tmp_path / "operator.key"))
    added = msgspec.structs.replace(example.titles[0], id="new-1", title="Brand New")
    shelf = Shelf(tmp_path / "shelf")
    data = Catalog.build((*example.titles, added), example).encode()
    made = shelf.publish(data, Kind.CATALOG, key, made_at=0)
    accepted = compose.open_accepted(trusted)
    assert accepted
    accepted.take((shelf.folder / made.file).read_bytes(), data)
    with closing(compose.open_brain(trusted)) as brain:
        assert (brain.status().catalog_epoch, len(brain.catalog)) == (2, 801)
        brain.observe(ViewingEvent(content_id="new-1", watch_pct=1.0))
    assert compose.open_accepted(settings) is None
    with closing(compose.open_brain(settings)) as brain:
        assert brain.status().catalog_epoch == 1
        assert brain.memories().episodes[0].content_id == "new-1", "what was learned of it stays"
        assert len(brain.recommend()) == 20
    (trusted.store / compose.ARTIFACTS_FOLDER / made.sha256).write_bytes(data[:-1])
    with closing(compose.open_brain(trusted)) as brain:
        assert brain.status().catalog_epoch == 1, "damaged: the one that shipped"
    (tmp_path / "operator.key.pub").write_text("no key")
    with pytest.raises(ArtifactError, match="allowed: public keys of 64 hex digits"):
        compose.open_brain(trusted)
