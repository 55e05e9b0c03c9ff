"""The management of a shard over real sockets: what it describes is what it does, and who may ask what."""

from __future__ import annotations

import asyncio
import json
import re
import sys
import threading
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest

from omega.compose import load_embedder
from omega.core.errors import StoreError, TransportError
from omega.core.identity.admins import Role, add_admin, read_admins, revoke_admin
from omega.core.shard_records import Move, Sample, Tick, unknown_title
from omega.core.shard_sums import decode as decode_sums
from omega.core.testing.shard_contract import an_id
from omega.core.types import time_and_day
from omega.core.wire import decode, encode, split
from omega.shard.rest.openapi import description
from omega.shard.rest.replies import FILE_TYPE
from omega.shard.rest.service import WRONG_TOKENS
from omega.title_search import MOST_WAITING
from omega_storage.shard_sqlite import SqliteShardStore
from tests.shard.managing import Managed, a_key, on_managed
from tests.shard.playing import CATALOG, a_push, a_row
from tests.shard.schemas import misfit, resolved

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from omega.core.ports import Embedder, ShardStore
    from omega.core.settings import Settings
    from tests.shard.managing import Answer

TODAY = int(time.time()) // 86_400
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
HIGH, LOW = b"\xff" * 22, b"\x11" * 22


class Store(SqliteShardStore):
    """The real one, with a disk that can fail."""

    broken = False

    def device_count(self) -> int:
        self._look()
        return super().device_count()

    def trending(self, most: int, titles: int) -> Any:
        self._look()
        return super().trending(most, titles)

    def _look(self) -> None:
        if self.broken:
            raise StoreError("the disk is gone")


def a_store(folder: Path) -> Store:
    return Store.open(folder / "s.db", max_devices=100)


def tell(
    store: ShardStore, title: int, households: range, *, slot: int = 4, milli: int = 1000, taste: bytes = b""
) -> None:
    """Let so many households tell of a title, each with a new version of the device with its number."""
    for by in households:
        row = store.device(by)
        assert row
        sample = Sample(title, slot, TODAY, milli, (by * 2_654_435_761 + title * 977) % 2**32, taste)
        store.commit(Tick(TODAY, [Move(by, 1, row.version, row.version + 1, (sample,))]))
        store.trending(1, 1)  # adds it up: ticks between two reads count as one


def a_crowd(store: ShardStore) -> None:
    """Let households tell of titles 1..5: enough of the first, too few of the last two."""
    tell(store, 1, range(12), taste=HIGH)
    tell(store, 2, range(8), slot=5, milli=950, taste=HIGH)
    tell(store, 3, range(5), taste=LOW)
    tell(store, 4, range(3), taste=b"")
    tell(store, 5, range(2), taste=HIGH)
    tell(store, unknown_title(99), range(6))


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method.upper(), operation


def spelt(path: str, operation: dict[str, Any], **instead: Any) -> str:
    """Return a path with values for all that must be given."""
    values = {"id": a_key(1).id.hex(), "title": "t1", "text": "heist"} | instead
    query = "&".join(
        f"{param['name']}={values[param['name']]}"
        for param in operation.get("parameters", ())
        if param["in"] == "query" and param["name"] in values and values[param["name"]] is not None
    )
    return "/api/v1" + path.replace("{id}", values["id"]) + ("?" + query if query else "")


def fits(found: Answer, operation: dict[str, Any], document: dict[str, Any]) -> str | None:
    """Return why an answer isn't as its operation says."""
    told = operation["responses"].get(str(found.status))
    if told is None:
        return f"{found.status} isn't described: {found.body!r}"
    if found.status == 200 and FILE_TYPE in told["content"]:
        return None if decode_sums(found.body).columns.title else "sums without a row"
    return misfit(found.json, told["content"]["application/json"]["schema"], document)


