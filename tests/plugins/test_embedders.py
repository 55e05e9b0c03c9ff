"""The embedders that ship, on their real model folders."""

from __future__ import annotations

import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from omega.core.errors import MissingExtraError, ModelError, OmegaError
from omega.core.model_folder import read_model_folder, write_model_card
from omega.core.testing.contracts import EmbedderContract
from omega.core.text import WordPiece
from omega_plugins.embedders import MODELS, onnx, static
from omega_plugins.embedders.onnx import OnnxEmbedder
from omega_plugins.embedders.static import StaticEmbedder

if TYPE_CHECKING:
    from pathlib import Path

    from omega.core.ports import Embedder

INT4, STATIC = MODELS / "minilm-int4", MODELS / "minilm-static"


class TestOnnxEmbedder(EmbedderContract):
    def make(self) -> Embedder:
        return OnnxEmbedder.open()


class TestStaticEmbedder(EmbedderContract):
    def make(self) -> Embedder:
        return StaticEmbedder.open()


@pytest.mark.parametrize("cls", [OnnxEmbedder, StaticEmbedder])
def test_meaning_counts_not_words(cls: type[Embedder]) -> None:
    asked, scary, funny = cls.open().embed(["something scary to watch", "horror movie", "comedy movie"])
    assert asked @ scary > asked @ funny + 0.05


def test_spaces_are_those_of_the_cards_and_differ() -> None:
    assert OnnxEmbedder.open().space == read_model_folder(INT4).space
    assert StaticEmbedder.open().space == read_model_folder(STATIC).space
    assert OnnxEmbedder.open().space != StaticEmbedder.open().space
    assert OnnxEmbedder.open().dimensions == StaticEmbedder.open().dimensions == 384


def test_two_threads_give_the_same_vectors() -> None:
    texts = ["Heat. crime, drama movie", "a much longer text about a family at the sea " * 10]
    one, two = OnnxEmbedder.open(threads=1).embed(texts), OnnxEmbedder.open(threads=2).embed(texts)
    assert np.allclose(one, two, atol=1e-5)


def test_a_static_vector_is_the_unit_sum_of_its_scaled_rows() -> None:
    ids = WordPiece.from_file(STATIC / "vocab.txt").encode("a heist")
    rows = np.load(STATIC / "table.npy")[ids].astype(np.float64) * np.load(STATIC / "scales.npy")[ids][:, None]
    total = rows.sum(axis=0)
    assert np.allclose(StaticEmbedder.open().embed(["a heist"])[0], total / np.linalg.norm(total), atol=1e-6)


@pytest.mark.parametrize(("cls", "folder"), [(OnnxEmbedder, STATIC), (StaticEmbedder, INT4)])
def test_a_folder_of_another_kind_is_refused_with_the_embedder_that_takes_it(cls: type[Embedder], folder: Path) -> None:
    kind = "static" if folder == STATIC else "onnx"
    with pytest.raises(ModelError, match=f"is of kind {kind}, allowed: .*: use --embedder {kind}"):
        cls.open(folder)


@pytest.mark.parametrize(
    ("cls", "folder", "file"),
    [(OnnxEmbedder, INT4, "model.onnx"), (StaticEmbedder, STATIC, "table.npy"), (StaticEmbedder, STATIC, "vocab.txt")],
)
def test_a_folder_that_was_cut_short_is_refused(cls: type[Embedder], folder: Path, file: str, tmp_path: Path) -> None:
    copy = tmp_path / "model"
    shutil.copytree(folder, copy)
    with (copy / file).open("r+b") as opened:
        opened.truncate(1000)
    with pytest.raises(ModelError, match=f"{file} has 1000 B, .* cut short"):
        cls.open(copy)


def rewritten(folder: Path) -> Path:
    """Write a card that vouches for what the folder holds now."""
    card = read_model_folder(INT4 if (folder / "model.onnx").exists() else STATIC)
    write_model_card(
        folder,
        name=card.name,
        kind=card.kind,
        dimensions=card.dimensions,
        quantization=card.quantization,
        source=card.source,
        made_with=card.made_with,
    )
    return folder


