"""An operator with a key, and its shelf; a TV that pins the key; the way between them, cut in pieces."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import pytest

from omega.core.artifacts.accepted import Accepted
from omega.core.artifacts.keys import Keyring, SigningKey
from omega.core.artifacts.manifest import Kind, Manifest
from omega.core.artifacts.shelf import Shelf

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from omega.core.artifacts.fetching import Fetcher

MADE_AT = 1_790_000_000


class Publish(Protocol):
    """Publishes bytes, by default as weights."""

    def __call__(
        self, data: bytes, kind: Kind = Kind.WEIGHTS, *, by: SigningKey | None = None, name: str | None = None
    ) -> Manifest: ...


@pytest.fixture(scope="session")
def key() -> SigningKey:
    return SigningKey.generate()


@pytest.fixture(scope="session")
def other_key() -> SigningKey:
    return SigningKey.generate()


@pytest.fixture(scope="session")
def keys(key: SigningKey) -> Keyring:
    return Keyring([key.public])


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path / "shelf")


@pytest.fixture
def publish(shelf: Shelf, key: SigningKey) -> Publish:
    def published(
        data: bytes, kind: Kind = Kind.WEIGHTS, *, by: SigningKey | None = None, name: str | None = None
    ) -> Manifest:
        return shelf.publish(data, kind, by or key, made_at=MADE_AT, name=name)

    return published


@pytest.fixture
def tv(tmp_path: Path, keys: Keyring) -> Accepted:
    return Accepted(tmp_path / "tv", keys)


@pytest.fixture
def sealed(shelf: Shelf) -> Callable[[Manifest], bytes]:
    """The file of a published manifest."""
    return lambda manifest: (shelf.folder / manifest.file).read_bytes()


def served(shelf: Shelf, fetcher: Fetcher, requests: int = 10_000) -> list[str]:
    """Answer a fetcher's requests from a shelf, at most so many, and return the files that were asked for in turn."""
    asked: list[str] = []
    for _ in range(requests):
        if (request := fetcher.request()) is None:
            break
        if asked[-1:] != [request.path]:
            asked.append(request.path)
        if (file := shelf.find(request.path)) is None:
            fetcher.missing()
        else:
            fetcher.receive(file.read_bytes()[request.start : request.stop])
    return asked
