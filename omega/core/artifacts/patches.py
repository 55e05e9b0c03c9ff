"""Patches: a file compressed by zstd with the older one as its dictionary, as `zstd --patch-from` does it.

A patch is decoded only within bounds known beforehand: the size that a signed manifest tells, and a window of 128 MiB.
"""

from __future__ import annotations

from typing import Final

import zstandard

from omega.core.errors import ArtifactError

MAX_WINDOW_LOG: Final = 27
_LEVEL: Final = 19
_WORTH: Final = 0.9
"""A patch that is longer than this share of the file isn't kept."""


def make_patch(base: bytes, data: bytes) -> bytes | None:
    """Return what turns `base`, which may be empty, into `data`; None when it isn't worth it or they are too large."""
    window_log = max((len(base) + len(data)).bit_length(), zstandard.WINDOWLOG_MIN)
    if window_log > MAX_WINDOW_LOG:
        return None
    parameters = zstandard.ZstdCompressionParameters.from_level(
        _LEVEL,
        source_size=len(data),
        dict_size=len(base),
        window_log=window_log,
        enable_ldm=True,
        write_dict_id=False,
    )
    made = zstandard.ZstdCompressor(dict_data=_dictionary(base), compression_params=parameters).compress(data)
    return made if len(made) < _WORTH * len(data) else None


def apply_patch(base: bytes, patch: bytes, size_bytes: int) -> bytes:
    """Return the file of `size_bytes` that the patch makes of `base`. Raises ArtifactError, before it decodes a bomb.

    Whether it is the right file, only its sha256 can tell.
    """
    try:
        facts = zstandard.get_frame_parameters(patch)
        # python-zstandard allocates whatever size a frame declares, its own max_output_size notwithstanding.
        if facts.content_size != size_bytes or facts.window_size > 2**MAX_WINDOW_LOG:
            raise ArtifactError(
                f"patch declares {facts.content_size:,} B and a window of {facts.window_size:,} B, allowed: "
                f"{size_bytes:,} B and at most {2**MAX_WINDOW_LOG:,} B: take the whole file"
            )
        decoder = zstandard.ZstdDecompressor(dict_data=_dictionary(base), max_window_size=2**MAX_WINDOW_LOG)
        data = decoder.decompress(patch, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise ArtifactError(f"patch of {len(patch):,} B can't be applied ({error}): take the whole file") from error
    if len(data) != size_bytes:
        raise ArtifactError(f"patch gives {len(data):,} B, allowed: {size_bytes:,} B: take the whole file")
    return data


def _dictionary(base: bytes) -> zstandard.ZstdCompressionDict | None:
    return zstandard.ZstdCompressionDict(base, dict_type=zstandard.DICT_TYPE_RAWCONTENT) if base else None
