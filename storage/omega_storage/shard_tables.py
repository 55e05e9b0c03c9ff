"""What a shard's store asks of its database: transactions, named statements, rows written column by column."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from omega.core.ports import Floats, Integers
    from omega_storage.shard_sums import Doubles

    Column: TypeAlias = Integers | Doubles | Floats | Sequence[int] | Sequence[bytes]


class Tables(ABC):
    """The tables of one shard, in one database; use them from one thread at a time. All methods raise StoreError."""

    location: str
    """Where they are, in words for a person: no password in it."""

    @abstractmethod
    def transaction(self) -> AbstractContextManager[None]:
        """Run the block whole or not at all; what it wrote is durable when it ends."""

    @abstractmethod
    def lock(self, what: Literal["enrolment", "sums"]) -> None:
        """Wait until no other session holds this lock, and hold it until the transaction ends."""

    @abstractmethod
    def read(self, name: str, *values: Any) -> list[Any]:
        """Run a named statement, in the transaction if there is one, and return its rows as tuples."""

    @abstractmethod
    def write(self, name: str, *columns: Column) -> None:
        """Run a named statement on m rows, given as columns of m; floats that are NaN become NULL.

        A column of (m, k) float32 is one value a row, which `floats` reads again.
        """

    @abstractmethod
    def held(self, name: str, keys: Sequence[int]) -> list[Any]:
        """Return rows by ascending key, as `read` does; nobody else changes them until the transaction ends."""

    @abstractmethod
    def among(self, values: Sequence[int] | Sequence[bytes]) -> Any:
        """Return the one value that stands for many in a statement."""

    @abstractmethod
    def floats(self, values: Sequence[Any]) -> Floats:
        """Return (m, k) float32 of values that were read."""

    @abstractmethod
    def close(self) -> None:
        """Release the database."""