def test_every_route_is_as_it_is_described(tmp_path: Path) -> None:
    store = a_store(tmp_path)

    async def play(managed: Managed) -> None:
        await managed.admitted(1)
        await managed.shard.ask(a_crowd_of_more)
        document = (await managed.ask("/api/v1/openapi.json", of=None)).json
        assert document == json.loads(json.dumps(description()))
        assert len(list(operations(document))) >= 10
        for path, methods in document["paths"].items():
            allowed = {method.upper() for method in methods}
            any_operation = next(iter(methods.values()))
            for method in METHODS:
                found = await managed.ask(spelt(path, any_operation), method, of=Role.OPERATOR)
                if method not in allowed:
                    assert found.status == 405, (path, method)
                    assert misfit(found.json, {"$ref": "#/components/schemas/Problem"}, document) is None
                    assert set(found.headers["allow"].split(", ")) == allowed | {"OPTIONS"} | (
                        {"HEAD"} if "GET" in allowed else set()
                    )
            options = await managed.ask(spelt(path, any_operation), "OPTIONS", of=None)
            assert (options.status, options.body) == (204, b"")
            assert allowed <= set(options.headers["allow"].split(", "))
        for path, method, operation in operations(document):
            await check(managed, document, path, method, operation)

    def a_crowd_of_more(given: ShardStore) -> None:
        given.enrol([an_id(number) for number in range(20)], int(time.time()))
        a_crowd(given)

    on_managed(Managed(store, tmp_path), play)


async def check(managed: Managed, document: dict[str, Any], path: str, method: str, operation: dict[str, Any]) -> None:
    where = spelt(path, operation)
    roles = [role for one in operation["security"] for role in one["token"]]
    found = await managed.ask(where, method, of=Role.OPERATOR)
    assert (found.status, fits(found, operation, document)) == (200, None), (where, found.body)
    [kind] = operation["responses"]["200"]["content"]
    assert (found.headers["content-type"], found.headers["cache-control"]) == (kind, "no-store")
    for of in (None, *Role):
        other = await managed.ask(where, method, of=of)
        expected = 401 if roles and of is None else 403 if roles and of not in (*roles, Role.OPERATOR) else 200
        assert (other.status, fits(other, operation, document)) == (expected, None), (where, of)
    if method == "GET":
        head = await managed.ask(where, "HEAD", of=Role.OPERATOR)
        assert (head.status, head.body, head.headers["content-type"]) == (200, b"", kind)
    refused = [(await managed.ask(where, method, of=Role.OPERATOR, body=b"x" * 2_000), 413)]
    unknown = where + ("&" if "?" in where else "?") + "colour=red"
    refused += [(await managed.ask(unknown, method, of=Role.OPERATOR), 400)]
    for param in operation["parameters"]:
        for value in wrong_values(param):
            asked = spelt(path, operation, **{param["name"]: value})
            refused += [(await managed.ask(asked, method, of=Role.OPERATOR), 400)]
    if "404" in operation["responses"]:
        nobody = spelt(path, operation, id="f" * 32, title="no-such-title")
        refused += [(await managed.ask(nobody, method, of=Role.OPERATOR), 404)]
    for answer, status in refused:
        assert (answer.status, fits(answer, operation, document)) == (status, None), (where, answer.body)
        assert all(answer.json[word] for word in ("found", "allowed", "do"))


def wrong_values(param: dict[str, Any]) -> list[Any]:
    if param["schema"]["type"] == "integer":
        return [param["schema"]["minimum"] - 1, param["schema"]["maximum"] + 1, "x", "", "1.0", "9" * 99]
    if param["in"] == "path":
        return ["0" * 31, "0" * 33, "g" * 32]
    return ["", "x" * 201, "%01", None]


def test_every_reference_of_the_description_leads_somewhere() -> None:
    document = description()
    references = set(re.findall(r'"\$ref": "([^"]+)"', json.dumps(document)))
    assert len(references) >= 10
    assert all(resolved(reference, document) for reference in references)
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(set(names)) == len(names)


def test_what_is_nowhere_is_said_in_json(tmp_path: Path) -> None:
    async def play(managed: Managed) -> None:
        for path in ("/", "/api/v1", "/api/v1/", "/api/v1/stats/", "/api/v2/stats", "/v1/sync", "/metrics", "/%2e%2e"):
            found = await managed.ask(path)
            assert (found.status, set(found.json)) == (404, {"found", "allowed", "do"}), path
        assert (await managed.ask("/nothing", port="metrics")).status == 404
        assert (await managed.ask("/metrics", "POST", port="metrics")).status == 405

    on_managed(Managed(a_store(tmp_path), tmp_path), play)


