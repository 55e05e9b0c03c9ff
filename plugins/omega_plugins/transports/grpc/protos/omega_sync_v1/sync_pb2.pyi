from omega_plugins.transports.grpc.protos.omega_sync_v1 import patterns_pb2 as _patterns_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GetChallengeRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Challenge(_message.Message):
    __slots__ = ("challenge",)
    CHALLENGE_FIELD_NUMBER: _ClassVar[int]
    challenge: bytes
    def __init__(self, challenge: _Optional[bytes] = ...) -> None: ...

class EnrolRequest(_message.Message):
    __slots__ = ("challenge", "public_key", "signature", "certificate", "code")
    CHALLENGE_FIELD_NUMBER: _ClassVar[int]
    PUBLIC_KEY_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    CERTIFICATE_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    challenge: bytes
    public_key: bytes
    signature: bytes
    certificate: Certificate
    code: str
    def __init__(self, challenge: _Optional[bytes] = ..., public_key: _Optional[bytes] = ..., signature: _Optional[bytes] = ..., certificate: _Optional[_Union[Certificate, _Mapping]] = ..., code: _Optional[str] = ...) -> None: ...

class Certificate(_message.Message):
    __slots__ = ("maker", "signature")
    MAKER_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    maker: bytes
    signature: bytes
    def __init__(self, maker: _Optional[bytes] = ..., signature: _Optional[bytes] = ...) -> None: ...

class Admission(_message.Message):
    __slots__ = ("token", "shard", "lifetime_s")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    SHARD_FIELD_NUMBER: _ClassVar[int]
    LIFETIME_S_FIELD_NUMBER: _ClassVar[int]
    token: str
    shard: int
    lifetime_s: int
    def __init__(self, token: _Optional[str] = ..., shard: _Optional[int] = ..., lifetime_s: _Optional[int] = ...) -> None: ...

class SyncRequest(_message.Message):
    __slots__ = ("frame", "push")
    FRAME_FIELD_NUMBER: _ClassVar[int]
    PUSH_FIELD_NUMBER: _ClassVar[int]
    frame: bytes
    push: Push
    def __init__(self, frame: _Optional[bytes] = ..., push: _Optional[_Union[Push, _Mapping]] = ...) -> None: ...

class SyncResponse(_message.Message):
    __slots__ = ("reply", "answer")
    REPLY_FIELD_NUMBER: _ClassVar[int]
    ANSWER_FIELD_NUMBER: _ClassVar[int]
    reply: bytes
    answer: Answer
    def __init__(self, reply: _Optional[bytes] = ..., answer: _Optional[_Union[Answer, _Mapping]] = ...) -> None: ...

class Header(_message.Message):
    __slots__ = ("space", "lineage", "epoch")
    SPACE_FIELD_NUMBER: _ClassVar[int]
    LINEAGE_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    space: int
    lineage: int
    epoch: int
    def __init__(self, space: _Optional[int] = ..., lineage: _Optional[int] = ..., epoch: _Optional[int] = ...) -> None: ...

class Push(_message.Message):
    __slots__ = ("header", "incarnation", "base", "step", "known_pull", "contributed", "retracted", "asks", "trials", "trials_retracted")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    INCARNATION_FIELD_NUMBER: _ClassVar[int]
    BASE_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    KNOWN_PULL_FIELD_NUMBER: _ClassVar[int]
    CONTRIBUTED_FIELD_NUMBER: _ClassVar[int]
    RETRACTED_FIELD_NUMBER: _ClassVar[int]
    ASKS_FIELD_NUMBER: _ClassVar[int]
    TRIALS_FIELD_NUMBER: _ClassVar[int]
    TRIALS_RETRACTED_FIELD_NUMBER: _ClassVar[int]
    header: Header
    incarnation: int
    base: int
    step: int
    known_pull: int
    contributed: _containers.RepeatedCompositeFieldContainer[_patterns_pb2.Sample]
    retracted: _containers.RepeatedCompositeFieldContainer[_patterns_pb2.Sample]
    asks: bytes
    trials: _containers.RepeatedCompositeFieldContainer[Trial]
    trials_retracted: _containers.RepeatedCompositeFieldContainer[Trial]
    def __init__(self, header: _Optional[_Union[Header, _Mapping]] = ..., incarnation: _Optional[int] = ..., base: _Optional[int] = ..., step: _Optional[int] = ..., known_pull: _Optional[int] = ..., contributed: _Optional[_Iterable[_Union[_patterns_pb2.Sample, _Mapping]]] = ..., retracted: _Optional[_Iterable[_Union[_patterns_pb2.Sample, _Mapping]]] = ..., asks: _Optional[bytes] = ..., trials: _Optional[_Iterable[_Union[Trial, _Mapping]]] = ..., trials_retracted: _Optional[_Iterable[_Union[Trial, _Mapping]]] = ...) -> None: ...

