"""The static fit, on vocabularies of a few tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from omega_model_tools.session import embed_static, static_table
from omega_model_tools.static import map_tokens, quantized_rows, ridge_step, save_table, training_texts

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

TOKENS, DIMENSIONS = 40, 8


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(11)


def texts_of(random: np.random.Generator, count: int) -> list[list[int]]:
    return [random.integers(0, TOKENS, random.integers(3, 9)).tolist() for _ in range(count)]


def means(table: Floats, texts: list[list[int]]) -> Floats:
    return np.stack([table[text].mean(0) for text in texts])


def test_the_ridge_step_finds_the_table_that_made_the_targets(random: np.random.Generator) -> None:
    table = random.normal(size=(TOKENS, DIMENSIONS)).astype(np.float32)
    texts = texts_of(random, 400)
    found = ridge_step(np.zeros_like(table), texts, means(table, texts), 1e-6)
    assert np.abs(found - table).max() < 1e-3


def test_the_ridge_step_solves_its_normal_equations(random: np.random.Generator) -> None:
    """At the minimum the gradient F'(F T - targets) + ridge (T - prior) is nil, repeated tokens counted."""
    prior = random.normal(size=(TOKENS, DIMENSIONS)).astype(np.float32)
    texts = [[1, 1, 2], [2, 3], [5, 1, 5, 5]]
    targets = random.normal(size=(3, DIMENSIONS)).astype(np.float32)
    fitted = ridge_step(prior, texts, targets, 0.1)
    shares = np.zeros((3, TOKENS))
    shares[0, [1, 2]], shares[1, [2, 3]], shares[2, [1, 5]] = (2 / 3, 1 / 3), (0.5, 0.5), (0.25, 0.75)
    assert np.abs(shares.T @ (shares @ fitted - targets) + 0.1 * (fitted - prior)).max() < 1e-5
    unseen = [i for i in range(TOKENS) if i not in {1, 2, 3, 5}]
    assert np.array_equal(fitted[unseen], prior[unseen])


def test_the_map_holds_for_tokens_that_no_text_has(random: np.random.Generator) -> None:
    known = random.normal(size=(TOKENS, 5)).astype(np.float32)
    table = (known @ random.normal(size=(5, DIMENSIONS)) + random.normal(size=DIMENSIONS)).astype(np.float32)
    texts = [[token % 30 for token in text] for text in texts_of(random, 300)]
    assert np.abs(map_tokens(known, texts, means(table, texts), 1e-6) - table)[30:].max() < 1e-3


def test_rows_of_int8_are_half_a_step_off_at_most(random: np.random.Generator, tmp_path: Path) -> None:
    table = (random.normal(size=(TOKENS, DIMENSIONS)) * np.logspace(-3, 2, TOKENS)[:, None]).astype(np.float32)
    table[7] = 0
    codes, scales = quantized_rows(table)
    save_table(tmp_path, codes, scales)
    assert (codes.dtype.name, codes.shape) == ("int8", table.shape)
    assert (scales.dtype.name, scales.shape) == ("float32", (TOKENS,))
    assert (np.abs(static_table(tmp_path) - table) <= 0.5001 * scales[:, None]).all()


def test_a_text_is_the_unit_sum_of_its_tokens() -> None:
    table = np.array([[3, 0], [0, 4], [1, 1]], np.float32)
    expected = np.array([[3, 4], [0, 5], [25 / 29**0.5, 10 / 29**0.5]]) / 5
    assert np.allclose(embed_static(table, [[0, 1], [1], [0, 2, 2]]), expected)


def test_training_texts_are_the_same_every_time_and_keep_the_real_ones_first() -> None:
    real = [[101, 2000, 5000, 6000, 102], [101, 1037, 7000, 8000, 9000, 102]]
    words = list(range(20_000, 20_500))
    texts = training_texts(real, words, 300)
    assert texts[:2] == real
    assert texts == training_texts(real, words, 300)
    assert all(text[0] == 101 and text[-1] == 102 and len(text) > 2 for text in texts)
    assert len({token for text in texts[2:] for token in text} & set(words)) > 200
