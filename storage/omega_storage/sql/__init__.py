"""Reads the .sql files of this folder: named queries and numbered migrations."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_HERE = Path(__file__).parent  # importlib.resources costs 1 MB and knows zip files, from which nothing runs here
_HEAD = re.compile(r"^-- name: (\w+)\n-- .+\n", re.MULTILINE)


@cache
def queries(folder: str) -> Mapping[str, str]:
    """Return the statements of `folder`/queries.sql by name; each stands under `-- name: x` and one line of comment."""
    text = (_HERE / folder / "queries.sql").read_text(encoding="utf-8")
    _, *parts = _HEAD.split(text)
    return {name: statement.strip() for name, statement in zip(parts[::2], parts[1::2], strict=True)}


@cache
def migrations(folder: str) -> Sequence[str]:
    """Return the scripts `folder`/0001_*.sql and on, in order: number n brings the schema to user_version n."""
    scripts = [file for file in (_HERE / folder).iterdir() if file.name[:4].isdigit()]
    return tuple(file.read_text(encoding="utf-8") for file in sorted(scripts))


def way_back(folder: str, number: int) -> str | None:
    """Return the script back_000n_*.sql that undoes migration `number`; None where there is none."""
    found = next((_HERE / folder).glob(f"back_{number:04}_*.sql"), None)
    return None if found is None else found.read_text(encoding="utf-8")
