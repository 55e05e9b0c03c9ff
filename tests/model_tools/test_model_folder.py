"""Model folders: what is read back, and what is refused."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from omega.core.errors import ModelError
from omega.core.model_folder import CARD_LIMIT_BYTES, Cosine, Source, read_model_folder, space_id, write_model_card

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FACTS: dict[str, Any] = {
    "weights_sha256": "a" * 64,
    "vocab_sha256": "b" * 64,
    "template": 1,
    "max_tokens": 256,
    "pooling": "mean, L2",
    "quantization": "none, float32",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "table.npy").write_bytes(bytes(range(200)))
    (tmp_path / "scales.npy").write_bytes(b"scales")
    (tmp_path / "vocab.txt").write_text("[PAD]\n[UNK]\n", encoding="utf-8")
    write_model_card(
        tmp_path,
        name="tiny",
        kind="static",
        dimensions=4,
        quantization="int8 per row",
        source=Source("some-package==1", "c" * 64, "Apache-2.0"),
        made_with={"numpy": "2"},
        cosine=Cosine(0.8, 0.5, 0.4, 100),
    )
    return tmp_path


def edited(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    card = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    change(card)
    (folder / "model.json").write_text(json.dumps(card), encoding="utf-8")


def test_what_is_written_is_read(folder: Path) -> None:
    card = read_model_folder(folder)
    assert (card.name, card.kind, card.dimensions, card.max_tokens, card.template) == ("tiny", "static", 4, 256, 1)
    assert card.space.startswith("tiny-")
    assert len(card.space) == len("tiny-") + 8
    assert card.files["table.npy"].size_bytes == 200
    assert card.cosine == Cosine(0.8, 0.5, 0.4, 100)


def test_a_card_without_cosine_has_no_such_field(folder: Path) -> None:
    source = Source("some-package==1", "c" * 64, "Apache-2.0")
    written = write_model_card(
        folder, name="t", kind="static", dimensions=4, quantization="none", source=source, made_with={}
    )
    assert "cosine" not in json.loads((folder / "model.json").read_text(encoding="utf-8"))
    assert read_model_folder(folder) == written


def test_a_file_cut_short_is_named_with_both_sizes(folder: Path) -> None:
    (folder / "table.npy").write_bytes(bytes(range(150)))
    with pytest.raises(ModelError, match=r"table\.npy has 150 B, its card says 200: it was cut short, get or export"):
        read_model_folder(folder)


def test_one_changed_byte_is_found(folder: Path) -> None:
    content = bytearray((folder / "table.npy").read_bytes())
    content[77] ^= 1
    (folder / "table.npy").write_bytes(content)
    with pytest.raises(ModelError, match=r"table\.npy has sha256 .* it was changed"):
        read_model_folder(folder)


@pytest.mark.parametrize("name", ["model.json", "vocab.txt", "table.npy"])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(ModelError, match=name):
        read_model_folder(folder)


def test_no_folder_at_all(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="give the folder of an exported model"):
        read_model_folder(tmp_path / "nowhere")


def test_a_huge_card_is_refused_before_it_is_decoded(folder: Path) -> None:
    (folder / "model.json").write_bytes(b"[" * (CARD_LIMIT_BYTES + 1))
    with pytest.raises(ModelError, match=f"is over {CARD_LIMIT_BYTES} B"):
        read_model_folder(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda card: card.update(format=2), "is of format 2, this version reads 1"),
        (lambda card: card.update(kind="torch"), "is no model card .*torch"),
        (lambda card: card.update(kind="onnx"), "a model of kind onnx has model.onnx, vocab.txt"),
        (lambda card: card.update(extra=1), "is no model card .*extra"),
        (lambda card: card.pop("source"), "is no model card .*source"),
        (lambda card: card["files"].update({"../x": card["files"]["vocab.txt"]}), "a model of kind static has"),
        (lambda card: card.update(space="tiny-00000000"), "names the space 'tiny-00000000', its contents give tiny-"),
        (lambda card: card.update(quantization="other"), "the card was edited"),
    ],
)
def test_an_edited_card_is_refused(folder: Path, change: Callable[[dict[str, Any]], object], message: str) -> None:
    edited(folder, change)
    with pytest.raises(ModelError, match=message):
        read_model_folder(folder)


@pytest.mark.parametrize("card", [b"", b"{", b"[]", b"\xff\xfe", b'{"format": "1"}'])
def test_what_is_no_card_is_refused(folder: Path, card: bytes) -> None:
    (folder / "model.json").write_bytes(card)
    with pytest.raises(ModelError, match="is no model card"):
        read_model_folder(folder)


def test_the_space_id_changes_with_every_ingredient() -> None:
    spaces = {space_id("m", **FACTS), space_id("n", **FACTS)}
    for field, value in FACTS.items():
        other = value + 1 if isinstance(value, int) else value + "x"
        spaces.add(space_id("m", **{**FACTS, field: other}))
    assert len(spaces) == 2 + len(FACTS)


def test_the_space_id_is_the_same_everywhere() -> None:
    """A golden value: a change here means that no vector on any device compares any more."""
    assert space_id("minilm", **FACTS) == "minilm-1fbfbb33"
