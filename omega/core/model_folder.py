"""A model folder: `model.json`, the card that names an embedding model, beside the files that the card vouches for.

Kind `onnx` holds model.onnx and vocab.txt. The graph takes input_ids and attention_mask, int64 (batch, tokens), and
gives `embedding`, float32 (batch, dimensions), rows of length 1: pooling and normalization are inside.
Kind `static` holds table.npy, int8 (tokens, dimensions), scales.npy, float32 (tokens,), and vocab.txt; the embedding of
a text is unit(sum of scales[t] * table[t]) over its token ids, [CLS] and [SEP] included.

Vectors of two models are never compared. The card's `space` names what makes them comparable: exact weights, tokenizer,
text template, input length, pooling and quantization.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from omega.core.errors import ModelError, shown
from omega.core.text import MAX_TOKENS, TEMPLATE_VERSION

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

CARD_FILE: Final = "model.json"
CARD_LIMIT_BYTES: Final = 16_384
"""A larger model.json is refused before it is decoded; a real one has about 1 kB."""
FORMAT: Final = 1
POOLING: Final = "mean, L2"
FILES: Final[Mapping[str, tuple[str, ...]]] = {
    "onnx": ("model.onnx", "vocab.txt"),
    "static": ("scales.npy", "table.npy", "vocab.txt"),
}
"""The files that a kind of folder has, model.json aside: these and no others."""


class FileFacts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the card says of one file."""

    sha256: str
    size_bytes: int


class Source(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the weights came from."""

    package: str
    weights_sha256: str
    license: str


class Cosine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Cosine between the model's vectors and the fp32 model's, over `texts` texts it was not fitted to."""

    mean: float
    p1: float
    min: float
    texts: int


class ModelCard(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What model.json says."""

    format: int
    name: str
    kind: Literal["onnx", "static"]
    space: str
    dimensions: int
    quantization: str
    files: dict[str, FileFacts]
    source: Source
    made_with: dict[str, str]
    pooling: str
    max_tokens: int
    template: int
    cosine: Cosine | None = None
    """Absent for fp32, the reference itself."""


class _Format(msgspec.Struct):
    format: int


def space_id(
    name: str,
    *,
    weights_sha256: str,
    vocab_sha256: str,
    template: int,
    max_tokens: int,
    pooling: str,
    quantization: str,
) -> str:
    """Return `<name>-<8 hex>`, the same only for models whose vectors may be compared.

    `weights_sha256` is of the weights as they are run (`weights_digest`), not of those they were made from.
    """
    facts = (weights_sha256, vocab_sha256, template, max_tokens, pooling, quantization)
    digest = hashlib.blake2b(msgspec.json.encode([name, *facts]), digest_size=4)
    return f"{name}-{digest.hexdigest()}"


def weights_digest(files: Mapping[str, FileFacts]) -> str:
    """Return the sha256, in hex, of the names and sums of all `files` but vocab.txt."""
    lines = [f"{name} {facts.sha256}\n" for name, facts in sorted(files.items()) if name != "vocab.txt"]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def read_model_folder(path: Path) -> ModelCard:
    """Return the card of the model folder `path` after checking every file's presence, size and sha256.

    Raises ModelError, naming the file, when anything is missing, cut short, changed, or not of a known format.
    """
    card = _read_card(path / CARD_FILE)
    if set(card.files) != set(FILES[card.kind]):
        raise ModelError(
            f"{CARD_FILE} of {path} lists {shown(sorted(card.files))}, a model of kind {card.kind} has "
            f"{', '.join(FILES[card.kind])}: export the model again"
        )
    for name, facts in card.files.items():
        _check_file(path / name, facts)
    expected = _space_of(card.name, card.files, card)
    if card.space != expected:
        raise ModelError(
            f"{CARD_FILE} of {path} names the space {shown(card.space)}, its contents give {expected}: "
            "the card was edited, get or export the model again"
        )
    return card


def write_model_card(
    folder: Path,
    *,
    name: str,
    kind: Literal["onnx", "static"],
    dimensions: int,
    quantization: str,
    source: Source,
    made_with: Mapping[str, str],
    max_tokens: int = MAX_TOKENS,
    cosine: Cosine | None = None,
) -> ModelCard:
    """Hash the files that lie in `folder`, write model.json beside them and return what it says.

    Raises ModelError when a file of this `kind` is missing.
    """
    files = {file: _facts(folder / file) for file in FILES[kind]}
    card = ModelCard(
        format=FORMAT,
        name=name,
        kind=kind,
        space="",
        dimensions=dimensions,
        quantization=quantization,
        files=files,
        source=source,
        made_with=dict(sorted(made_with.items())),
        pooling=POOLING,
        max_tokens=max_tokens,
        template=TEMPLATE_VERSION,
        cosine=cosine,
    )
    card = msgspec.structs.replace(card, space=_space_of(name, files, card))
    (folder / CARD_FILE).write_bytes(msgspec.json.format(msgspec.json.encode(card), indent=2) + b"\n")
    return card


def _space_of(name: str, files: Mapping[str, FileFacts], card: ModelCard) -> str:
    return space_id(
        name,
        weights_sha256=weights_digest(files),
        vocab_sha256=files["vocab.txt"].sha256,
        template=card.template,
        max_tokens=card.max_tokens,
        pooling=card.pooling,
        quantization=card.quantization,
    )


def _read_card(path: Path) -> ModelCard:
    """Decode model.json: its size first, then its format, then its fields."""
    try:
        with path.open("rb") as file:
            encoded = file.read(CARD_LIMIT_BYTES + 1)
    except OSError as error:
        raise ModelError(
            f"{path.parent} has no readable {CARD_FILE} ({error.strerror}): give the folder of an exported model"
        ) from error
    if len(encoded) > CARD_LIMIT_BYTES:
        raise ModelError(f"{path} is over {CARD_LIMIT_BYTES} B, a card has about 1 kB: get or export the model again")
    try:
        found = msgspec.json.decode(encoded, type=_Format).format
        if found != FORMAT:
            raise ModelError(f"{path} is of format {found}, this version reads {FORMAT}: update omega or export again")
        return msgspec.json.decode(encoded, type=ModelCard)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ModelError(f"{path} is no model card ({error}): get or export the model again") from error


def _check_file(path: Path, facts: FileFacts) -> None:
    found = _facts(path)
    if found.size_bytes != facts.size_bytes:
        how = "cut short" if found.size_bytes < facts.size_bytes else "changed"
        raise ModelError(
            f"{path} has {found.size_bytes} B, its card says {facts.size_bytes}: it was {how}, "
            "get or export the model again"
        )
    if found.sha256 != facts.sha256:
        raise ModelError(
            f"{path} has sha256 {found.sha256[:12]}.., its card says {shown(facts.sha256[:12])}..: it was changed, "
            "get or export the model again"
        )


def _facts(path: Path) -> FileFacts:
    """Return size and sum of the file; raise ModelError when it can't be read."""
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256")
            return FileFacts(digest.hexdigest(), file.tell())
    except OSError as error:
        raise ModelError(
            f"{path.name} of {path.parent} can't be read ({error.strerror}): get or export the model again"
        ) from error
