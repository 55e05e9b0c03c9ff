"""zstd for bodies: magicless frames that declare nothing, with or without one of the numbered dictionaries.

Who reads a frame has no reason to trust what it says of itself. zstd allocates what a frame declares, whatever limit
is given beside it; so nothing may be declared, and the window is looked at first.
"""

from __future__ import annotations

import threading
from functools import cache
from pathlib import Path

import zstandard

from omega.core.errors import WireCode, WireError

NEWEST = 1
"""The dictionary that frames are made with. A dictionary's number is for ever its own: new ones get new numbers."""
MAX_RAW_BYTES = 65_536
MAX_WINDOW_BYTES = 1 << 17
_LEVEL = 3
"""Level 19 saves 3 % of a hundred hashed titles and takes nine times as long."""


class _Kept(threading.local):
    """The contexts of one thread: making one takes longer than any message."""

    def __init__(self) -> None:
        self.compressors: dict[int, zstandard.ZstdCompressor] = {}
        self.decompressors: dict[int, zstandard.ZstdDecompressor] = {}


_kept = _Kept()


def compress(raw: bytes, dictionary: int) -> bytes:
    """Return one frame; dictionary 0 is none. Raises WireError for one that isn't there."""
    if (compressor := _kept.compressors.get(dictionary)) is None:
        parameters = zstandard.ZstdCompressionParameters.from_level(
            _LEVEL,
            format=zstandard.FORMAT_ZSTD1_MAGICLESS,
            window_log=16,
            write_content_size=0,
            write_checksum=0,
            write_dict_id=0,
        )
        compressor = zstandard.ZstdCompressor(dict_data=_dictionary(dictionary), compression_params=parameters)
        _kept.compressors[dictionary] = compressor
    return compressor.compress(raw)


def decompress(body: bytes, dictionary: int, raw_bytes: int) -> bytes:
    """Return the `raw_bytes` bytes that `body` holds. Raises WireError unless it is one frame of just these."""
    if raw_bytes > MAX_RAW_BYTES:
        raise WireError(WireCode.SIZE, f"body is {raw_bytes} B, allowed {MAX_RAW_BYTES} B: send it in parts")
    _check_declared(body)
    if (decompressor := _kept.decompressors.get(dictionary)) is None:
        decompressor = zstandard.ZstdDecompressor(
            dict_data=_dictionary(dictionary),
            max_window_size=MAX_WINDOW_BYTES,
            format=zstandard.FORMAT_ZSTD1_MAGICLESS,
        )
        _kept.decompressors[dictionary] = decompressor
    try:
        raw = decompressor.decompress(body, max_output_size=raw_bytes, read_across_frames=False, allow_extra_data=False)
    except zstandard.ZstdError as error:
        message = f"body can't be decompressed to {raw_bytes} B ({error}): send it anew"
        raise WireError(WireCode.COMPRESSION, message) from error
    if len(raw) != raw_bytes:
        raise WireError(WireCode.COMPRESSION, f"body is {len(raw)} B, its header says {raw_bytes} B: send it anew")
    return raw


def _check_declared(body: bytes) -> None:
    """Look at the frame's descriptor and window (RFC 8878, 3.1.1.1)."""
    if len(body) < 2 or body[0]:
        raise WireError(
            WireCode.COMPRESSION,
            "body declares a size, a checksum or a dictionary, allowed: nothing: compress without them",
        )
    base = 1 << 10 + (body[1] >> 3)
    if (window := base + base // 8 * (body[1] & 7)) > MAX_WINDOW_BYTES:
        raise WireError(WireCode.COMPRESSION, f"window is {window} B, allowed {MAX_WINDOW_BYTES} B: use a smaller one")


@cache
def _dictionary(number: int) -> zstandard.ZstdCompressionDict | None:
    if not number:
        return None
    try:
        content = dictionary_path(number).read_bytes()
    except OSError as error:
        message = f"dictionary is {number}, allowed 0..{NEWEST}: use an older one"
        raise WireError(WireCode.DICTIONARY, message) from error
    return zstandard.ZstdCompressionDict(content, dict_type=zstandard.DICT_TYPE_FULLDICT)


def dictionary_path(number: int) -> Path:
    """Return where a dictionary of this program is kept."""
    return Path(__file__).with_name(f"{number}.zdict")