class Trial(_message.Message):
    __slots__ = ("experiment", "arm", "day", "watched", "chosen", "minutes")
    EXPERIMENT_FIELD_NUMBER: _ClassVar[int]
    ARM_FIELD_NUMBER: _ClassVar[int]
    DAY_FIELD_NUMBER: _ClassVar[int]
    WATCHED_FIELD_NUMBER: _ClassVar[int]
    CHOSEN_FIELD_NUMBER: _ClassVar[int]
    MINUTES_FIELD_NUMBER: _ClassVar[int]
    experiment: int
    arm: int
    day: int
    watched: int
    chosen: int
    minutes: int
    def __init__(self, experiment: _Optional[int] = ..., arm: _Optional[int] = ..., day: _Optional[int] = ..., watched: _Optional[int] = ..., chosen: _Optional[int] = ..., minutes: _Optional[int] = ...) -> None: ...

class Answer(_message.Message):
    __slots__ = ("ack", "resync", "pulls")
    ACK_FIELD_NUMBER: _ClassVar[int]
    RESYNC_FIELD_NUMBER: _ClassVar[int]
    PULLS_FIELD_NUMBER: _ClassVar[int]
    ack: Ack
    resync: Resync
    pulls: _containers.RepeatedCompositeFieldContainer[Pull]
    def __init__(self, ack: _Optional[_Union[Ack, _Mapping]] = ..., resync: _Optional[_Union[Resync, _Mapping]] = ..., pulls: _Optional[_Iterable[_Union[Pull, _Mapping]]] = ...) -> None: ...

class Ack(_message.Message):
    __slots__ = ("header", "incarnation", "version", "horizon", "retry_after_s", "next_sync_s", "similar_allowed", "resolved")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    INCARNATION_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    HORIZON_FIELD_NUMBER: _ClassVar[int]
    RETRY_AFTER_S_FIELD_NUMBER: _ClassVar[int]
    NEXT_SYNC_S_FIELD_NUMBER: _ClassVar[int]
    SIMILAR_ALLOWED_FIELD_NUMBER: _ClassVar[int]
    RESOLVED_FIELD_NUMBER: _ClassVar[int]
    header: Header
    incarnation: int
    version: int
    horizon: int
    retry_after_s: int
    next_sync_s: int
    similar_allowed: bool
    resolved: _containers.RepeatedCompositeFieldContainer[Resolved]
    def __init__(self, header: _Optional[_Union[Header, _Mapping]] = ..., incarnation: _Optional[int] = ..., version: _Optional[int] = ..., horizon: _Optional[int] = ..., retry_after_s: _Optional[int] = ..., next_sync_s: _Optional[int] = ..., similar_allowed: _Optional[bool] = ..., resolved: _Optional[_Iterable[_Union[Resolved, _Mapping]]] = ...) -> None: ...

class Resolved(_message.Message):
    __slots__ = ("title_hash", "ordinal")
    TITLE_HASH_FIELD_NUMBER: _ClassVar[int]
    ORDINAL_FIELD_NUMBER: _ClassVar[int]
    title_hash: int
    ordinal: int
    def __init__(self, title_hash: _Optional[int] = ..., ordinal: _Optional[int] = ...) -> None: ...