def test_a_token_counts_as_long_as_its_admin_is_there(tmp_path: Path) -> None:
    async def play(managed: Managed) -> None:
        late = add_admin(managed.admins, "late", Role.VIEWER)
        headers = {"authorization": f"bearer {late}"}
        assert (await managed.ask("/api/v1/stats", of=None, headers=headers)).status == 401
        managed.rest.use(read_admins(managed.admins))
        assert (await managed.ask("/api/v1/stats", of=None, headers=headers)).status == 200
        for scheme in ("Basic", "Bearer:", ""):
            spelt_wrong = {"authorization": f"{scheme} {late}"}
            assert (await managed.ask("/api/v1/stats", of=None, headers=spelt_wrong)).status == 401
        revoke_admin(managed.admins, "late")
        managed.rest.use(read_admins(managed.admins))
        found = await managed.ask("/api/v1/stats", of=None, headers=headers)
        assert (found.status, found.headers["www-authenticate"]) == (401, "Bearer")

    on_managed(Managed(a_store(tmp_path), tmp_path), play)


def test_whoever_guesses_tokens_is_told_to_stop_and_locks_out_nobody(tmp_path: Path) -> None:
    async def play(managed: Managed) -> None:
        guess = {"authorization": "Bearer omega-admin-" + "x" * 43}
        found = [await managed.ask("/api/v1/stats", of=None, headers=guess) for _ in range(3 * WRONG_TOKENS.burst)]
        statuses = [one.status for one in found]
        assert set(statuses) == {401, 429}
        assert statuses[: WRONG_TOKENS.burst] == [401] * WRONG_TOKENS.burst
        refused = next(one for one in found if one.status == 429)
        assert int(refused.headers["retry-after"]) >= 1
        assert (await managed.ask("/api/v1/stats")).status == 200
        assert (await managed.ask("/api/v1/stats", of=None)).status == 401, "who sends none guesses nothing"

    on_managed(Managed(a_store(tmp_path), tmp_path), play)


def test_only_what_three_households_support_is_told(store: ShardStore, tmp_path: Path) -> None:
    a_crowd(store)

    async def play(managed: Managed) -> None:
        await managed.shard.make_pull()
        pull = managed.shard._syncs.pulls.of(CATALOG.epoch)
        expected = [(f"t{t.title}", t.households, t.success, t.momentum) for t in pull.trending]
        assert {row[0] for row in expected} == {"t1", "t2", "t3", "t4"}
        rows = (await managed.ask("/api/v1/trending")).json["trending"]
        assert [tuple(row[k] for k in ("title", "households", "success", "momentum")) for row in rows] == expected
        told = {row["title"]: row for row in rows}
        assert (told["t3"]["households"], told["t4"]["households"]) == (3, 3), "the 4th and 5th don't show yet"
        for title in ("t5", "t6"):
            assert (await managed.ask(f"/api/v1/patterns?title={title}")).json["patterns"] == []
            assert (await managed.ask(f"/api/v1/patterns/nearest?title={title}")).json["nearest"] == []
        [in_context, in_all] = (await managed.ask("/api/v1/patterns?title=t2")).json["patterns"]
        time_of_day, day = time_and_day(5)
        assert in_context["context"] == {"time": time_of_day, "day": day}
        assert in_all["context"] is None
        figures = {key: told["t2"][key] for key in ("households", "success", "momentum")}
        assert {**in_all, "context": None} == {**in_context, "context": None} == {**figures, "context": None}
        shown = {row.title: row.figures.samples for row in await managed.shard.ask(lambda s: s.trending(99, 40))}
        stats = (await managed.ask("/api/v1/stats")).json
        assert (stats["titles"], stats["samples"]) == (4, sum(shown.values()))
        assert (stats["devices"], stats["revoked"], stats["schema"], stats["shard"]) == (50, 0, 3, 7)
        for path in ("trending", "stats", "artifacts"):
            assert b"t5" not in (await managed.ask(f"/api/v1/{path}")).body

    on_managed(Managed(store, tmp_path), play)


