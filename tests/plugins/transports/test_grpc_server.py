"""The server for clients that aren't ours: messages in words, refusals, bounds, files, health, drain, garbage."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import grpc
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omega.core.errors import InputError, TransportError
from omega.core.identity import messages as identity
from omega.core.ports import MAX_FRAME_BYTES, Reply
from omega.core.testing.transport_contract import TOKEN, ScriptedApp, always
from omega.core.wire import Ack, Pull, Push, Resync, Row, encode, in_wire_order, join
from omega_plugins.transports.grpc.limits import Limits
from omega_plugins.transports.grpc.protos.omega_sync_v1 import events_pb2, patterns_pb2, sync_pb2
from omega_plugins.transports.grpc.server import GrpcServer, address_of, tls
from omega_plugins.transports.grpc.structured import answer_of, frame_of
from tests.plugins.transports.grpc_places import SERVICE, channel, client, said, serving
from tests.vectors.golden import MESSAGES

if TYPE_CHECKING:
    from pathlib import Path

    from omega.core.wire import Message

EXCHANGE, CHECK = f"{SERVICE}Exchange", "/grpc.health.v1.Health/Check"
WATCHED = patterns_pb2.Sample(
    ordinal=3,
    context=events_pb2.Context(time="TIME_OF_DAY_EVENING"),
    day=20_700,
    success_milli=950,
)
GOOD = sync_pb2.SyncRequest(push=sync_pb2.Push(incarnation=7, contributed=[WATCHED]))
ACK = Reply(200, join([encode(MESSAGES["ack"]), encode(MESSAGES["pull-everything"])]))
Said = bytes | grpc.aio.AioRpcError


def answered(app: ScriptedApp, data: bytes, *, token: str = TOKEN, method: str = EXCHANGE) -> Said:
    """Return what a server says to these bytes."""

    async def ran() -> Said:
        async with serving(app) as port, channel(port) as opened:
            return await said(opened, method, data, token)

    return asyncio.run(ran())


def refused(app: ScriptedApp, request: sync_pb2.SyncRequest | bytes, *, token: str = TOKEN) -> tuple[str, str]:
    """Return the status and the words with which a server refuses."""
    data = request if isinstance(request, bytes) else request.SerializeToString()
    found = answered(app, data, token=token)
    assert isinstance(found, grpc.aio.AioRpcError)
    return found.code().name, found.details() or ""


def in_words(push: Push) -> sync_pb2.Push:
    """Say a push in the contract's words; written down apart from what the server does."""
    told = sync_pb2.Push(incarnation=push.incarnation, base=push.base, known_pull=push.known_pull, asks=push.asks)
    told.header.space, told.header.lineage, told.header.epoch = (
        push.header.space,
        push.header.lineage,
        push.header.epoch,
    )
    if push.step != 1:
        told.step = push.step
    for rows, samples in ((push.contributed, told.contributed), (push.retracted, told.retracted)):
        for row in rows:
            sample = samples.add(day=row.day, success_milli=row.success, taste=row.taste)
            setattr(sample, "title_hash" if row.hashed else "ordinal", row.title)
            time = events_pb2.TimeOfDay.keys()[1 + row.slot // 2]
            sample.context.CopyFrom(events_pb2.Context(time=time, weekend=bool(row.slot % 2)))
    for trials, days in ((push.trials, told.trials), (push.trials_retracted, told.trials_retracted)):
        for trial in trials:
            days.add(**msgspec.structs.asdict(trial))
    return told


def slot_in(entry: patterns_pb2.Trend | patterns_pb2.Similar) -> int | None:
    if not entry.HasField("context"):
        return None
    return (entry.context.time - 1) * 2 + int(entry.context.weekend)


@pytest.mark.parametrize("name", [name for name, message in MESSAGES.items() if isinstance(message, Push)])
def test_a_push_in_words_is_the_frame_that_a_tv_of_ours_sends(name: str) -> None:
    push = MESSAGES[name]
    assert isinstance(push, Push)
    assert frame_of(in_words(push)) == encode(push)


def told_of(message: Message) -> sync_pb2.Answer:
    return answer_of(join([encode(message)]))


@pytest.mark.parametrize("name", [name for name, message in MESSAGES.items() if isinstance(message, (Ack, Resync))])
def test_a_receipt_is_told_in_words(name: str) -> None:
    message, told = MESSAGES[name], told_of(MESSAGES[name])
    found = told.ack if isinstance(message, Ack) else told.resync
    assert told.WhichOneof("receipt") == type(message).__name__.lower()
    for field in ("incarnation", "version"):
        assert getattr(found, field) == getattr(message, field)
    assert (found.header.space, found.header.lineage, found.header.epoch) == (0x0A0B0C, 0x6DD2CE, 1)
    if isinstance(message, Ack):
        for field in ("horizon", "retry_after_s", "next_sync_s", "similar_allowed"):
            assert getattr(told.ack, field) == getattr(message, field)
        assert tuple((one.title_hash, one.ordinal) for one in told.ack.resolved) == message.resolved
    elif isinstance(message, Resync):
        assert sync_pb2.Resync.Reason.Name(told.resync.reason) == f"REASON_{message.reason.name}"


@pytest.mark.parametrize("name", [name for name, message in MESSAGES.items() if isinstance(message, Pull)])
def test_a_pull_is_told_in_words(name: str) -> None:
    pull = in_wire_order(MESSAGES[name])
    assert isinstance(pull, Pull)
    (found,) = told_of(pull).pulls
    assert found.pull_id == pull.pull_id
    trends = [(t.ordinal, slot_in(t), t.households, t.success_milli, t.momentum, t.audience) for t in found.trending]
    assert trends == [(t.title, t.slot, t.households, t.success, t.momentum, t.audience) for t in pull.trending]
    similar = [(s.ordinal, slot_in(s), s.households, s.success_milli, s.nearness) for s in found.similar]
    assert similar == [(s.title, s.slot, s.households, s.success, s.nearness) for s in pull.similar]
    assert tuple(found.removed) == pull.removed
    artifacts = [(a.kind, a.version, a.digest, a.size_bytes) for a in found.artifacts]
    assert artifacts == [(a.kind, a.version, a.digest, a.size_bytes) for a in pull.artifacts]


def test_who_asks_in_words_is_answered_in_words_and_who_asks_in_bytes_in_bytes() -> None:
    app = ScriptedApp(always(ACK))
    found = answered(app, GOOD.SerializeToString())
    assert isinstance(found, bytes)
    told = sync_pb2.SyncResponse.FromString(found)
    assert (told.answer.ack.version, len(told.answer.pulls)) == (301, 1)
    frame = app.seen[0][1]
    found = answered(app, sync_pb2.SyncRequest(frame=frame).SerializeToString())
    assert isinstance(found, bytes)
    assert sync_pb2.SyncResponse.FromString(found).reply == ACK.body
    assert app.seen == [(TOKEN, frame)] * 2


def test_success_is_rounded_once_so_that_a_retraction_is_what_was_contributed() -> None:
    sample = patterns_pb2.Sample()
    for milli, counted in ((0, 0), (949, 948), (950, 952), (1000, 1000)):
        sample.CopyFrom(WATCHED)
        sample.success_milli = milli
        told = sync_pb2.Push(incarnation=7, contributed=[sample], retracted=[sample])
        assert frame_of(told) == encode(
            Push(
                header=MESSAGES["resync"].header.__class__(space=0, lineage=0, epoch=0),
                incarnation=7,
                base=0,
                contributed=(Row(3, 4, 20_700, counted),),
                retracted=(Row(3, 4, 20_700, counted),),
            )
        )


def changed(**fields: object) -> sync_pb2.SyncRequest:
    """A push whose one sample has other fields."""
    sample = patterns_pb2.Sample()
    sample.CopyFrom(WATCHED)
    for name, value in fields.items():
        sample.ClearField(name)
        if value is not None:
            setattr(sample, name, value)
    return sync_pb2.SyncRequest(push=sync_pb2.Push(incarnation=7, contributed=[sample]))


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (sync_pb2.SyncRequest(), "holds no question, allowed: frame or push"),
        (b"\xff\xff\xff", "none of this method"),
        (changed(ordinal=None), "names no title, allowed: ordinal or title_hash"),
        (changed(title_hash=1 << 40), "hash"),
        (changed(context=None), "time of a sample's context is 0, allowed: 1..4"),
        (changed(day=65_536), "day is 65536"),
        (changed(success_milli=1001), "success_milli is 1001, allowed: 0..1000"),
        (changed(taste=b"short"), "taste code"),
        (
            sync_pb2.SyncRequest(push=sync_pb2.Push(incarnation=7, contributed=[WATCHED, WATCHED])),
            "stands twice",
        ),
        (sync_pb2.SyncRequest(push=sync_pb2.Push(header=sync_pb2.Header(space=1 << 24))), "space is 16777216"),
        (sync_pb2.SyncRequest(push=sync_pb2.Push(base=2**64 - 1)), "base is 18446744073709551615"),
    ],
)
def test_what_cannot_be_said_is_refused_in_words_and_never_reaches_the_app(
    request_: sync_pb2.SyncRequest | bytes, words: str
) -> None:
    app = ScriptedApp()
    code, told = refused(app, request_)
    assert code == "INVALID_ARGUMENT"
    assert words in told
    assert app.seen == []


