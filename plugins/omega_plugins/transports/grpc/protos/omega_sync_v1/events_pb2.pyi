from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class TimeOfDay(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TIME_OF_DAY_UNSPECIFIED: _ClassVar[TimeOfDay]
    TIME_OF_DAY_MORNING: _ClassVar[TimeOfDay]
    TIME_OF_DAY_AFTERNOON: _ClassVar[TimeOfDay]
    TIME_OF_DAY_EVENING: _ClassVar[TimeOfDay]
    TIME_OF_DAY_NIGHT: _ClassVar[TimeOfDay]
TIME_OF_DAY_UNSPECIFIED: TimeOfDay
TIME_OF_DAY_MORNING: TimeOfDay
TIME_OF_DAY_AFTERNOON: TimeOfDay
TIME_OF_DAY_EVENING: TimeOfDay
TIME_OF_DAY_NIGHT: TimeOfDay

class Context(_message.Message):
    __slots__ = ("time", "weekend")
    TIME_FIELD_NUMBER: _ClassVar[int]
    WEEKEND_FIELD_NUMBER: _ClassVar[int]
    time: TimeOfDay
    weekend: bool
    def __init__(self, time: _Optional[_Union[TimeOfDay, str]] = ..., weekend: _Optional[bool] = ...) -> None: ...

class ViewingEvent(_message.Message):
    __slots__ = ("content_id", "watch_pct", "minutes", "at", "season", "episode", "profile", "liked", "title", "kind", "genres")
    CONTENT_ID_FIELD_NUMBER: _ClassVar[int]
    WATCH_PCT_FIELD_NUMBER: _ClassVar[int]
    MINUTES_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    SEASON_FIELD_NUMBER: _ClassVar[int]
    EPISODE_FIELD_NUMBER: _ClassVar[int]
    PROFILE_FIELD_NUMBER: _ClassVar[int]
    LIKED_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    GENRES_FIELD_NUMBER: _ClassVar[int]
    content_id: str
    watch_pct: float
    minutes: float
    at: str
    season: int
    episode: int
    profile: str
    liked: bool
    title: str
    kind: str
    genres: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, content_id: _Optional[str] = ..., watch_pct: _Optional[float] = ..., minutes: _Optional[float] = ..., at: _Optional[str] = ..., season: _Optional[int] = ..., episode: _Optional[int] = ..., profile: _Optional[str] = ..., liked: _Optional[bool] = ..., title: _Optional[str] = ..., kind: _Optional[str] = ..., genres: _Optional[_Iterable[str]] = ...) -> None: ...