def test_a_graph_that_is_none_is_refused(tmp_path: Path) -> None:
    shutil.copy(INT4 / "vocab.txt", tmp_path)
    (tmp_path / "model.onnx").write_bytes(b"no graph")
    with pytest.raises(ModelError, match=r"model.onnx can't be loaded \(.*\): export it again"):
        OnnxEmbedder.open(rewritten(tmp_path))


def test_a_table_of_another_vocabulary_is_refused(tmp_path: Path) -> None:
    shutil.copytree(STATIC, tmp_path, dirs_exist_ok=True)
    np.save(tmp_path / "scales.npy", np.ones(5, np.float32))
    with pytest.raises(ModelError, match=r"table \(30522, 384\)"):
        StaticEmbedder.open(rewritten(tmp_path))
    np.save(tmp_path / "table.npy", np.ones((5, 384), np.int8))
    with pytest.raises(ModelError, match=r"has a table \(5, 384\), allowed: \(30522, 384\)"):
        StaticEmbedder.open(rewritten(tmp_path))


def test_a_table_that_is_no_array_is_refused(tmp_path: Path) -> None:
    shutil.copytree(STATIC, tmp_path, dirs_exist_ok=True)
    (tmp_path / "table.npy").write_bytes(b"no array")
    with pytest.raises(ModelError):
        StaticEmbedder.open(rewritten(tmp_path))


def test_a_static_table_stays_on_disk_however_much_is_embedded() -> None:
    program = (
        "from omega_plugins.embedders.static import StaticEmbedder\n"
        "from omega_plugins.embedders import MODELS\n"
        "words = (MODELS / 'minilm-static' / 'vocab.txt').read_text().split()\n"
        "def held():\n"
        "    return next(int(l.split()[1]) for l in open('/proc/self/status') if l.startswith('RssFile:'))\n"
        "embedder = StaticEmbedder.open()\n"
        "embedder.embed(['a film'])\n"
        "before = held()\n"
        "embedder.embed([' '.join(words[i : i + 100]) for i in range(0, len(words), 100)])\n"
        "print(held() - before)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 1024


def test_a_table_that_is_closed_or_cut_short_in_use_is_an_error_and_no_crash(tmp_path: Path) -> None:
    shutil.copytree(STATIC, tmp_path, dirs_exist_ok=True)
    embedder = StaticEmbedder.open(tmp_path)
    with (tmp_path / "table.npy").open("r+b") as file:
        file.truncate(1000)
    with pytest.raises(OmegaError, match="cut short while it was in use"):
        embedder.embed(["a film"])
    embedder.close()
    embedder.close()
    with pytest.raises(OmegaError, match="the table is closed: open the embedder again"):
        embedder.embed(["a film"])


@pytest.mark.parametrize(
    "array", [np.ones((30522, 384), np.float32), np.asfortranarray(np.ones((30522, 384), np.int8))]
)
def test_a_table_of_another_type_or_order_is_refused(tmp_path: Path, array: np.ndarray[tuple[int, ...], Any]) -> None:
    shutil.copytree(STATIC, tmp_path, dirs_exist_ok=True)
    np.save(tmp_path / "table.npy", array)
    with pytest.raises(ModelError, match=r"can't be loaded \(table.npy holds .*\): quantize it again"):
        StaticEmbedder.open(rewritten(tmp_path))


def test_hooks_return_the_classes() -> None:
    assert onnx.omega_embedders() == [OnnxEmbedder]
    assert static.omega_embedders() == [StaticEmbedder]


def test_without_onnxruntime_the_extra_is_named() -> None:
    program = (
        "import sys; sys.modules['onnxruntime'] = None\n"
        "from omega_plugins.embedders.onnx import OnnxEmbedder\n"
        "from omega.core.errors import MissingExtraError\n"
        "try:\n    OnnxEmbedder.open()\nexcept MissingExtraError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(MissingExtraError("onnxruntime", "device"))
