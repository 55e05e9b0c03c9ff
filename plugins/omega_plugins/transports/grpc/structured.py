"""The public contract's messages and the wire's: what a stranger says in words becomes a frame, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from omega.core.errors import WireCode, WireError
from omega.core.wire import Ack, Header, Pull, Push, Resync, Row, Trial, decode, encode, quantized, split
from omega_plugins.transports.grpc.protos.omega_sync_v1 import events_pb2, patterns_pb2, sync_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable

    from omega.core.wire import Similar, Trend

_TIMES = ("TIME_OF_DAY_MORNING", "TIME_OF_DAY_AFTERNOON", "TIME_OF_DAY_EVENING", "TIME_OF_DAY_NIGHT")


def frame_of(push: sync_pb2.Push) -> bytes:
    """Return the frame of a push. Raises WireError for a field that is missing or out of its range."""
    return encode(
        Push(
            header=Header(space=push.header.space, lineage=push.header.lineage, epoch=push.header.epoch),
            incarnation=push.incarnation,
            base=push.base,
            step=push.step if push.HasField("step") else 1,
            known_pull=push.known_pull,
            contributed=_rows(push.contributed),
            retracted=_rows(push.retracted),
            asks=push.asks,
            trials=_trials(push.trials),
            trials_retracted=_trials(push.trials_retracted),
        )
    )


def answer_of(reply: bytes) -> sync_pb2.Answer:
    """Return what a shard's reply says. Raises WireError."""
    answer = sync_pb2.Answer()
    for frame in split(reply):
        message = decode(frame, max_bytes=len(frame))
        if isinstance(message, Ack):
            answer.ack.CopyFrom(_ack(message))
        elif isinstance(message, Resync):
            answer.resync.CopyFrom(
                sync_pb2.Resync(
                    header=_header(message.header),
                    incarnation=message.incarnation,
                    version=message.version,
                    reason=f"REASON_{message.reason.name}",
                )
            )
        elif isinstance(message, Pull):
            answer.pulls.append(_pull(message))
    return answer


def _rows(samples: Iterable[patterns_pb2.Sample]) -> tuple[Row, ...]:
    return tuple([_row(sample) for sample in samples])


def _trials(trials: Iterable[sync_pb2.Trial]) -> tuple[Trial, ...]:
    return tuple([Trial(one.experiment, one.arm, one.day, one.watched, one.chosen, one.minutes) for one in trials])


def _row(sample: patterns_pb2.Sample) -> Row:
    title = sample.WhichOneof("title")
    if title is None:
        raise WireError(WireCode.VALUE, "a sample names no title, allowed: ordinal or title_hash: set one of them")
    if not 1 <= sample.context.time <= len(_TIMES):
        told = (
            f"time of a sample's context is {sample.context.time}, allowed: 1..{len(_TIMES)}: say when it was watched"
        )
        raise WireError(WireCode.VALUE, told)
    if sample.success_milli > 1000:
        raise WireError(WireCode.VALUE, f"success_milli is {sample.success_milli}, allowed: 0..1000: send thousandths")
    return Row(
        title=sample.title_hash if title == "title_hash" else sample.ordinal,
        slot=(sample.context.time - 1) * 2 + sample.context.weekend,
        day=sample.day,
        success=quantized(sample.success_milli),
        taste=sample.taste,
        hashed=title == "title_hash",
    )


def _context(slot: int | None) -> events_pb2.Context | None:
    if slot is None:
        return None
    return events_pb2.Context(time=_TIMES[slot // 2], weekend=bool(slot % 2))


def _header(header: Header) -> sync_pb2.Header:
    return sync_pb2.Header(space=header.space, lineage=header.lineage, epoch=header.epoch)


def _ack(ack: Ack) -> sync_pb2.Ack:
    return sync_pb2.Ack(
        header=_header(ack.header),
        incarnation=ack.incarnation,
        version=ack.version,
        horizon=ack.horizon,
        retry_after_s=ack.retry_after_s,
        next_sync_s=ack.next_sync_s,
        similar_allowed=ack.similar_allowed,
        resolved=[sync_pb2.Resolved(title_hash=hashed, ordinal=ordinal) for hashed, ordinal in ack.resolved],
    )


def _pull(pull: Pull) -> sync_pb2.Pull:
    return sync_pb2.Pull(
        header=_header(pull.header),
        pull_id=pull.pull_id,
        trending=[_trend(trend) for trend in pull.trending],
        similar=[_similar(similar) for similar in pull.similar],
        removed=pull.removed,
        artifacts=[
            sync_pb2.Artifact(kind=one.kind, version=one.version, digest=one.digest, size_bytes=one.size_bytes)
            for one in pull.artifacts
        ],
    )


def _trend(trend: Trend) -> patterns_pb2.Trend:
    return patterns_pb2.Trend(
        ordinal=trend.title,
        context=_context(trend.slot),
        households=trend.households,
        success_milli=trend.success,
        momentum=trend.momentum,
        audience=trend.audience,
    )


def _similar(similar: Similar) -> patterns_pb2.Similar:
    return patterns_pb2.Similar(
        ordinal=similar.title,
        context=_context(similar.slot),
        households=similar.households,
        success_milli=similar.success,
        nearness=similar.nearness,
    )
