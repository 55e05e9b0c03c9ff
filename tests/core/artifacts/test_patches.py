"""Patches: they give back any file, and nothing larger than was agreed, whatever they say of themselves."""

from __future__ import annotations

import random
import tracemalloc

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from omega.core.artifacts.patches import apply_patch, make_patch
from omega.core.errors import ArtifactError

RNG = random.Random(3)
OLD = RNG.randbytes(40_000)
NEW = OLD[:9_000] + b"something new" + OLD[9_500:] + OLD[:700]


def flawed(base: bytes, patch: bytes, size_bytes: int, data: bytes) -> None:
    """A patch that was changed is refused, or gives what the artifact's sha256 then tells apart, never more."""
    try:
        found = apply_patch(base, patch, size_bytes)
    except ArtifactError:
        return
    assert len(found) == size_bytes == len(data)


def test_a_patch_is_as_long_as_what_is_new() -> None:
    patch = make_patch(OLD, NEW)
    assert patch
    assert len(patch) < 200
    assert apply_patch(OLD, patch, len(NEW)) == NEW


@given(st.binary(max_size=3000), st.binary(min_size=1, max_size=3000), st.integers(0, 3000), st.integers(1, 40))
def test_any_file_is_given_back(base: bytes, added: bytes, at: int, times: int) -> None:
    data = base[:at] + added * times + base[at:]
    for old in (base, b""):
        if (patch := make_patch(old, data)) is not None:
            assert len(patch) < len(data)
            assert apply_patch(old, patch, len(data)) == data


def test_what_isnt_shorter_is_no_patch() -> None:
    assert make_patch(b"", RNG.randbytes(5000)) is None
    assert make_patch(OLD, RNG.randbytes(5000)) is None


def test_a_window_beyond_128_mib_is_never_needed() -> None:
    assert make_patch(bytes(2**26), bytes(2**26)) is None


def test_changed_patches_are_refused_or_keep_their_bounds() -> None:
    patch = make_patch(OLD, NEW)
    assert patch
    for place in range(len(patch)):
        for bit in range(8):
            flipped = bytearray(patch)
            flipped[place] ^= 1 << bit
            flawed(OLD, bytes(flipped), len(NEW), NEW)
        with pytest.raises(ArtifactError):
            apply_patch(OLD, patch[:place], len(NEW))
    for more in (patch + b"x", patch + patch, b"x" + patch):
        with pytest.raises(ArtifactError):
            apply_patch(OLD, more, len(NEW))


@given(st.binary(max_size=2000), st.integers(1, 2000))
def test_any_bytes_are_refused_or_keep_their_bounds(data: bytes, size_bytes: int) -> None:
    flawed(OLD, zstandard.FRAME_HEADER + data, size_bytes, bytes(size_bytes))


def test_another_base_is_refused_or_gives_other_bytes() -> None:
    patch = make_patch(OLD, NEW)
    assert patch
    for base in (b"", OLD[:-1], RNG.randbytes(40_000)):
        flawed(base, patch, len(NEW), NEW)
        try:
            assert apply_patch(base, patch, len(NEW)) != NEW
        except ArtifactError:
            continue


def bombs() -> dict[str, bytes]:
    huge = bytes(64 * 2**20)
    bare = zstandard.ZstdCompressor(write_content_size=False).compress(huge)
    wide = zstandard.ZstdCompressionParameters.from_level(3, window_log=30, write_content_size=False)
    return {
        "64 MiB, told": zstandard.compress(huge),
        "64 MiB, untold": bare,
        "window of 1 GiB": zstandard.ZstdCompressor(compression_params=wide).compress(huge[:100]),
        # magic, a single segment with a size of 8 bytes, 2^40, and no block
        "1 TiB, declared": zstandard.FRAME_HEADER + bytes([0xE0]) + (2**40).to_bytes(8, "little") + b"\x01\0\0",
        "a skippable frame": (0x184D2A50).to_bytes(4, "little") + (1000).to_bytes(4, "little") + bytes(1000),
        "no frame": b"",
    }


@pytest.mark.parametrize(("name", "bomb"), bombs().items(), ids=list(bombs()))
def test_a_bomb_is_refused_before_it_goes_off(name: str, bomb: bytes) -> None:
    tracemalloc.start()
    with pytest.raises(ArtifactError):
        apply_patch(b"", bomb, 1000)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**20
