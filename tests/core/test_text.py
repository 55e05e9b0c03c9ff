"""Templates, and WordPiece against the `tokenizers` package as its oracle."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from omega.compose import EXAMPLE_CATALOG_PATH
from omega.core.catalog import Catalog
from omega.core.errors import ModelError
from omega.core.text import MAX_TOKENS, WordPiece, context_text, genre_text, title_text
from omega_plugins.embedders import MODELS

if TYPE_CHECKING:
    from pathlib import Path

VOCABULARY = MODELS / "minilm-int4" / "vocab.txt"
SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]

# Blocks that were full, or nearly, before the Unicode tables of `tokenizers` were made; no surrogates, nothing newer.
BLOCKS = [
    (0x0000, 0x036F),  # ASCII, controls, Latin, combining marks
    (0x0384, 0x052F),  # Greek, Cyrillic
    (0x05D0, 0x05EA),  # Hebrew
    (0x0621, 0x0652),  # Arabic with its marks
    (0x0E01, 0x0E3A),  # Thai
    (0x1E00, 0x1FBC),  # Latin and Greek with accents
    (0x2010, 0x205E),  # punctuation
    (0x20A0, 0x20BA),  # currency
    (0x2190, 0x21FF),  # arrows
    (0x3000, 0x30FF),  # CJK punctuation, kana
    (0x4E00, 0x9FA5),  # CJK
    (0xAC00, 0xD7A3),  # Hangul
    (0xF900, 0xFAFF),  # CJK compatibility
    (0xFE30, 0xFFEE),  # full and half width
    (0x1F300, 0x1F5FF),  # emoji
]
CHARACTERS = st.one_of(
    *(st.characters(min_codepoint=a, max_codepoint=b, exclude_categories=["Cn", "Cs"]) for a, b in BLOCKS)
)
PIECES = st.sampled_from(
    [*SPECIALS, "[cls]", "[", "]", " ", "the", "Robbery", "ing", "don't", "Σ", "ΑΣ", "İ", "x" * 101]
)


@pytest.fixture(scope="module")
def wordpiece() -> WordPiece:
    return WordPiece.from_file(VOCABULARY)


@pytest.fixture(scope="module")
def oracle() -> Tokenizer:
    ids = {token: i for i, token in enumerate(VOCABULARY.read_text(encoding="utf-8").rstrip("\n").split("\n"))}
    tokenizer = Tokenizer(models.WordPiece(ids, unk_token="[UNK]", max_input_chars_per_word=100))  # noqa: S106
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[(token, ids[token]) for token in ("[CLS]", "[SEP]")]
    )
    tokenizer.add_special_tokens(SPECIALS)
    tokenizer.enable_truncation(MAX_TOKENS)
    return tokenizer


def test_every_title_of_the_catalog_has_the_oracles_tokens(wordpiece: WordPiece, oracle: Tokenizer) -> None:
    texts = [title.text for title in Catalog.read(EXAMPLE_CATALOG_PATH)]
    assert len(texts) == 800
    assert [wordpiece.encode(text) for text in texts] == [encoding.ids for encoding in oracle.encode_batch(texts)]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   \t\n",
        "\N{CLAPPER BOARD}\N{POPCORN} movie night \N{PALM TREE}",
        "七人の侍 is 語",
        "[CLS]",
        "[CLS] inside [MASK]",
        "[[CLS]][SEP",
        "[cls] [Mask] [UNK][PAD]",
        "x" * 10_000,
        "a " * 5_000,
        "word " * 2_000,
        "ΟΔΥΣΣΕΥΣ ΚΑΙ ΣΙΣΥΦΟΣ",  # noqa: RUF001  (sigmas in the middle and at the end)
        "İstanbul'da ışık, IĞDIR",  # noqa: RUF001
        "Amélie\u0301 naïve ﬁ ſt ß",  # noqa: RUF001
        "a\0b\ufffdc\u200bd\u00ade",
        "\u00a0nbsp\u3000wide\u2028line",
        "don't... $5 — “quoted” ¿qué? №1",
        "y" * 100 + " " + "y" * 101,
    ],
)
def test_odd_text_has_the_oracles_tokens(wordpiece: WordPiece, oracle: Tokenizer, text: str) -> None:
    assert wordpiece.encode(text) == oracle.encode(text).ids


@given(st.one_of(st.text(CHARACTERS), st.lists(st.one_of(st.text(CHARACTERS, max_size=6), PIECES)).map("".join)))
def test_any_text_has_the_oracles_tokens(wordpiece: WordPiece, oracle: Tokenizer, text: str) -> None:
    assert wordpiece.encode(text) == oracle.encode(text).ids


@given(st.text(st.characters()), st.integers(2, 12))
def test_tokens_are_bounded_and_stand_between_cls_and_sep(wordpiece: WordPiece, text: str, most: int) -> None:
    ids = wordpiece.encode(text, most)
    assert 2 <= len(ids) <= most
    assert (ids[0], ids[-1]) == (wordpiece.cls, wordpiece.sep)
    assert all(0 <= i < len(wordpiece) for i in ids)


def test_text_beyond_ten_thousand_characters_counts_for_nothing(wordpiece: WordPiece) -> None:
    assert wordpiece.encode(" " * 10_000 + "heat") == [wordpiece.cls, wordpiece.sep]
    assert len(wordpiece.encode(" " * 9_996 + "heat")) == 3


def test_the_longest_known_beginning_of_a_word_is_taken() -> None:
    wordpiece = WordPiece(["[UNK]", "[CLS]", "[SEP]", "un", "una", "##aff", "##able", "##ff"])
    assert wordpiece.encode("unaffable") == [1, 4, 7, 6, 2]
    assert wordpiece.encode("unaffx") == [1, 0, 2]


def test_a_vocabulary_without_its_special_tokens_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"vocabulary of 2 tokens lacks '\[CLS\]'"):
        WordPiece(["[UNK]", "the"])
    with pytest.raises(ModelError, match=r"vocab\.txt can't be read"):
        WordPiece.from_file(tmp_path / "vocab.txt")
    (tmp_path / "vocab.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(ModelError, match=r"vocab\.txt can't be read"):
        WordPiece.from_file(tmp_path / "vocab.txt")


def test_the_templates_of_version_1() -> None:
    assert title_text("Heat", "movie", ["crime", "drama"]) == "Heat. crime, drama movie"
    assert context_text("evening", "weekday") == "something to watch on a weekday evening"
    assert context_text("night", "weekend", "scary") == "something scary to watch on a weekend night"
    assert genre_text("horror") == "something scary, creepy, disturbing, tense to watch: horror"
    assert genre_text("noir") == "something noir to watch: noir"
