"""Errors: one root, an exit code a branch, values shown on one short line."""

from __future__ import annotations

import pytest

from omega.core import errors
from omega.core.errors import (
    DaemonError,
    DeniedError,
    InputError,
    MissingExtraError,
    OmegaError,
    PluginError,
    StoreError,
    TransportError,
    WireError,
    shown,
)


def test_every_error_has_the_exit_code_that_the_tree_at_the_top_draws() -> None:
    codes = {
        OmegaError: 1,
        InputError: 2,
        StoreError: 3,
        PluginError: 4,
        DaemonError: 5,
        WireError: 6,
        TransportError: 7,
        DeniedError: 8,
    }
    found = [cls for cls in vars(errors).values() if isinstance(cls, type) and issubclass(cls, OmegaError)]
    assert len(found) == 16
    for cls in found:
        branch = next(base for base in cls.__mro__ if base in codes)
        assert cls.exit_code == codes[branch]
        assert cls.__name__ in (errors.__doc__ or "")


def test_a_missing_extra_names_the_command_that_installs_it() -> None:
    message = str(MissingExtraError("apsw", "device"))
    assert "apsw" in message
    assert message.endswith("pip install 'exogenesis-omega[device]'")


@pytest.mark.parametrize(
    "value", ["x" * 10_000_000, b"y" * 100, list(range(1000)), {"a": "b" * 500}, "a\nb\x1b[31m", 1.7]
)
def test_a_value_is_shown_on_one_short_line(value: object) -> None:
    text = shown(value)
    assert 0 < len(text) <= 60
    assert text.isprintable()


def test_a_short_value_is_shown_whole() -> None:
    assert shown("abc") == "'abc'"
    assert shown("abcdefghij", 8) == "'abcd..."
