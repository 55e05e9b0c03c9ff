"""Finds titles by words, for those who run a shard: with a TV's own embedder, beside the loop that serves TVs."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from omega.compose import extra_module, open_embedder
from omega.core.errors import BusyError

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from omega.core.catalog import Catalog
    from omega.core.ports import Embedder, Floats
    from omega.core.settings import Settings
    from omega.device.titles import TitleArrays

WAIT_S = 10.0
"""Whoever asks waits so long; what was begun goes on, and the next one finds it done."""
MOST_WAITING = 8
"""Questions at once, the one that is being answered included."""


class TitleSearch:
    """Cosines of a text with a catalog's titles; what it needs is loaded when the first question comes."""

    def __init__(self, settings: Settings) -> None:
        """Load nothing yet; vectors of titles are kept in the settings' cache, where TVs' are."""
        self._settings = settings
        self._thread = ThreadPoolExecutor(1, "omega-title-search")
        self._waiting = 0
        self._embedder: Embedder | None = None
        self._made: tuple[Catalog, TitleArrays] | None = None
        self._closing = False

    async def __call__(self, catalog: Catalog, text: str) -> Floats:
        """Return the text's cosine with each title, (n,) float32 in order of the ordinals.

        The first question to a catalog embeds it, 5 ms a title, unless its vectors are in the cache. Raises
        MissingExtraError without the extra `device`, BusyError where too many ask or that takes long, ModelError,
        PluginError.
        """
        if self._waiting >= MOST_WAITING:
            raise BusyError(f"{self._waiting} questions by text wait, allowed: {MOST_WAITING}: ask later")
        self._waiting += 1
        answer = asyncio.get_running_loop().run_in_executor(self._thread, self._cosines, catalog, text)
        answer.add_done_callback(self._done)
        try:
            return await asyncio.wait_for(asyncio.shield(answer), WAIT_S)
        except TimeoutError:
            told = f"the catalog's {len(catalog)} titles are being embedded"
            raise BusyError(f"{told}, allowed: an answer in {WAIT_S:.0f} s: ask later") from None

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Let go of the embedder; titles that are being embedded are left at the next few."""
        self._closing = True
        self._thread.shutdown(cancel_futures=True)
        if self._embedder:
            self._embedder.close()

    def _done(self, answer: asyncio.Future[Floats]) -> None:
        self._waiting -= 1
        if not answer.cancelled():
            answer.exception()  # who asked may have gone

    def _cosines(self, catalog: Catalog, text: str) -> Floats:
        """Do it, in the thread."""
        if self._embedder is None:
            self._embedder = open_embedder(self._settings)
        if self._made is None or self._made[0] is not catalog:
            self._made = catalog, self._arrays(catalog, self._embedder)
        cosines: Floats = self._made[1].vectors @ self._embedder.embed([text])[0]
        return cosines

    def _arrays(self, catalog: Catalog, embedder: Embedder) -> TitleArrays:
        steps = extra_module("omega.device.titles", "device").loading(
            catalog, embedder, self._settings.cache / "titles"
        )
        while not self._closing:
            try:
                next(steps)
            except StopIteration as end:
                arrays: TitleArrays = end.value
                return arrays
        raise BusyError("the shard ends, allowed: a question before: ask another worker")
