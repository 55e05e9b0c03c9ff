from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest

from omega.core.errors import InputError
from omega.core.ranking_weights import NAMES, TERMS, RankingWeights, decode_weights, encode_weights, read_weights

if TYPE_CHECKING:
    from pathlib import Path

WEIGHTS = RankingWeights.of(range(10))


def test_a_file_is_read_as_it_was_written(tmp_path: Path) -> None:
    (tmp_path / "w.json").write_bytes(encode_weights(WEIGHTS))
    assert read_weights(tmp_path / "w.json") == WEIGHTS
    assert WEIGHTS.values == tuple(range(10))


def test_five_terms_hold_each_weight_once() -> None:
    assert sorted(name for names in TERMS.values() for name in names) == sorted(NAMES)
    left = WEIGHTS.without(["taste"])
    assert (left.genre, left.content) == (0, 0)
    assert left.audience == WEIGHTS.audience


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        (b'"trend": 0.0', b'"trend": 1e9', "weight trend is 1000000000.0, allowed: -50..50"),
        (b'"trend": 0.0', b'"trend": "a"', "holds no ranking weights"),
        (b'"trend": 0.0', b'"trend": NaN', "holds no ranking weights"),
        (b'"trend": 0.0,', b"", "holds no ranking weights"),
        (b'"trend": 0.0', b'"trent": 0.0', "holds no ranking weights"),
        (b'weights": 1', b'weights": 2', "is of format 2, allowed: 1"),
        (b"{", b"[" * 100_000, "holds no ranking weights"),
    ],
)
def test_what_is_no_weights_file_is_refused(old: bytes, new: bytes, found: str) -> None:
    raw = encode_weights(WEIGHTS)
    assert old in raw
    with pytest.raises(InputError, match=found):
        decode_weights(raw.replace(old, new, 1), "w.json")


@pytest.mark.parametrize("value", [math.nan, math.inf, -51.0])
def test_no_weight_is_out_of_bounds(value: float) -> None:
    with pytest.raises(InputError, match="weight trend is"):
        RankingWeights.of([value, *range(9)])
