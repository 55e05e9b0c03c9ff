"""A served shard whose Postgres goes, crawls, takes nobody or has no room: TVs come later, the sums are the truth."""

from __future__ import annotations

import asyncio
import os
import subprocess
from contextlib import closing, contextmanager, suppress
from http.client import HTTPConnection
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING

import pytest

from omega.core.errors import TransportError
from tests.integration.test_workers import Tv, enrolled, sums, truth
from tests.shard.serving import Served

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
    from typing import Any

    from tests.postgres_server import Databases

pytest.importorskip("psycopg", reason="psycopg is not installed: pip install 'exogenesis-omega[postgres]'")

TVS, WAIT_S = 40, 60
SLOW = "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep({}); RETURN NEW; END'"
HANG_ON = "CREATE TRIGGER slow BEFORE INSERT ON journal FOR EACH ROW EXECUTE FUNCTION slow()"


def health(url: str) -> int:
    """Return the status that the shard tells of itself."""
    with closing(HTTPConnection(url.removeprefix("http://"), timeout=WAIT_S)) as asking:
        asking.request("GET", "/v1/health")
        return asking.getresponse().status


async def until_health(url: str, status: int) -> None:
    """Wait until it tells this; nobody else comes meanwhile."""
    async with asyncio.timeout(WAIT_S):
        while await asyncio.to_thread(health, url) != status:  # noqa: ASYNC110  (another process's)
            await asyncio.sleep(0.1)


async def come(tvs: Iterable[Tv]) -> list[TransportError]:
    """Let each push once, and return what was told to those who are to come later."""
    found = await asyncio.gather(*(tv.push() for tv in tvs), return_exceptions=True)
    for error in found:
        if error is not None and not isinstance(error, TransportError):
            raise error
    return [error for error in found if isinstance(error, TransportError)]


async def in_turns(tvs: list[Tv]) -> list[TransportError]:
    """Come in small groups, so that some are being committed whenever the server goes."""
    errors = []
    for start in range(0, len(tvs), 4):
        errors += await come(tvs[start : start + 4])
    return errors


def are_put_off(errors: Sequence[TransportError]) -> bool:
    """Whether all are asked to come in a while, and not one is told that it never need."""
    assert all((error.retry_after_s or 0) >= 15 and not error.permanent for error in errors), errors
    return bool(errors)


def heard(served: Served, store: str, tvs: Sequence[Tv], failures: int | None = 1) -> None:
    """End the shard: what it counted is what the TVs were told, and it said of each failure one thing.

    None: whether there is a failure is a matter of luck.
    """
    log = served.stop().splitlines()
    assert sums(store) == truth(list(tvs))
    failed, worked = (sum(f"the store {words}" in line for line in log) for words in ("failed", "works again"))
    assert failed == worked == (failed if failures is None else failures), log
    assert len(log) <= 8 * max(failed, 1), log


@contextmanager
def a_shard(store: str, folder: Path) -> Iterator[Served]:
    with Served(folder / "shard", "--store", store) as served:
        yield served


def play(served: Served, playing: Callable[[list[Tv]], Coroutine[Any, Any, None]], count: int = TVS) -> list[Tv]:
    """Let so many TVs play, and return them."""
    tvs: list[Tv] = []

    async def played() -> None:
        try:
            tvs.extend(await enrolled(served.url, count))
            await playing(tvs)
        finally:
            await asyncio.gather(*(tv.client.close() for tv in tvs))

    asyncio.run(asyncio.wait_for(played(), 5 * WAIT_S))
    return tvs


@pytest.fixture
def store(databases: Databases, tmp_path: Path) -> str:
    return databases.url(tmp_path)


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_a_server_that_stops_under_load_and_comes_back(
    databases: Databases, store: str, tmp_path: Path, mode: str
) -> None:
    async def playing(tvs: list[Tv]) -> None:
        assert await come(tvs) == []
        loading = asyncio.create_task(in_turns(tvs))
        await asyncio.sleep(0.05)
        await asyncio.to_thread(databases.server.end, mode)
        try:
            are_put_off(await loading)
            assert are_put_off(await come(tvs[:5]))
            assert health(served.url) == 503
            tvs.append(stranger := Tv(TVS + 1, served.url))
            with pytest.raises(TransportError) as caught:
                await stranger.enrol()
            assert are_put_off([caught.value])
            assert str(databases.server.folder) not in str(caught.value), "nobody need know where the database is"
        finally:
            await asyncio.to_thread(databases.server.run)
        await until_health(served.url, 200)
        await stranger.enrol()
        assert await come(tvs) == []

    with a_shard(store, tmp_path) as served:
        heard(served, store, play(served, playing))


