"""The source weights and the fp32 model made from them, against BERT written out in numpy."""

from __future__ import annotations

import math
import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest
from safetensors.numpy import load_file

from omega.core.errors import InputError, MissingExtraError, ModelError, OmegaError
from omega.core.model_folder import read_model_folder
from omega.core.text import WordPiece
from omega_model_tools.export import export_fp32
from omega_model_tools.session import embed_texts, open_session
from omega_model_tools.source import FILES, check_source, fetch_source, installer_command

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

TEXTS = (
    "",
    "Heat. crime, drama, thriller movie",
    "something relaxed to watch on a weekday evening",
    "Nobody knew why the old lighthouse had been painted green, least of all the man who had painted it.",
)


def by_hand(weights: dict[str, NDArray[np.float32]], ids: list[int]) -> NDArray[np.float64]:
    """Return the embedding of one text by the formulas of Devlin et al., 2019, in float64."""

    def dense(x: NDArray[np.float64], name: str) -> NDArray[np.float64]:
        product: NDArray[np.float64] = x @ weights[f"{name}.weight"].T.astype(np.float64) + weights[f"{name}.bias"]
        return product

    def norm(x: NDArray[np.float64], name: str) -> NDArray[np.float64]:
        unit = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-12)
        scaled: NDArray[np.float64] = unit * weights[f"{name}.weight"] + weights[f"{name}.bias"]
        return scaled

    words, places, kinds = (weights[f"embeddings.{n}_embeddings.weight"] for n in ("word", "position", "token_type"))
    x = norm(words[ids].astype(np.float64) + places[: len(ids)] + kinds[0], "embeddings.LayerNorm")
    erf = np.vectorize(math.erf)
    for layer in range(6):
        at = f"encoder.layer.{layer}"
        q, k, v = (dense(x, f"{at}.attention.self.{n}").reshape(-1, 12, 32) for n in ("query", "key", "value"))
        scores = np.exp(np.einsum("qhd,khd->hqk", q, k) / math.sqrt(32))
        mixed = np.einsum("hqk,khd->qhd", scores / scores.sum(2, keepdims=True), v).reshape(-1, 384)
        x = norm(x + dense(mixed, f"{at}.attention.output.dense"), f"{at}.attention.output.LayerNorm")
        wide = dense(x, f"{at}.intermediate.dense")
        wide = wide * (1 + erf(wide / math.sqrt(2))) / 2
        x = norm(x + dense(wide, f"{at}.output.dense"), f"{at}.output.LayerNorm")
    mean = x.mean(0)
    embedding: NDArray[np.float64] = mean / np.linalg.norm(mean)
    return embedding


def test_the_graph_computes_what_the_formulas_say(source: Path, fp32: Path) -> None:
    weights, words = load_file(source / "model.safetensors"), WordPiece.from_file(source / "vocab.txt")
    expected = np.stack([by_hand(weights, words.encode(text)) for text in TEXTS])
    assert np.abs(embed_texts(fp32, TEXTS) - expected).max() < 1e-5


def test_padding_changes_nothing(fp32: Path) -> None:
    session = open_session(fp32 / "model.onnx", 1)
    ids = [WordPiece.from_file(fp32 / "vocab.txt").encode(text) for text in TEXTS]
    padded, mask = (np.zeros((len(ids), max(map(len, ids)) + 3), np.int64) for _ in range(2))
    for row, kept, text in zip(padded, mask, ids, strict=True):
        row[: len(text)], kept[: len(text)] = text, 1
    together = session.run(["embedding"], {"input_ids": padded, "attention_mask": mask})[0]
    assert np.abs(together - embed_texts(fp32, TEXTS)).max() < 1e-5
    assert np.allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)


def test_the_longest_text_fits(fp32: Path) -> None:
    card = read_model_folder(fp32)
    vector = embed_texts(fp32, ["a very long story " * 200])[0]
    assert (card.max_tokens, card.dimensions, card.cosine) == (256, 384, None)
    assert np.isclose(np.linalg.norm(vector), 1, atol=1e-5)


def test_exporting_twice_gives_the_same_space(source: Path, fp32: Path, tmp_path: Path) -> None:
    assert export_fp32(source, tmp_path / "again").space == read_model_folder(fp32).space


def test_optimum_is_an_extra(source: Path, tmp_path: Path) -> None:
    """With it the same vectors, without it the command that installs it, and no folder."""
    try:
        card = export_fp32(source, tmp_path / "out", backend="optimum")
    except MissingExtraError as error:
        assert "exogenesis-omega[optimum]" in str(error)  # noqa: PT017 - either outcome has something to hold
        assert not list(tmp_path.iterdir())
    else:
        assert card.dimensions == 384
        export_fp32(source, tmp_path / "ours")
        assert np.abs(embed_texts(tmp_path / "out", TEXTS) - embed_texts(tmp_path / "ours", TEXTS)).max() < 1e-5


def test_an_interrupt_leaves_nothing_and_keeps_what_was_there(source: Path, fp32: Path, tmp_path: Path) -> None:
    shutil.copytree(fp32, tmp_path / "out")

    def interrupt(done: int, total: int, what: str) -> None:
        if done == total - 1:
            raise KeyboardInterrupt(what)

    with pytest.raises(KeyboardInterrupt):
        export_fp32(source, tmp_path / "out", progress=interrupt)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert read_model_folder(tmp_path / "out") == read_model_folder(fp32)


def test_a_folder_of_something_else_is_not_replaced(source: Path, tmp_path: Path) -> None:
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "to_anna.txt").write_text("Dear Anna", encoding="utf-8")
    with pytest.raises(InputError, match="is there already, allowed: a new name"):
        export_fp32(source, tmp_path / "letters")
    assert [path.name for path in (tmp_path / "letters").iterdir()] == ["to_anna.txt"]


@pytest.fixture
def copied(source: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    for name in FILES:
        shutil.copyfile(source / name, folder / name)
    return folder


@pytest.mark.parametrize("name", FILES)
def test_an_incomplete_source_is_refused(copied: Path, name: str) -> None:
    (copied / name).unlink()
    with pytest.raises(ModelError, match=f"lacks {name}, it needs"):
        check_source(copied)


def test_one_changed_byte_of_the_weights_is_found(copied: Path) -> None:
    with (copied / "model.safetensors").open("r+b") as file:
        file.seek(50_000_000)
        byte = file.read(1)
        file.seek(50_000_000)
        file.write(bytes([byte[0] ^ 1]))
    with pytest.raises(ModelError, match=r"has sha256 .* it was cut short or changed"):
        check_source(copied)


def test_without_a_network_it_says_so_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("PIP_NO_INDEX", "1"), ("UV_NO_INDEX", "1"), ("UV_OFFLINE", "1")):
        monkeypatch.setenv(name, value)
    with pytest.raises(OmegaError, match=r"could not be fetched .* check the network"):
        fetch_source(tmp_path)
    assert not list(tmp_path.iterdir())


def test_pip_comes_first_then_uv_then_advice(tmp_path: Path) -> None:
    assert installer_command(tmp_path, pip=True, uv="/bin/uv")[1:4] == ["-m", "pip", "download"]
    assert installer_command(tmp_path, pip=False, uv="/bin/uv")[:3] == ["/bin/uv", "pip", "install"]
    with pytest.raises(OmegaError, match="neither pip nor uv was found"):
        installer_command(tmp_path, pip=False, uv=None)
