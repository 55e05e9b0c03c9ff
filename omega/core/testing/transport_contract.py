"""What every Transport promises, as tests, and the app that they talk to.

class TestMyTransport(TransportContract):
    transport = MyTransport

    @asynccontextmanager
    async def served(self, app):
        async with my_server(app) as port:
            yield Place(f"mine://localhost:{port}")
"""

from __future__ import annotations

import asyncio
import hashlib
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import msgspec
import pytest

from omega.core.errors import InputError, TransportError
from omega.core.ports import ARTIFACTS, HEALTH, MAX_FRAME_BYTES, MAX_REPLY_BYTES, Fetched, Reply, SyncApp

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine
    from contextlib import AbstractAsyncContextManager

    from omega.core.ports import Transport, TransportClient

TOKEN = "a-token"  # noqa: S105  (of a test)


class Place(msgspec.Struct, frozen=True):
    """Where an app is served, and whom to trust there."""

    url: str
    ca: Path | None = None


class ScriptedApp(SyncApp):
    """A shard that answers what a test says: by default the frame, turned round; it keeps what it saw."""

    def __init__(self, answer: Callable[[bytes], Awaitable[Reply]] | None = None) -> None:
        """`answer` gets each frame whose token is TOKEN."""
        self.seen: list[tuple[str, bytes]] = []
        self.files: dict[str, Path] = {}
        self._answer = answer or _turned

    async def sync(self, token: str, body: bytes) -> Reply:
        """Answer a frame; 401 without the token."""
        self.seen.append((token, body))
        return await self._answer(body) if token == TOKEN else Reply(401, b"the token is unknown")

    def artifact(self, name: str) -> Path | None:
        """Return the file that was published."""
        return self.files.get(name)

    def health(self) -> Reply:
        """Be well."""
        return Reply(200, b'{"status":"ok"}', (("content-type", "application/json"),))

    def publish(self, folder: Path, content: bytes, name: str | None = None) -> str:
        """Write a file, publish it, by default by its SHA-256, and return its path."""
        name = name or hashlib.sha256(content).hexdigest()
        self.files[name] = folder / name
        self.files[name].write_bytes(content)
        return ARTIFACTS + name


async def _turned(frame: bytes) -> Reply:
    return Reply(200, frame[::-1])


def always(reply: Reply) -> Callable[[bytes], Awaitable[Reply]]:
    """Return an answer that is the same to every frame."""

    async def answer(_frame: bytes) -> Reply:
        return reply

    return answer