def test_the_nearest_are_those_with_the_same_viewers(store: ShardStore, tmp_path: Path) -> None:
    a_crowd(store)

    async def play(managed: Managed) -> None:
        rows = (await managed.ask("/api/v1/patterns/nearest?title=t1")).json["nearest"]
        assert [row["title"] for row in rows] == ["t2", "t3"], "t4 has no taste codes, t5 no three households"
        assert rows[0]["nearness"] > 0 > rows[1]["nearness"]
        assert all(round(10 * row["nearness"], 6) % 1 == 0 for row in rows)
        [one] = (await managed.ask("/api/v1/patterns/nearest?title=t1&limit=1")).json["nearest"]
        assert one == rows[0]
        assert (await managed.ask("/api/v1/patterns/nearest?title=t4")).json["nearest"] == []

    on_managed(Managed(store, tmp_path), play)


def test_a_text_finds_titles_that_are_shown_nearest_first(store: ShardStore, tmp_path: Path) -> None:
    a_crowd(store)

    async def play(managed: Managed) -> None:
        with closing(load_embedder("static", None, 1)) as embedder:
            vectors = embedder.embed([title.text for title in CATALOG])
            for text in ("an evening with t2", "title t4, a drama", "🎬"):
                cosines = vectors @ embedder.embed([text])[0]
                told = (await managed.ask(f"/api/v1/patterns/search?{urlencode({'text': text})}")).json
                expected = sorted(range(1, 5), key=lambda title: -cosines[title])
                assert [row["title"] for row in told["found"]] == [f"t{title}" for title in expected], (
                    "t5: two households"
                )
                assert [row["nearness"] for row in told["found"]] == pytest.approx(cosines[expected], abs=2e-3)
                shorter = (await managed.ask(f"/api/v1/patterns/search?{urlencode({'text': text, 'limit': 1})}")).json
                assert shorter == {"text": text, "found": told["found"][:1]}
        by_title = {row["title"]: row for row in (await managed.ask("/api/v1/trending")).json["trending"]}
        for row in told["found"]:
            assert by_title[row["title"]].items() <= row.items()

    on_managed(Managed(store, tmp_path), play)


@pytest.mark.parametrize("text", ["", "a" * 201, "a%0Ab"])
def test_a_text_has_bounds(tmp_path: Path, text: str) -> None:
    async def play(managed: Managed) -> None:
        assert (await managed.ask(f"/api/v1/patterns/search?text={text}")).status == 400

    on_managed(Managed(a_store(tmp_path), tmp_path), play)


def test_a_text_that_nothing_can_read_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)

    async def play(managed: Managed) -> None:
        told = await managed.ask("/api/v1/patterns/search?text=heist")
        assert (told.status, told.json["do"]) == (501, "pip install 'exogenesis-omega[device]'")
        assert (await managed.ask("/api/v1/trending")).status == 200

    on_managed(Managed(a_store(tmp_path), tmp_path, embedder="onnx"), play)


def test_questions_by_text_wait_in_a_short_queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("omega.title_search.WAIT_S", 0.5)
    gate = threading.Event()

    def slow(settings: Settings) -> Embedder:
        assert gate.wait(30)
        return load_embedder(settings.embedder, None, 1)

    monkeypatch.setattr("omega.title_search.open_embedder", slow)

    async def play(managed: Managed) -> None:
        path = "/api/v1/patterns/search?text=heist"
        told = await asyncio.gather(*(managed.ask(path) for _ in range(MOST_WAITING + 2)))
        assert {answer.status for answer in told} == {503}
        assert all(answer.headers["retry-after"] for answer in told)
        assert sum("wait" in answer.json["found"] for answer in told) == 2, "beyond the queue: at once"
        assert (await managed.ask("/api/v1/trending")).status == 200
        gate.set()
        deadline = time.monotonic() + 30
        while (answer := await managed.ask(path)).status != 200:
            assert time.monotonic() < deadline
        assert answer.json == {"text": "heist", "found": []}

    on_managed(Managed(a_store(tmp_path), tmp_path), play)


