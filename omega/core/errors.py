"""Every error that Omega raises on purpose.

OmegaError                 exit 1   something failed
+-- InputError             exit 2   what the caller gave is refused; nothing was stored
|   +-- CatalogError                a catalog file or row
|   +-- ModelError                  a model folder, its files, its space
|   +-- SettingsError               a settings file, environment variable or flag
+-- StoreError             exit 3   the device's store can't be opened, read or written
|   +-- DamagedStoreError           its file is damaged
+-- PluginError            exit 4   a plugin is missing or broken
|   +-- MissingExtraError           an optional dependency isn't installed
+-- DaemonError            exit 5   the daemon can't be reached, doesn't answer in time, or denies

A message says what was found, what is allowed and what to do: "watch_pct is 1.7, allowed 0..1: divide a percentage
by 100". Errors of other libraries are converted where they enter, with the cause kept.
"""

from __future__ import annotations

from typing import ClassVar


class OmegaError(Exception):
    """The root; the CLI catches it once, prints its message on one line and exits with `exit_code`."""

    exit_code: ClassVar[int] = 1


class InputError(OmegaError):
    """What the caller gave is refused: the message names the field, its value and the allowed range."""

    exit_code = 2


class CatalogError(InputError):
    """A catalog file, or one of its rows, is refused."""


class ModelError(InputError):
    """A model folder is incomplete, damaged, or of another space than asked for."""


class SettingsError(InputError):
    """A setting has an unknown name or a value out of range; the message says where it came from."""


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


class DaemonError(OmegaError):
    """The daemon of a store can't be reached, is busy, doesn't answer in time, or doesn't let this user do it."""

    exit_code = 5


def on_one_line(text: str) -> str:
    """Return `text` as it may stand in a message: white space as single blanks, what doesn't print as `?`."""
    return "".join(char if char.isprintable() else "?" for char in " ".join(text.split()))


def shown(value: object, limit: int = 60) -> str:
    """Return `value` as it may stand in a message: its repr, on one line and cut at `limit` characters."""
    text = repr(value[:limit] if isinstance(value, (str, bytes, list, tuple)) else value)
    return text if len(text) <= limit else text[: limit - 3] + "..."