class TransportContract(ABC):
    """What every Transport promises."""

    transport: ClassVar[type[Transport]]

    @abstractmethod
    def served(self, app: SyncApp) -> AbstractAsyncContextManager[Place]:
        """Serve the app within the block, in the running loop."""

    def connect(self, place: Place, *, token: str = TOKEN, timeout_s: float = 20) -> TransportClient:
        """Return a client of a place."""
        return self.transport.connect(place.url, token=lambda: token, ca=place.ca, timeout_s=timeout_s)

    def run(self, app: SyncApp, use: Callable[[TransportClient], Coroutine[None, None, None]]) -> None:
        """Serve the app and let `use` talk to it."""

        async def ran() -> None:
            async with self.served(app) as place, self.connect(place) as client:
                await use(client)

        asyncio.run(ran())

    def refused(self, app: SyncApp, frame: bytes = b"frame") -> TransportError:
        """Return the error that an exchange raises."""
        errors: list[TransportError] = []

        async def use(client: TransportClient) -> None:
            with pytest.raises(TransportError) as caught:
                await client.exchange(frame)
            errors.append(caught.value)

        self.run(app, use)
        return errors[0]

    @pytest.mark.parametrize("size_bytes", [0, 1, 195, 1024, MAX_FRAME_BYTES])
    def test_carries_a_frame_and_its_answer(self, size_bytes: int) -> None:
        frame, app = bytes(i * 7 % 256 for i in range(size_bytes)), ScriptedApp()

        async def use(client: TransportClient) -> None:
            assert await client.exchange(frame) == frame[::-1]

        self.run(app, use)
        assert app.seen == [(TOKEN, frame)]

    @pytest.mark.parametrize("size_bytes", [0, 450, 5120, MAX_REPLY_BYTES])
    def test_carries_the_longest_answer(self, size_bytes: int) -> None:
        async def use(client: TransportClient) -> None:
            assert await client.exchange(b"x") == bytes(size_bytes)

        self.run(ScriptedApp(always(Reply(200, bytes(size_bytes)))), use)

    def test_a_longer_frame_never_leaves(self) -> None:
        app = ScriptedApp()
        error = self.refused(app, bytes(MAX_FRAME_BYTES + 1))
        assert error.permanent
        assert "8,193 B" in str(error)
        assert app.seen == []

    def test_a_longer_answer_is_refused(self) -> None:
        error = self.refused(ScriptedApp(always(Reply(200, bytes(MAX_REPLY_BYTES + 1)))))
        assert error.permanent
        assert "65,537 B" in str(error)

    def test_the_token_is_asked_for_before_each_exchange(self) -> None:
        app, tokens = ScriptedApp(), iter([TOKEN, "another", "", TOKEN])

        async def ran() -> None:
            async with self.served(app) as place:
                client = self.transport.connect(place.url, token=lambda: next(tokens), ca=place.ca)
                async with client:
                    await client.exchange(b"1")
                    for _ in range(2):
                        with pytest.raises(TransportError, match="401: the token is unknown") as caught:
                            await client.exchange(b"2")
                        assert caught.value.token_refused
                    await client.exchange(b"3")

        asyncio.run(ran())
        assert [token for token, _ in app.seen] == [TOKEN, "another", "", TOKEN]

    @pytest.mark.parametrize(
        ("status", "permanent"),
        [(400, True), (403, True), (404, True), (413, True), (429, False), (500, False), (503, False)],
    )
    def test_a_refusal_says_what_asking_again_is_worth(self, status: int, permanent: bool) -> None:  # noqa: FBT001
        error = self.refused(ScriptedApp(always(Reply(status, b"because\nof\x1b[31m it"))))
        assert error.permanent is permanent
        assert error.retry_after_s is None
        assert not error.token_refused
        assert f"{status}: because of?[31m it" in str(error)

    @pytest.mark.parametrize(
        ("told", "found"),
        [("0", 0), ("17", 17), ("99999999999999999999", 86_400), ("-3", None), ("soon", None), ("nan", None)],
    )
    def test_retry_after_reaches_the_client_within_reason(self, told: str, found: float | None) -> None:
        error = self.refused(ScriptedApp(always(Reply(503, b"full", (("retry-after", told),)))))
        assert error.retry_after_s == found

    def test_an_answer_that_does_not_come_is_given_up_and_the_next_one_comes(self) -> None:
        waits = iter([2.0, 0.0])

        async def late(frame: bytes) -> Reply:
            await asyncio.sleep(next(waits))
            return Reply(200, frame)

        async def ran() -> None:
            async with self.served(ScriptedApp(late)) as place, self.connect(place, timeout_s=0.4) as client:
                with pytest.raises(TransportError, match=r"0\.4 s") as caught:
                    await client.exchange(b"first")
                assert not caught.value.permanent
                assert await client.exchange(b"second") == b"second"

        asyncio.run(ran())

    def test_a_cancelled_exchange_leaves_the_next_one_alone(self) -> None:
        async def slow(frame: bytes) -> Reply:
            await asyncio.sleep(0.2 if frame == b"slow" else 0)
            return Reply(200, frame)

        async def use(client: TransportClient) -> None:
            for _ in range(3):
                task = asyncio.create_task(client.exchange(b"slow"))
                await asyncio.sleep(0.05)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                assert await client.exchange(b"quick") == b"quick"

        self.run(ScriptedApp(slow), use)

    def test_answers_that_come_in_another_order_go_to_their_questions(self) -> None:
        async def shuffled(frame: bytes) -> Reply:
            await asyncio.sleep(frame[0] % 7 / 100)
            return Reply(200, frame)

        async def use(client: TransportClient) -> None:
            frames = [bytes([i, i // 2]) for i in range(200)]
            assert await asyncio.gather(*map(client.exchange, frames)) == frames

        self.run(ScriptedApp(shuffled), use)

    def test_the_shards_health_can_be_asked(self) -> None:
        async def use(client: TransportClient) -> None:
            found = await client.get(HEALTH, max_bytes=1000)
            assert found == Fetched(b'{"status":"ok"}', 15, None)

        self.run(ScriptedApp(), use)

    @pytest.mark.parametrize("size_bytes", [0, 1, 262_144, 1_000_003])
    def test_fetches_a_file_once(self, tmp_path: Path, size_bytes: int) -> None:
        content, app = bytes(i % 251 for i in range(size_bytes)), ScriptedApp()
        path = app.publish(tmp_path, content)

        async def use(client: TransportClient) -> None:
            first = await client.get(path, max_bytes=size_bytes)
            assert (first.data, first.size_bytes) == (content, size_bytes)
            assert first.etag
            again = await client.get(path, max_bytes=0, etag=first.etag)
            assert again.data is None
            assert again.etag == first.etag
            changed = await client.get(path, max_bytes=size_bytes, etag='"other"')
            assert changed.data == content

        self.run(app, use)

    def test_fetches_a_file_in_parts(self, tmp_path: Path) -> None:
        content, app = bytes(i % 253 for i in range(100_000)), ScriptedApp()
        path, got = app.publish(tmp_path, content), bytearray()

        async def use(client: TransportClient) -> None:
            while len(got) < 100_000:
                part = await client.get(path, max_bytes=30_000, part=range(len(got), len(got) + 30_000))
                assert part.size_bytes == 100_000
                got.extend(part.data or b"")
            with pytest.raises(TransportError) as caught:
                await client.get(path, max_bytes=30_000, part=range(100_000, 130_000))
            assert caught.value.permanent
            assert caught.value.absent

        self.run(app, use)
        assert got == content

    def test_fetches_a_manifest_by_its_name(self, tmp_path: Path) -> None:
        app = ScriptedApp()
        path = app.publish(tmp_path, b"{}", f"{'0a' * 16}-17.json")

        async def use(client: TransportClient) -> None:
            found = await client.get(path, max_bytes=4096, part=range(4096))
            assert (found.data, found.size_bytes) == (b"{}", 2)

        self.run(app, use)

    def test_a_longer_file_is_refused(self, tmp_path: Path) -> None:
        app = ScriptedApp()
        path = app.publish(tmp_path, bytes(50_000))

        async def use(client: TransportClient) -> None:
            with pytest.raises(TransportError, match=r"50,000 B, allowed: 49,999 B") as caught:
                await client.get(path, max_bytes=49_999)
            assert caught.value.permanent
            assert len((await client.get(path, max_bytes=50_000)).data or b"") == 50_000

        self.run(app, use)

    @pytest.mark.parametrize(
        "path",
        [
            "/",
            "/v1/nothing",
            ARTIFACTS,
            f"{ARTIFACTS}{'0' * 64}",
            f"{ARTIFACTS}{'0' * 32}-1.json",
            f"{ARTIFACTS}../../../etc/passwd",
        ],
    )
    def test_what_is_not_there_is_said_so(self, path: str) -> None:
        async def use(client: TransportClient) -> None:
            with pytest.raises(TransportError, match="404") as caught:
                await client.get(path, max_bytes=1000)
            assert caught.value.permanent
            assert caught.value.absent

        self.run(ScriptedApp(), use)

    def test_finds_a_shard_that_comes_later(self) -> None:
        async def ran() -> None:
            async with self.served(ScriptedApp()) as place:
                gone = self.connect(place)
                await gone.exchange(b"there")
            with pytest.raises(TransportError) as caught:
                await gone.exchange(b"gone")
            assert not caught.value.permanent
            await gone.close()

        asyncio.run(ran())

    @pytest.mark.parametrize("url", ["", "nonsense", "ftp://localhost/", "://", "http", "\0", "x" * 5000])
    def test_refuses_what_is_no_address(self, url: str) -> None:
        with pytest.raises(InputError):
            self.transport.connect(url, token=str)