def test_pages_follow_each_other_without_a_gap(tmp_path: Path) -> None:
    store = a_store(tmp_path)
    store.enrol([an_id(number) for number in range(10)], int(time.time()))
    for title in range(7):
        tell(store, title, range(3 + title // 2))

    async def play(managed: Managed) -> None:
        whole = (await managed.ask("/api/v1/trending")).json
        assert (len(whole["trending"]), whole["next"]) == (7, None)
        pages, start = [], 0
        while start is not None:
            page = (await managed.ask(f"/api/v1/trending?start={start}&limit=3")).json
            pages.append(page["trending"])
            start = page["next"]
        assert [len(page) for page in pages] == [3, 3, 1]
        assert [row for page in pages for row in page] == whole["trending"]

    on_managed(Managed(store, tmp_path), play)


def test_a_device_is_told_by_its_id_and_its_row_names_no_title(tmp_path: Path) -> None:
    async def play(managed: Managed) -> None:
        token = await managed.admitted(1)
        async with managed.client(token) as client:
            await client.exchange(encode(a_push(1, a_row(7, day=TODAY), a_row(8, day=TODAY))))
        found = (await managed.ask(f"/api/v1/devices/{a_key(1).id.hex().upper()}")).json
        assert (found["id"], found["number"], found["revoked"]) == (a_key(1).id.hex(), 0, False)
        assert (found["incarnation"], found["version"], found["contributed"], found["retracted"]) == (1, 1, 2, 0)
        assert found["seen"] == time.strftime("%Y-%m-%d", time.gmtime())
        assert abs(found["tokens_since"] - time.time()) < 600
        since = (await managed.ask("/api/v1/stats")).json["since"]
        assert (since["syncs"]["answered"], since["contributed"], since["waiting"]) == (1, 2, 0)

    on_managed(Managed(a_store(tmp_path), tmp_path), play)


def test_who_was_revoked_is_out_at_once_and_for_good_at_every_worker(tmp_path: Path) -> None:
    store = a_store(tmp_path)

    async def play(managed: Managed) -> None:
        token, other = await managed.admitted(1), await managed.admitted(2)
        frame = encode(a_push(1, a_row(day=TODAY)))
        async with managed.client(token) as client, managed.client(other) as bystander:
            await client.exchange(frame)
            beside = Managed(Store.open(tmp_path / "s.db", max_devices=100), tmp_path / "beside")
            beside.app.entrance.use(managed.app.entrance._tokens.ring, ())
            async with beside.served(), beside.client(token) as elsewhere:
                await elsewhere.exchange(frame)
                for _ in range(2):
                    gone = await managed.ask(f"/api/v1/devices/{a_key(1).id.hex()}", "DELETE", of=Role.OPERATOR)
                    assert (gone.status, gone.json["revoked"], gone.json["tokens_since"]) == (200, True, None)
                for way in (client, elsewhere):
                    with pytest.raises(TransportError) as refused:
                        await way.exchange(encode(a_push(2, a_row(8, day=TODAY))))
                    assert refused.value.token_refused
            for _ in range(2):
                with pytest.raises(TransportError):
                    await managed.admitted(1)
            [ack, _] = split(await bystander.exchange(frame), max_bytes=9_000)
            assert decode(ack, max_bytes=9_000).version == 1  # type: ignore[union-attr]
        row = (await managed.ask(f"/api/v1/devices/{a_key(1).id.hex()}")).json
        assert (row["revoked"], row["version"], row["contributed"]) == (True, 1, 1), "the row stays, and what it told"
        assert (await managed.ask("/api/v1/stats")).json["revoked"] == 1

    on_managed(Managed(store, tmp_path), play)


async def turned(managed: Managed, status: int) -> None:
    """Wait until it is told whether it is ready: an answer counts for a second."""
    async with asyncio.timeout(30):
        while (await managed.ask("/api/v1/ready", of=None)).status != status:  # noqa: ASYNC110  (over a socket)
            await asyncio.sleep(0.05)


def test_a_store_that_fails_is_told_as_such(tmp_path: Path) -> None:
    store = a_store(tmp_path)

    async def play(managed: Managed) -> None:
        assert (await managed.ask("/api/v1/ready", of=None)).json == {"status": "ready"}
        store.broken = True
        document = description()
        found = await managed.ask("/api/v1/trending")
        assert (found.status, fits(found, document["paths"]["/trending"]["get"], document)) == (503, None)
        assert b"disk" not in found.body
        await turned(managed, 503)
        found = await managed.ask("/api/v1/ready", of=None)
        assert (found.status, fits(found, document["paths"]["/ready"]["get"], document)) == (503, None)
        assert (await managed.ask("/api/v1/health", of=None)).status == 200
        store.broken = False
        await turned(managed, 200)
        await managed.shard.drain()
        assert (await managed.ask("/api/v1/ready", of=None)).status == 503

    on_managed(Managed(store, tmp_path), play)
