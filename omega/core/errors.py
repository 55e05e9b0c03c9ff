"""Every error that Omega raises on purpose.

OmegaError                 exit 1   something failed
+-- InputError             exit 2   what the caller gave is refused; nothing was stored
|   +-- ArtifactError               a published file, its manifest, its signature
|   +-- CatalogError                a catalog file or row
|   +-- ModelError                  a model folder, its files, its space
|   +-- SettingsError               a settings file, environment variable or flag
|   +-- SumsError                   what a shard tells its federation
+-- StoreError             exit 3   the device's store can't be opened, read or written
|   +-- DamagedStoreError           its file is damaged
+-- PluginError            exit 4   a plugin is missing or broken
|   +-- MissingExtraError           an optional dependency isn't installed
+-- BusyError              exit 1   too much is asked at once, or an answer takes too long
+-- DaemonError            exit 5   the daemon can't be reached, doesn't answer in time, or denies
+-- WireError              exit 6   a frame of the sync is refused, or can't be made
+-- DeniedError            exit 8   a shard doesn't take a token, or doesn't admit a device
+-- TransportError         exit 7   a shard can't be reached, doesn't answer in time, or refuses

A message says what was found, what is allowed and what to do: "watch_pct is 1.7, allowed 0..1: divide a percentage
by 100". Errors of other libraries are converted where they enter, with the cause kept.
"""

from __future__ import annotations

from enum import IntEnum
from typing import ClassVar


class OmegaError(Exception):
    """The root; the CLI catches it once, prints its message on one line and exits with `exit_code`."""

    exit_code: ClassVar[int] = 1


class InputError(OmegaError):
    """What the caller gave is refused: the message names the field, its value and the allowed range."""

    exit_code = 2


class ArtifactError(InputError):
    """An artifact isn't signed, newer, of the right kind, whole or within bounds; what is in use stays."""


class CatalogError(InputError):
    """A catalog file, or one of its rows, is refused."""


class ModelError(InputError):
    """A model folder is incomplete, damaged, or of another space than asked for."""


class SettingsError(InputError):
    """A setting has an unknown name or a value out of range; the message says where it came from."""


class SumsError(InputError):
    """What a shard tells its federation is refused; `reason` is one word, for reports and counters."""

    def __init__(self, reason: str, message: str) -> None:
        """Keep the `reason` beside the words: garbage, nan, negative, lineage ..."""
        super().__init__(message)
        self.reason = reason


class StoreError(OmegaError):
    """The store on disk can't be opened, read or written."""

    exit_code = 3


class DamagedStoreError(StoreError):
    """The store's file is damaged, or no longer the one that was opened: opening it again reads what can be read."""


class PluginError(OmegaError):
    """A plugin is unknown, or failed to load."""

    exit_code = 4


class MissingExtraError(PluginError):
    """An optional dependency isn't installed; the message is the pip command that installs it."""

    def __init__(self, module: str, extra: str) -> None:
        """Name the `module` that could not be imported and the `extra` of the distribution that brings it."""
        super().__init__(f"{module} is not installed, it comes with an extra: pip install 'exogenesis-omega[{extra}]'")


class BusyError(OmegaError):
    """Too much is asked at once, or an answer takes too long: asked later, it is given."""


class DaemonError(OmegaError):
    """The daemon of a store can't be reached, is busy, doesn't answer in time, or doesn't let this user do it."""

    exit_code = 5


class WireCode(IntEnum):
    """Why a frame was refused; the numbers are part of the wire format."""

    SIZE = 1
    """Longer than the receiver allows, or shorter than any frame."""
    MAGIC = 2
    VERSION = 3
    """A frame of another major version."""
    KIND = 4
    FLAGS = 5
    CHECKSUM = 6
    COMPRESSION = 7
    """The body isn't one plain zstd frame of the size that the header names."""
    DICTIONARY = 8
    """A dictionary that this program doesn't have."""
    SECTION = 9
    """A section that must be understood and isn't, that stands in the wrong place, or that is missing."""
    NUMBER = 10
    """A number that isn't in its shortest form, or has more than 63 bits."""
    TRUNCATED = 11
    TRAILING = 12
    COUNT = 13
    ORDER = 14
    """Keys that don't ascend, or stand twice."""
    VALUE = 15
    """A field out of its range."""


class WireError(OmegaError):
    """A frame is refused, or can't be made of what was given; `code` says why to a program."""

    exit_code = 6

    def __init__(self, code: WireCode, message: str) -> None:
        """Keep the `code` beside the words."""
        super().__init__(message)
        self.code = code


class DeniedError(OmegaError):
    """A shard doesn't take a token or doesn't admit a device.

    Every denial of a kind has the same message, so that nobody learns from it what was wrong; `reason` is for the
    shard's own counters and never leaves it.
    """

    exit_code = 8

    def __init__(self, message: str, reason: str) -> None:
        """`reason` is one word: forged, expired, replayed ..."""
        super().__init__(message)
        self.reason = reason


class TransportError(OmegaError):
    """A frame or a file did not get through: the shard can't be reached, doesn't answer in time, or refuses."""

    exit_code = 7

    def __init__(
        self,
        message: str,
        *,
        permanent: bool = False,
        retry_after_s: float | None = None,
        token_refused: bool = False,
        absent: bool = False,
    ) -> None:
        """Say what asking again is worth.

        `permanent`: the same question will be refused until somebody changes something. `retry_after_s`: how long the
        shard asks to be left alone. `token_refused`: a new token is the cure. `absent`: the shard has no such file, or
        not that part of it.
        """
        super().__init__(message)
        self.permanent = permanent
        self.retry_after_s = retry_after_s
        self.token_refused = token_refused
        self.absent = absent


def on_one_line(text: str) -> str:
    """Return `text` as it may stand in a message: white space as single blanks, what doesn't print as `?`."""
    return "".join(char if char.isprintable() else "?" for char in " ".join(text.split()))


def shown(value: object, limit: int = 60) -> str:
    """Return `value` as it may stand in a message: its repr, on one line and cut at `limit` characters."""
    text = repr(value[:limit] if isinstance(value, (str, bytes, list, tuple)) else value)
    return text if len(text) <= limit else text[: limit - 3] + "..."