def test_a_push_without_a_token_is_no_question_to_be_enrolled() -> None:
    app = ScriptedApp()
    assert refused(app, GOOD, token="")[0] == "UNAUTHENTICATED"
    assert app.seen == []
    assert refused(app, GOOD, token=TOKEN[1:]) == ("UNAUTHENTICATED", "the token is unknown")


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "INVALID_ARGUMENT"),
        (401, "UNAUTHENTICATED"),
        (403, "PERMISSION_DENIED"),
        (404, "NOT_FOUND"),
        (413, "INVALID_ARGUMENT"),
        (429, "RESOURCE_EXHAUSTED"),
        (500, "INTERNAL"),
        (503, "UNAVAILABLE"),
        (418, "UNKNOWN"),
    ],
)
def test_a_refusal_has_a_status_of_grpcs_and_its_own(status: int, code: str) -> None:
    reply = Reply(status, b"because " * 1000, (("retry-after", "7"), ("x", "y")))
    found = answered(ScriptedApp(always(reply)), GOOD.SerializeToString())
    assert isinstance(found, grpc.aio.AioRpcError)
    assert found.code().name == code
    assert (found.details() or "").startswith("because because")
    assert dict(found.trailing_metadata()) == {"omega-status": str(status), "retry-after": "7"}


