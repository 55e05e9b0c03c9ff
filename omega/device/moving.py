"""The way from one embedder to another, in steps small enough for a TV's idle moments.

The brain answers in the old space until the last step; then it takes over what came of the move at once.
"""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from omega.core.errors import OmegaError
from omega.core.text import context_text
from omega.device.titles import loading

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Mapping
    from pathlib import Path

    from omega.core.catalog import Catalog
    from omega.core.ports import Embedder, Floats
    from omega.core.types import Title
    from omega.device.fallback import Fallback, Which
    from omega.device.titles import Loading, TitleArrays

    Move: TypeAlias = Generator[tuple[int, int], None, "Arrived"]

TEXTS_A_STEP = 4
"""With the model 12 to 30 ms."""
_PROBE = context_text("evening", "weekday", "calm and funny")
_PROBED = 5
_LETTERS_A_TOKEN = 2
"""English has four; what is taken for longer than it is, is only not judged."""


@dataclass(frozen=True, slots=True)
class Arrived:
    """All that a brain needs to go on in another space; whoever takes it closes the embedder."""

    embedder: Embedder
    titles: TitleArrays
    local: Mapping[str, Floats]
    """(384,) of each title that no catalog has, by its id."""


def moving(
    load: Callable[[], Embedder],
    catalog: Catalog,
    local: Iterable[Title],
    cache: Path | None,
    texts: int = TEXTS_A_STEP,
) -> Move:
    """Load an embedder, and embed with it the catalog, unless the cache has it, and the TV's own titles.

    Gives (texts done, in all) after each step of so many `texts` and returns what `Arrived` holds. Raises what loading
    and embedding raise; the embedder is closed then, and when the move is given up by `close`.
    """
    embedder = load()
    try:
        arrays = yield from loading(catalog, embedder, cache, texts)
        own = list(local)
        vectors: dict[str, Floats] = {}
        for start in range(0, len(own), texts):
            part = own[start : start + texts]
            vectors |= zip((title.id for title in part), embedder.embed([title.text for title in part]), strict=True)
            yield len(vectors), len(own)
    except BaseException:
        embedder.close()
        raise
    return Arrived(embedder, arrays, vectors)


def following(
    embedder: Callable[[], Embedder], catalog: Catalog, cache: Path | None, texts: int = TEXTS_A_STEP
) -> Loading:
    """Embed a catalog in the space that is worked in, as `titles.loading` does; anew when that changes meanwhile."""
    while True:
        mine = embedder()
        steps = loading(catalog, mine, cache, texts)
        while embedder() is mine:
            try:
                yield next(steps)
            except StopIteration as end:
                arrays: TitleArrays = end.value
                return arrays
        steps.close()


class Mover:
    """Keeps a brain's embedder the one that the policy names: times it, probes the other one, moves when told to."""

    def __init__(
        self,
        fallback: Fallback,
        load: Callable[[Which], Embedder],
        catalog: Catalog,
        cache: Path | None,
        timer: Callable[[], float] = time.perf_counter,
    ) -> None:
        """`load` opens the model or the static table; `timer` gives seconds of any origin that never go back."""
        self.fallback = fallback
        self.which: Which = fallback.state.which
        """What the brain embeds with; the policy may already name the other one."""
        self._load = load
        self._catalog = catalog
        self._cache = cache
        self._timer = timer
        self._move: Move | None = None
        self._goal: Which = self.which
        self._unjudged = fallback.policy.judged

    def embed(self, embedder: Embedder, text: str, now_s: float) -> Floats | None:
        """Return (384,) of a text and tell the policy what it took, or that the model broke: then there is None."""
        try:
            started = self._timer()
            row: Floats = embedder.embed([text])[0]
        except (OmegaError, MemoryError) as error:
            self._failed(error, now_s)
            return None
        if self.which == "model":
            self.fallback.embedded(1000 * (self._timer() - started), len(text) // _LETTERS_A_TOKEN, now_s)
        return row

    def tend(self, embedder: Embedder, local: Iterable[Title], now_s: float, budget_ms: float) -> Arrived | None:
        """Do idle work for about so long, a step at least; return what a brain takes over once a move is done.

        `embedder` is the one in use, `local` the TV's own titles. Loading the model for a probe or a move takes .1 s at
        once. The brain MUST take over what is returned, and close its old embedder.
        """
        until = self._timer() + budget_ms / 1000
        self._judge(embedder, now_s, until)
        if self.fallback.probe_due(now_s):
            self._probe(now_s)
        if self._move is not None and self.fallback.state.which != self._goal:
            self.close()
        if self._move is None and self.fallback.state.which != self.which:
            self._goal = goal = self.fallback.state.which
            self._move = moving(lambda: self._load(goal), self._catalog, local, self._cache)
        return self._go_on(now_s, until)

    def adopt_catalog(self, catalog: Catalog) -> None:
        """Move with this catalog from now on; a move that is under way begins again."""
        self.close()
        self._catalog = catalog

    def close(self) -> None:
        """Give up a move that is under way."""
        if self._move is not None:
            self._move.close()
            self._move = None

    def _judge(self, embedder: Embedder, now_s: float, until: float) -> None:
        """Time some texts of our own, so that a slow model is known before a household has asked for 20 moods."""
        while self._unjudged and self.which == self.fallback.state.which == "model" and self._timer() < until:
            self._unjudged -= 1
            self.embed(embedder, _PROBE, now_s)

    def _probe(self, now_s: float) -> None:
        """Load the model, and take the median of some texts' times."""
        try:
            with closing(self._load("model")) as model:
                times = sorted(self._timed(model) for _ in range(_PROBED))
        except (OmegaError, MemoryError) as error:
            self._failed(error, now_s)
        else:
            self.fallback.probed(1000 * times[_PROBED // 2], now_s)

    def _timed(self, model: Embedder) -> float:
        started = self._timer()
        model.embed([_PROBE])
        return self._timer() - started

    def _go_on(self, now_s: float, until: float) -> Arrived | None:
        if self._move is None:
            return None
        try:
            next(self._move)
            while self._timer() < until:
                next(self._move)
        except StopIteration as end:
            self._move, self.which = None, self._goal
            self._unjudged = self.fallback.policy.judged
            arrived: Arrived = end.value
            return arrived
        except (OmegaError, MemoryError) as error:
            self._move = None
            if self._goal == "static":
                raise
            self._failed(error, now_s)
        return None

    def _failed(self, error: BaseException, now_s: float) -> None:
        self.fallback.failed(str(error) or "there is not memory enough to run it", now_s)
