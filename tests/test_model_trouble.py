"""A model that can't be used: the TV goes on with the static table and says why, unless its owner named the model."""

from __future__ import annotations

import shutil
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING

import msgspec
import pytest

from omega.compose import open_available, open_brain, open_catalog
from omega.core.catalog import Catalog
from omega.core.errors import MissingExtraError, ModelError, PluginError
from omega.core.settings import resolve
from omega.core.testing.fakes import Clock
from omega.core.types import ViewContext, ViewingEvent
from omega.device.fallback import Policy
from omega_plugins.embedders import MODELS

if TYPE_CHECKING:
    from pathlib import Path

OPEN = """
import json, resource, sys
from pathlib import Path
from omega import compose
from omega.core.settings import resolve
import omega_plugins.embedders
if sys.argv[2] == "no onnxruntime":
    sys.modules["onnxruntime"] = None
if sys.argv[2] == "little memory":
    compose.registry()  # loads numpy
    if sys.argv[4] == "after the library":
        import onnxruntime
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + int(sys.argv[3]) * 2**20,) * 2)
embedder, fallback = compose.open_available(resolve({"home": sys.argv[1]}, {}).settings, 5.0)
norm = float((embedder.embed(["something funny"])[0] ** 2).sum())
print(json.dumps([embedder.NAME, fallback.state.which, fallback.state.since_s, fallback.state.why, round(norm, 4)]))
"""


def opened(home: Path, trouble: str, *more: str, path: Path | None = None) -> list[object]:
    program = f"import sys\nsys.path.insert(0, {str(path)!r})\n" if path else ""
    command = [sys.executable, "-c", program + OPEN, str(home), trouble, *more]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: list[object] = msgspec.json.decode(done.stdout)
    return found


def fell_back(found: list[object], why: str) -> None:
    assert found[:3] == ["static", "static", 5.0]
    assert str(found[3]).startswith("the model can't be used: ")
    assert why in str(found[3])
    assert found[4] == 1.0


def test_a_model_that_loads_is_used(tmp_path: Path) -> None:
    assert opened(tmp_path, "none") == ["onnx", "model", 5.0, "it is the default", 1.0]


def test_without_onnxruntime(tmp_path: Path) -> None:
    fell_back(opened(tmp_path, "no onnxruntime"), str(MissingExtraError("onnxruntime", "device")))


@pytest.mark.parametrize(
    ("when", "why"),
    [("before the library", "onnxruntime can't be loaded (failed to map segment"), ("after the library", "free 60 MB")],
)
def test_with_too_little_memory(tmp_path: Path, when: str, why: str) -> None:
    fell_back(opened(tmp_path, "little memory", "16", when), why)


@pytest.mark.parametrize(
    ("damage", "why"), [("cut", "it was cut short"), ("gone", "can't be read"), ("bent", "sha256")]
)
def test_with_a_damaged_model(tmp_path: Path, damage: str, why: str) -> None:
    shutil.copytree(MODELS.parent.parent, tmp_path / "omega_plugins")
    model = tmp_path / "omega_plugins" / "embedders" / "models" / "minilm-int4" / "model.onnx"
    whole = model.read_bytes()
    match damage:
        case "cut":
            model.write_bytes(whole[:-1])
        case "gone":
            model.unlink()
        case _:
            model.write_bytes(whole[:1000] + b"?" + whole[1001:])
    fell_back(opened(tmp_path / "home", "none", path=tmp_path), why)


def test_a_model_folder_that_was_named_must_load(tmp_path: Path) -> None:
    shutil.copytree(MODELS / "minilm-int4", tmp_path / "mine")
    with (tmp_path / "mine" / "model.onnx").open("r+b") as file:
        file.truncate(1000)
    named = resolve({"home": tmp_path, "model": tmp_path / "mine"}, {}).settings
    with pytest.raises(ModelError, match="cut short"):
        open_available(named, 0)
    with pytest.raises(ModelError, match="cut short"):
        open_brain(named)


def test_an_embedder_that_isnt_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PluginError, match="embedder is 'onxx', allowed: onnx, static"):
        open_available(resolve({"home": tmp_path, "embedder": "onxx"}, {}).settings, 0)


def test_static_leaves_no_choice(tmp_path: Path) -> None:
    embedder, fallback = open_available(resolve({"home": tmp_path, "memory": "lite"}, {}).settings, 0)
    assert (embedder.NAME, fallback) == ("static", None)
    embedder.close()


def test_a_tv_whose_model_breaks_goes_on_and_gets_its_model_back(tmp_path: Path) -> None:
    Catalog.build(open_catalog(resolve({}, {}).settings).titles[:40]).write(tmp_path / "small.jsonl")
    settings = resolve({"home": tmp_path, "catalog": str(tmp_path / "small.jsonl")}, {}).settings
    clock = Clock()
    own = ViewingEvent(content_id="ours", title="Our holiday at the sea", watch_pct=0.9)
    with closing(open_brain(settings, now=clock)) as brain:
        assert brain._mover
        brain._mover.fallback.policy = Policy(
            budget_ms=10_000, return_ms=10_000
        )  # how busy the machine is, is no matter
        brain.observe(ViewingEvent(content_id=open_catalog(settings).titles[3].id, watch_pct=1.0))
        int4 = brain.status().space
        brain._embedder.close()  # every use fails from now on
        assert brain.recommend(ViewContext(mood="funny"))
        assert brain.status().space == int4
        assert brain.observe(own).local
        broken = brain.status()
        assert (broken.embedder, broken.events) == ("static", 2)
        assert broken.fallback is not None
        assert broken.fallback.why == "the model can't be used: embedder onnx is closed: open it again"
        assert any(
            reason.kind == "mood" for title in brain.recommend(ViewContext(mood="funny")) for reason in title.reasons
        )
        for _ in range(60):
            clock.advance(minutes=1)
            brain.tend(20)
            assert brain.recommend(ViewContext(mood=f"funny {_}"))
        again = brain.status()
        assert (again.space, again.events, again.local_titles) == (int4, 2, 1)
        assert again.fallback is not None
        assert again.fallback.which == "model"
