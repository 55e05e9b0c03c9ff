"""The dictionary: it never changes, its training repeats, it helps, and threads don't share contexts."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from random import Random

import pytest
import zstandard

from omega.compose import EXAMPLE_CATALOG_PATH
from omega.core.errors import WireError
from omega.core.wire.compression import NEWEST, compress, decompress, dictionary_path
from omega.core.wire.frames import PUSH_LIMIT, decode, encode
from omega.core.wire.messages import in_wire_order
from omega.core.wire.samples import pushed
from omega.core.wire.train import SIZE_BYTES, train

PUBLISHED = {1: "5e67bb2949f8d91a17b0710dfb06f12fbcb7b5fb9ed779605652d8ccd09a05c0"}
"""SHA-256 of every dictionary that was ever published. A line here is added, never changed."""


@pytest.mark.parametrize("number", range(1, NEWEST + 1))
def test_a_published_dictionary_keeps_its_bytes(number: int) -> None:
    content = dictionary_path(number).read_bytes()
    assert hashlib.sha256(content).hexdigest() == PUBLISHED[number]
    assert len(content) == SIZE_BYTES


@pytest.mark.skipif(zstandard.ZSTD_VERSION != (1, 5, 7), reason="another zstd trains otherwise")
def test_training_gives_the_newest_dictionary_again() -> None:
    assert train(EXAMPLE_CATALOG_PATH) == dictionary_path(NEWEST).read_bytes()


def test_the_dictionary_saves_bytes_on_pushes_that_it_has_not_seen() -> None:
    pushes = [pushed(Random(seed), range(800), 100) for seed in range(1_000, 1_030)]
    with_it, without = (sum(len(encode(push, number)) for push in pushes) for number in (NEWEST, 0))
    assert with_it < 0.985 * without


def test_threads_write_and_read_at_once() -> None:
    pushes = [pushed(Random(seed), range(800), 100) for seed in range(400)]
    alone = [encode(push) for push in pushes]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(encode, pushes)) == alone
        found = list(pool.map(lambda frame: decode(frame, max_bytes=PUSH_LIMIT), alone))
    assert found == [in_wire_order(push) for push in pushes]


def test_what_is_compressed_comes_back() -> None:
    raw = Random(1).randbytes(300) * 3
    for number in (0, NEWEST):
        packed = compress(raw, number)
        assert len(packed) < 400
        assert decompress(packed, number, len(raw)) == raw
        with pytest.raises(WireError, match="allowed 65536 B"):
            decompress(packed, number, 65_537)