@pytest.mark.parametrize("size_bytes", [MAX_FRAME_BYTES + 50, 1_000_000])
def test_a_longer_message_is_refused_before_it_is_read(size_bytes: int) -> None:
    app = ScriptedApp()
    code, _ = refused(app, sync_pb2.SyncRequest(frame=bytes(size_bytes)))
    assert code == "RESOURCE_EXHAUSTED"
    assert app.seen == []


def test_a_longer_frame_is_refused_by_its_own_length() -> None:
    app = ScriptedApp()
    code, told = refused(app, sync_pb2.SyncRequest(frame=bytes(MAX_FRAME_BYTES + 1)))
    assert (code, app.seen) == ("INVALID_ARGUMENT", [])
    assert "frame is 8,193 B, allowed: 8,192 B" in told


def test_metadata_without_end_is_refused() -> None:
    app = ScriptedApp()
    assert refused(app, GOOD, token="t" * 20_000)[0] == "RESOURCE_EXHAUSTED"
    assert app.seen == []


def test_an_app_that_fails_tells_nothing_of_it_and_the_next_call_is_answered(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def sometimes(frame: bytes) -> Reply:
        if frame == b"bad":
            raise ValueError("a bug")
        return Reply(200, frame)

    async def ran() -> None:
        async with serving(ScriptedApp(sometimes)) as port, channel(port) as opened:
            for garbage in (b"\xff\xff", b"", b"\x0a\x05ab"):
                await said(opened, EXCHANGE, garbage)
            assert caplog.records == []
            bad = await said(opened, EXCHANGE, sync_pb2.SyncRequest(frame=b"bad").SerializeToString())
            assert isinstance(bad, grpc.aio.AioRpcError)
            assert (bad.code().name, bad.details()) == ("INTERNAL", "the shard failed")
            good = await said(opened, EXCHANGE, sync_pb2.SyncRequest(frame=b"good").SerializeToString())
            assert isinstance(good, bytes)

    with caplog.at_level(logging.ERROR):
        asyncio.run(ran())
    assert len(caplog.records) == 1


async def slow(frame: bytes) -> Reply:
    await asyncio.sleep(0.4)
    return Reply(200, frame)


def test_calls_beyond_the_limit_are_told_when_to_come_again() -> None:
    async def ran() -> None:
        limits = Limits(calls=3, retry_after_s=41)
        async with serving(ScriptedApp(slow), limits) as port, client(port) as asking:
            found = await asyncio.gather(*(asking.exchange(b"x") for _ in range(8)), return_exceptions=True)
            errors = [error for error in found if isinstance(error, TransportError)]
            assert (found.count(b"x"), len(errors)) == (3, 5)
            assert {(error.retry_after_s, error.permanent) for error in errors} == {(41, False)}
            assert await asking.exchange(b"y") == b"y"

    asyncio.run(ran())


def test_a_connection_beyond_the_limit_is_closed_and_those_before_it_are_served() -> None:
    async def ran() -> None:
        async with (
            serving(ScriptedApp(), Limits(connections=2)) as port,
            client(port) as first,
            client(port) as second,
            client(port, timeout_s=1) as third,
        ):
            assert await first.exchange(b"ab") == b"ba"
            assert await second.exchange(b"ab") == b"ba"
            with pytest.raises(TransportError) as caught:
                await third.exchange(b"ab")
            assert not caught.value.permanent
            assert await first.exchange(b"ab") == b"ba"

    asyncio.run(ran())


def test_a_connection_that_is_renewed_for_its_age_loses_no_question() -> None:
    async def ran() -> None:
        async with serving(ScriptedApp(), Limits(age_s=0.3)) as port, client(port) as asking:
            for _ in range(100):
                assert await asking.exchange(b"ab") == b"ba"
                await asyncio.sleep(0.02)

    asyncio.run(ran())


async def rest_of(call: grpc.aio.UnaryStreamCall[bytes, bytes]) -> None:
    while await call.read():
        pass


def test_a_client_that_takes_nothing_of_a_file_is_let_go(tmp_path: Path) -> None:
    app = ScriptedApp()
    path = app.publish(tmp_path, bytes(30_000_000))

    async def ran() -> None:
        async with serving(app, Limits(write_s=0.5)) as port, channel(port) as opened:
            ask: grpc.aio.UnaryStreamMultiCallable[bytes, bytes] = opened.unary_stream(f"{SERVICE}Fetch")
            call = ask(sync_pb2.FetchRequest(path=path).SerializeToString())
            await call.read()
            await asyncio.sleep(1.5)
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await rest_of(call)
            assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED

    asyncio.run(ran())


def test_a_file_that_loses_bytes_while_it_is_sent_never_passes_for_whole(tmp_path: Path) -> None:
    app = ScriptedApp()
    path = app.publish(tmp_path, bytes(30_000_000))

    async def ran() -> None:
        async with serving(app) as port, channel(port) as opened:
            ask: grpc.aio.UnaryStreamMultiCallable[bytes, bytes] = opened.unary_stream(f"{SERVICE}Fetch")
            call = ask(sync_pb2.FetchRequest(path=path).SerializeToString())
            await call.read()
            app.files[path.rpartition("/")[2]].write_bytes(b"")
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await rest_of(call)
            assert caught.value.code() is grpc.StatusCode.INTERNAL

    asyncio.run(ran())


def test_an_answer_to_a_challenge_reaches_the_app_whole_and_its_refusal_the_client() -> None:
    app = ScriptedApp()
    request = sync_pb2.EnrolRequest(
        challenge=bytes(42),
        public_key=b"k" * 32,
        signature=b"s" * 64,
        certificate=sync_pb2.Certificate(maker=b"m" * 16, signature=b"c" * 64),
        code="7K2M",
    )
    found = answered(app, request.SerializeToString(), method=f"{SERVICE}Enrol")
    assert isinstance(found, grpc.aio.AioRpcError)
    assert (found.code().name, found.details()) == ("UNAUTHENTICATED", "the token is unknown")
    ((token, body),) = app.seen
    certificate = identity.Certificate(b"m" * 16, b"c" * 64)
    told = identity.Answer(bytes(42), b"k" * 32, b"s" * 64, certificate, "7K2M")
    assert (token, identity.decode(body, identity.Answer)) == ("", told)
    assert isinstance(answered(app, b"", method=f"{SERVICE}GetChallenge"), grpc.aio.AioRpcError)


def test_a_range_of_nothing_is_refused(tmp_path: Path) -> None:
    app = ScriptedApp()
    path = app.publish(tmp_path, bytes(10))

    async def ran() -> None:
        async with serving(app) as port, client(port) as asking:
            with pytest.raises(TransportError, match="400: range ends at 5") as caught:
                await asking.get(path, max_bytes=10, part=range(5, 5))
            assert caught.value.permanent

    asyncio.run(ran())


def test_balancers_are_told_whether_frames_are_taken() -> None:
    class Failing(ScriptedApp):
        def health(self) -> Reply:
            return Reply(503, b"{}")

    named = b"\x0a\x12omega.sync.v1.Sync"
    for question in (b"", named):
        assert answered(ScriptedApp(), question, method=CHECK) == b"\x08\x01"
        assert answered(Failing(), question, method=CHECK) == b"\x08\x02"
    other = answered(ScriptedApp(), b"\x0a\x05other", method=CHECK)
    assert isinstance(other, grpc.aio.AioRpcError)
    assert other.code() is grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize("method", ["/omega.sync.v1.Sync/Nothing", "/other.Service/Exchange", "/"])
def test_what_is_not_there_is_said_so(method: str) -> None:
    found = answered(ScriptedApp(), b"", method=method)
    assert isinstance(found, grpc.aio.AioRpcError)
    assert found.code() is grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize("drain_s", [3.0, 0.1])
def test_a_stopping_server_answers_what_has_begun_but_waits_no_longer_than_it_may(drain_s: float) -> None:
    async def ran() -> None:
        server = GrpcServer(ScriptedApp(slow), address_of("127.0.0.1", 0), limits=Limits(drain_s=drain_s))
        async with server:
            asking = client(server.port)
            asked = asyncio.create_task(asking.exchange(b"x"))
            await asyncio.sleep(0.2)
        if drain_s > 1:
            assert await asked == b"x"
        else:
            with pytest.raises(TransportError) as caught:
                await asked
            assert not caught.value.permanent
        await asking.close()

    asyncio.run(ran())


def test_an_address_that_cannot_be_served_at_is_said_so() -> None:
    async def ran() -> None:
        async with serving(ScriptedApp()) as port:
            with pytest.raises(TransportError, match="end what holds it") as caught:
                address_of("127.0.0.1", port)
            assert caught.value.permanent
            with pytest.raises(TransportError, match="end what holds it"):
                async with GrpcServer(ScriptedApp(), f"127.0.0.1:{port}"):
                    pass

    asyncio.run(ran())
    for wrong in (-1, 70_000):
        with pytest.raises(InputError):
            address_of("127.0.0.1", wrong)
    assert address_of("::1", 0) == "[::1]:0"


def test_a_certificate_without_its_key_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="omega shard cert"):
        tls(tmp_path / "none.pem", tmp_path / "none.key")


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.one_of(st.binary(max_size=300), st.builds(lambda n: GOOD.SerializeToString()[:n], st.integers(0, 30))),
        max_size=8,
    )
)
def test_garbage_is_refused_and_the_next_question_is_answered(questions: list[bytes]) -> None:
    async def ran() -> None:
        app = ScriptedApp(always(ACK))
        async with serving(app) as port, channel(port) as opened:
            for data in questions:
                for method in ("Exchange", "Enrol", "GetChallenge"):
                    found = await said(opened, SERVICE + method, data)
                    if isinstance(found, grpc.aio.AioRpcError):
                        assert found.code() in (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.UNAUTHENTICATED)
            assert isinstance(await said(opened, EXCHANGE, GOOD.SerializeToString()), bytes)

    asyncio.run(ran())
