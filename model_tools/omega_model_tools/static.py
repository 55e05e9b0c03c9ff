"""A static model: one vector per token, summed, fitted so that a text lands near its fp32 embedding.

The fit has two steps. A linear map takes what the model itself says of a token, its embedding alone and its row of the
word table, to the token's vector; it is fitted on whole texts, so it knows how tokens add up, and holds for tokens that
no text has. A ridge step then moves single tokens to where the texts want them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from omega_model_tools.folders import Progress, silent
from omega_model_tools.session import embed_ids

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from onnxruntime import InferenceSession

    Floats = NDArray[np.float32]

SEED = 20_26
MIXTURES = 10_000
"""Made-up texts in the fit, besides the real ones; 12,000 gave no more than 8,000 in the ridge step."""
MAP_RIDGE = 0.01
TOKEN_RIDGE = 0.1
_RIDGE_TEXTS = 5000
"""The ridge step solves for as many unknowns as texts: 5 s for 5,000 on two cores."""
_TABLE_GAIN = np.float32(5)
"""Brings the word table's values to the size of an embedding's."""
_LONG = 64
"""Texts of more tokens are always cut: whole, they would take most of the time."""
_BATCH = 1024
_FIT_TOKENS = 50_000
"""The fit takes about as long as embedding so many tokens."""
_FREQUENT = 2200
"""BERT's vocabulary is ordered: below come signs and the most frequent words, which hold a sentence together."""


def training_texts(texts: Sequence[Sequence[int]], words: Sequence[int], mixtures: int = MIXTURES) -> list[list[int]]:
    """Return `texts` and `mixtures` variations of them: cut, joined, and with tokens exchanged for any of `words`.

    A text is token ids with [CLS] first and [SEP] last. Frequent tokens are exchanged less often than others, so that
    a variation keeps a sentence's frame. The random generator is seeded: the same texts give the same variations.
    """
    random = np.random.default_rng(SEED)
    cls, sep = texts[0][0], texts[0][-1]
    bodies = [list(text[1:-1]) for text in texts if len(text) > 3]
    return [list(text) for text in texts] + [[cls, *_mixture(bodies, words, random), sep] for _ in range(mixtures)]


def _mixture(bodies: list[list[int]], words: Sequence[int], random: np.random.Generator) -> list[int]:
    body = bodies[random.integers(len(bodies))]
    if random.random() < 0.4 or len(body) > _LONG:
        length = int(random.integers(1, min(len(body), 12) + 1))
        start = int(random.integers(len(body) - length + 1))
        body = body[start : start + length]
    if random.random() < 0.3:
        body = body + bodies[random.integers(len(bodies))][: random.integers(1, 9)]
    kept = random.random(len(body)) > np.where(np.array(body) < _FREQUENT, 0.18, 0.58)
    others = random.integers(len(words), size=len(body))
    return [token if keep else words[other] for token, keep, other in zip(body, kept, others, strict=True)]


def fit_table(
    session: InferenceSession, texts: Sequence[Sequence[int]], word_table: Floats, progress: Progress = silent
) -> Floats:
    """Return the table (tokens, dimensions) whose rows, summed over a text, point where `session` embeds the text.

    `texts` are token ids, real texts first; `word_table` (tokens, dimensions) is the model's own.
    """
    cls, sep = texts[0][0], texts[0][-1]
    alone = [[cls, token, sep] for token in range(len(word_table))]
    embedded = _embedded(session, [*texts, *alone], progress)
    targets, own = embedded[: len(texts)], embedded[len(texts) :]
    known = np.concatenate([own, word_table * _TABLE_GAIN], axis=1)
    table = map_tokens(known, texts, targets, MAP_RIDGE)
    table = ridge_step(table, texts[:_RIDGE_TEXTS], targets[:_RIDGE_TEXTS], TOKEN_RIDGE)
    progress(1, 1, "done")
    return table


def map_tokens(known: Floats, texts: Sequence[Sequence[int]], targets: Floats, ridge: float) -> Floats:
    """Return known @ A + b, (tokens, dimensions), for the A and b that bring a text's mean over tokens to its target.

    `known` (tokens, features), `targets` (texts, dimensions); `ridge` is on A and b.
    """
    means = np.stack([known[list(text)].mean(0) for text in texts])
    x = np.concatenate([means, np.ones((len(means), 1), np.float32)], axis=1)
    gram = (x.T @ x).astype(np.float64)
    gram[np.diag_indices_from(gram)] += ridge
    weights = np.linalg.solve(gram, (x.T @ targets).astype(np.float64)).astype(np.float32)
    mapped: Floats = known @ weights[:-1] + weights[-1]
    return mapped


def ridge_step(prior: Floats, texts: Sequence[Sequence[int]], targets: Floats, ridge: float) -> Floats:
    """Return T minimizing |F T - targets|^2 + ridge |T - prior|^2, both tables (tokens, dimensions).

    F (texts, tokens) holds the share of each token in each text, `targets` is (texts, dimensions).
    T = prior + F' (F F' + ridge)^-1 (targets - F prior).
    """
    used, places = np.unique(np.concatenate([list(text) for text in texts]), return_inverse=True)
    lengths = np.array([len(text) for text in texts])
    shares = np.zeros((len(texts), len(used)), np.float32)
    np.add.at(shares, (np.repeat(np.arange(len(texts)), lengths), places), np.repeat(1 / lengths, lengths))
    gram = (shares @ shares.T).astype(np.float64)
    gram[np.diag_indices_from(gram)] += ridge
    step = np.linalg.solve(gram, (targets - shares @ prior[used]).astype(np.float64))
    fitted = prior.copy()
    fitted[used] += shares.T @ step.astype(np.float32)
    return fitted


def quantized_rows(table: Floats) -> tuple[NDArray[np.int8], Floats]:
    """Return int8 codes (tokens, dimensions) and a scale per row (tokens,): table is near codes * scales[:, None]."""
    scales = np.maximum(np.abs(table).max(1), 1e-12).astype(np.float32) / np.float32(127)
    return np.rint(table / scales[:, None]).astype(np.int8), scales


def save_table(folder: Path, table: NDArray[np.int8], scales: Floats) -> None:
    """Write table.npy and scales.npy into `folder`."""
    np.save(folder / "table.npy", table, allow_pickle=False)
    np.save(folder / "scales.npy", scales, allow_pickle=False)


def _embedded(session: InferenceSession, texts: Sequence[Sequence[int]], progress: Progress) -> Floats:
    """Return the embeddings (texts, dimensions); reports tokens, and as many again as _FIT_TOKENS for the fit."""
    lengths = np.cumsum([0, *map(len, texts)])
    total = int(lengths[-1]) + _FIT_TOKENS
    parts = []
    for start in range(0, len(texts), _BATCH):
        progress(int(lengths[start]), total, "embedding tokens and texts")
        parts.append(embed_ids(session, texts[start : start + _BATCH]))
    progress(int(lengths[-1]), total, "fitting the table")
    return np.concatenate(parts)