def test_a_server_that_is_slow_or_locked(databases: Databases, tmp_path: Path) -> None:
    url, bystander = databases.url(tmp_path, "statement_timeout=1500ms", "lock_timeout=700ms"), databases.url(tmp_path)

    async def playing(tvs: list[Tv]) -> None:
        databases.run(SLOW.format(0.5), bystander)
        databases.run(HANG_ON, bystander)
        assert await come(tvs) == [], "half a second is nobody's trouble"
        databases.run(SLOW.format(60).replace("CREATE", "CREATE OR REPLACE", 1), bystander)
        errors = await come(tvs)
        assert len(errors) == TVS
        assert are_put_off(errors)
        assert health(served.url) == 503
        databases.run("DROP TRIGGER slow ON journal", bystander)
        await until_health(served.url, 200)
        assert await come(tvs) == []
        with closing(databases.connect(bystander)) as other, other.transaction():
            other.execute("UPDATE device SET seen_day = seen_day")
            errors = await come(tvs)
            assert len(errors) == TVS
            assert are_put_off(errors)
            assert health(served.url) == 503
        await until_health(served.url, 200)
        assert await come(tvs) == []

    with a_shard(url, tmp_path) as served:
        heard(served, bystander, play(served, playing), failures=2)


def test_a_server_that_takes_no_more_connections(databases: Databases, tmp_path: Path) -> None:
    role = f"few{os.getpid()}"
    store, bystander = databases.url(tmp_path, user=role), databases.url(tmp_path)
    [(schema,)] = databases.run("SELECT current_schema()", bystander)
    databases.run(f"CREATE ROLE {role} LOGIN CONNECTION LIMIT 1; GRANT ALL ON SCHEMA {schema} TO {role}")

    def at_most(connections: int) -> None:
        databases.run(f"ALTER ROLE {role} CONNECTION LIMIT {connections}")

    async def playing(tvs: list[Tv]) -> None:
        assert await come(tvs) == []
        at_most(0)
        ended = f"SELECT pg_terminate_backend(pid, 30000) FROM pg_stat_activity WHERE usename = '{role}'"  # noqa: S608
        databases.run(ended)
        errors = await come(tvs)
        assert len(errors) == TVS
        assert are_put_off(errors)
        assert health(served.url) == 503
        at_most(2)
        await until_health(served.url, 200)
        assert await come(tvs) == []
        tvs.append(stranger := Tv(TVS + 1, served.url))
        await stranger.enrol()

    try:
        with pytest.raises(AssertionError, match="takes no more connections: raise max_connections"):
            Served(tmp_path / "shard", "--store", store).start()
        at_most(2)
        with a_shard(store, tmp_path) as served:
            heard(served, bystander, play(served, playing))
    finally:
        databases.run(f"DROP OWNED BY {role}; DROP ROLE {role}")


@contextmanager
def a_disk(mb: int) -> Iterator[Path]:
    """A small disk that anybody may enter; skips the test where none can be had."""
    folder = Path(mkdtemp(prefix="omega-small-"))
    try:
        mount = ["mount", "-t", "tmpfs", "-o", f"size={mb}m,mode=755", "none", str(folder)]
        if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
            pytest.skip("only root can mount a small disk for Postgres, and may not everywhere")
        try:
            yield folder
        finally:
            subprocess.run(["umount", "-l", str(folder)], check=True)
    finally:
        folder.rmdir()


@pytest.fixture
def room(databases: Databases) -> Iterator[Path]:
    """A disk of 3 MB, on which tables may be; the log is elsewhere."""
    with a_disk(3) as folder:
        folder.chmod(0o755)
        tables, data = folder / "tables", databases.server.folder / "data"
        tables.mkdir()
        os.chown(tables, data.stat().st_uid, data.stat().st_gid)
        databases.run(f"CREATE TABLESPACE small{os.getpid()} LOCATION '{tables}'")
        yield folder
        databases.clear()
        databases.run(f"DROP TABLESPACE small{os.getpid()}")


def fill(file: Path) -> None:
    """Leave no room for anything."""
    with file.open("wb", buffering=0) as out, suppress(OSError):
        while True:
            out.write(bytes(512))


def test_a_disk_that_is_full(databases: Databases, room: Path, tmp_path: Path) -> None:
    store = databases.url(tmp_path, f"default_tablespace=small{os.getpid()}")

    async def playing(tvs: list[Tv]) -> None:
        assert await come(tvs) == []
        ballast = room / "film"
        fill(ballast)
        errors: list[TransportError] = []
        waves = 0
        while len(errors) < TVS:
            part = tvs[waves % 4 * TVS :][:TVS]
            errors = await come(part)
            waves += 1
            assert waves < 13, "there is room for ever"
        assert are_put_off(errors)
        assert health(served.url) == 503
        ballast.unlink()
        await until_health(served.url, 200)
        assert await come(tvs) == []

    with a_shard(store, tmp_path) as served:
        heard(served, store, play(served, playing, 4 * TVS))
