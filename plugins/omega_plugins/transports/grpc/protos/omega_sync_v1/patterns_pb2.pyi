from omega_plugins.transports.grpc.protos.omega_sync_v1 import events_pb2 as _events_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Sample(_message.Message):
    __slots__ = ("ordinal", "title_hash", "context", "day", "success_milli", "taste")
    ORDINAL_FIELD_NUMBER: _ClassVar[int]
    TITLE_HASH_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_FIELD_NUMBER: _ClassVar[int]
    DAY_FIELD_NUMBER: _ClassVar[int]
    SUCCESS_MILLI_FIELD_NUMBER: _ClassVar[int]
    TASTE_FIELD_NUMBER: _ClassVar[int]
    ordinal: int
    title_hash: int
    context: _events_pb2.Context
    day: int
    success_milli: int
    taste: bytes
    def __init__(self, ordinal: _Optional[int] = ..., title_hash: _Optional[int] = ..., context: _Optional[_Union[_events_pb2.Context, _Mapping]] = ..., day: _Optional[int] = ..., success_milli: _Optional[int] = ..., taste: _Optional[bytes] = ...) -> None: ...

class Trend(_message.Message):
    __slots__ = ("ordinal", "context", "households", "success_milli", "momentum", "audience")
    ORDINAL_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_FIELD_NUMBER: _ClassVar[int]
    HOUSEHOLDS_FIELD_NUMBER: _ClassVar[int]
    SUCCESS_MILLI_FIELD_NUMBER: _ClassVar[int]
    MOMENTUM_FIELD_NUMBER: _ClassVar[int]
    AUDIENCE_FIELD_NUMBER: _ClassVar[int]
    ordinal: int
    context: _events_pb2.Context
    households: int
    success_milli: int
    momentum: int
    audience: bytes
    def __init__(self, ordinal: _Optional[int] = ..., context: _Optional[_Union[_events_pb2.Context, _Mapping]] = ..., households: _Optional[int] = ..., success_milli: _Optional[int] = ..., momentum: _Optional[int] = ..., audience: _Optional[bytes] = ...) -> None: ...

class Similar(_message.Message):
    __slots__ = ("ordinal", "context", "households", "success_milli", "nearness")
    ORDINAL_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_FIELD_NUMBER: _ClassVar[int]
    HOUSEHOLDS_FIELD_NUMBER: _ClassVar[int]
    SUCCESS_MILLI_FIELD_NUMBER: _ClassVar[int]
    NEARNESS_FIELD_NUMBER: _ClassVar[int]
    ordinal: int
    context: _events_pb2.Context
    households: int
    success_milli: int
    nearness: int
    def __init__(self, ordinal: _Optional[int] = ..., context: _Optional[_Union[_events_pb2.Context, _Mapping]] = ..., households: _Optional[int] = ..., success_milli: _Optional[int] = ..., nearness: _Optional[int] = ...) -> None: ...