class Resync(_message.Message):
    __slots__ = ("header", "incarnation", "version", "reason")
    class Reason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        REASON_UNSPECIFIED: _ClassVar[Resync.Reason]
        REASON_GAP: _ClassVar[Resync.Reason]
        REASON_SPACE: _ClassVar[Resync.Reason]
        REASON_LINEAGE: _ClassVar[Resync.Reason]
        REASON_EPOCH: _ClassVar[Resync.Reason]
        REASON_DICTIONARY: _ClassVar[Resync.Reason]
    REASON_UNSPECIFIED: Resync.Reason
    REASON_GAP: Resync.Reason
    REASON_SPACE: Resync.Reason
    REASON_LINEAGE: Resync.Reason
    REASON_EPOCH: Resync.Reason
    REASON_DICTIONARY: Resync.Reason
    HEADER_FIELD_NUMBER: _ClassVar[int]
    INCARNATION_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    header: Header
    incarnation: int
    version: int
    reason: Resync.Reason
    def __init__(self, header: _Optional[_Union[Header, _Mapping]] = ..., incarnation: _Optional[int] = ..., version: _Optional[int] = ..., reason: _Optional[_Union[Resync.Reason, str]] = ...) -> None: ...

class Pull(_message.Message):
    __slots__ = ("header", "pull_id", "trending", "similar", "removed", "artifacts")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    PULL_ID_FIELD_NUMBER: _ClassVar[int]
    TRENDING_FIELD_NUMBER: _ClassVar[int]
    SIMILAR_FIELD_NUMBER: _ClassVar[int]
    REMOVED_FIELD_NUMBER: _ClassVar[int]
    ARTIFACTS_FIELD_NUMBER: _ClassVar[int]
    header: Header
    pull_id: int
    trending: _containers.RepeatedCompositeFieldContainer[_patterns_pb2.Trend]
    similar: _containers.RepeatedCompositeFieldContainer[_patterns_pb2.Similar]
    removed: _containers.RepeatedScalarFieldContainer[int]
    artifacts: _containers.RepeatedCompositeFieldContainer[Artifact]
    def __init__(self, header: _Optional[_Union[Header, _Mapping]] = ..., pull_id: _Optional[int] = ..., trending: _Optional[_Iterable[_Union[_patterns_pb2.Trend, _Mapping]]] = ..., similar: _Optional[_Iterable[_Union[_patterns_pb2.Similar, _Mapping]]] = ..., removed: _Optional[_Iterable[int]] = ..., artifacts: _Optional[_Iterable[_Union[Artifact, _Mapping]]] = ...) -> None: ...

class Artifact(_message.Message):
    __slots__ = ("kind", "version", "digest", "size_bytes")
    KIND_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    kind: int
    version: int
    digest: bytes
    size_bytes: int
    def __init__(self, kind: _Optional[int] = ..., version: _Optional[int] = ..., digest: _Optional[bytes] = ..., size_bytes: _Optional[int] = ...) -> None: ...

class FetchRequest(_message.Message):
    __slots__ = ("path", "etag", "range")
    PATH_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    RANGE_FIELD_NUMBER: _ClassVar[int]
    path: str
    etag: str
    range: Range
    def __init__(self, path: _Optional[str] = ..., etag: _Optional[str] = ..., range: _Optional[_Union[Range, _Mapping]] = ...) -> None: ...

class Range(_message.Message):
    __slots__ = ("start", "stop")
    START_FIELD_NUMBER: _ClassVar[int]
    STOP_FIELD_NUMBER: _ClassVar[int]
    start: int
    stop: int
    def __init__(self, start: _Optional[int] = ..., stop: _Optional[int] = ...) -> None: ...

class FetchResponse(_message.Message):
    __slots__ = ("info", "data")
    INFO_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    info: FileInfo
    data: bytes
    def __init__(self, info: _Optional[_Union[FileInfo, _Mapping]] = ..., data: _Optional[bytes] = ...) -> None: ...

class FileInfo(_message.Message):
    __slots__ = ("etag", "size_bytes", "coming_bytes", "unchanged")
    ETAG_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    COMING_BYTES_FIELD_NUMBER: _ClassVar[int]
    UNCHANGED_FIELD_NUMBER: _ClassVar[int]
    etag: str
    size_bytes: int
    coming_bytes: int
    unchanged: bool
    def __init__(self, etag: _Optional[str] = ..., size_bytes: _Optional[int] = ..., coming_bytes: _Optional[int] = ..., unchanged: _Optional[bool] = ...) -> None: ...
