"""Which embedder a TV uses, the model or the static table: a policy that is told what happened and what time it is.

It loads nothing and measures nothing. Whoever embeds tells of loads that failed and of times; `state` says what to use,
since when and why. It leaves the model at once when that can't be loaded, and when it misses its budget; it comes back
only after several good probes in a row. Time counts as it passes between calls: a clock that is set back costs nothing
but the time it was set back by.
"""

from __future__ import annotations

from collections import deque
from typing import Literal, TypeAlias

import msgspec

Which: TypeAlias = Literal["model", "static"]


class Policy(msgspec.Struct, frozen=True):
    """When to leave the model and when to come back to it."""

    budget_ms: float = 15.0
    """What nine of ten embeddings must keep within."""
    judged: int = 20
    """How many of the newest embeddings are looked at; none is judged before there are so many."""
    judged_tokens: int = 64
    """Longer texts say nothing about the budget."""
    return_ms: float = 10.0
    """What a probe must keep within: less than the budget, so that a model at its edge doesn't come and go."""
    good_probes: int = 3
    """How many in a row bring the model back."""
    rest_s: float = 600.0
    """The least time between two changes, and between probes at first."""
    longest_rest_s: float = 21_600.0
    """Where the doubling of the time between probes ends; a model that kept its budget so long starts afresh."""

    @property
    def slow_allowed(self) -> int:
        """How many of the judged embeddings may miss the budget: one in ten."""
        return self.judged // 10


class State(msgspec.Struct, frozen=True):
    """What to embed with."""

    which: Which
    since_s: float
    """By the caller's clock."""
    why: str
    """In words, as it may stand after `static, because`."""


class Fallback:
    """The choice between the model and the static table; all times in seconds of one clock of the caller's.

    A change back to the model, or away from it for being slow, never comes within `rest_s` of the change before. Only
    a model that can't be loaded or run is left at once, so two changes that near are the most there can be.
    """

    def __init__(self, now_s: float, policy: Policy | None = None) -> None:
        """Start with the model."""
        self.policy = policy or Policy()
        self.state = State("model", now_s, "it is the default")
        self._times_ms: deque[float] = deque(maxlen=self.policy.judged)
        self._clock_s = now_s
        self._elapsed_s = 0.0
        self._changed_at_s = 0.0  # these two in elapsed seconds
        self._probe_at_s = 0.0
        self._rest_s = self.policy.rest_s
        self._good = 0
        self._changed = False

    def failed(self, reason: str, now_s: float) -> None:
        """Take in that the model could not be loaded or run, at a probe too; `reason` in words, on one line."""
        self._pass(now_s)
        why = f"the model can't be used: {reason}"
        if self.state.which == "model":
            self._leave(why, now_s)
        else:
            self.state = msgspec.structs.replace(self.state, why=why)
            self._bad_probe()

    def embedded(self, ms: float, tokens: int, now_s: float) -> None:
        """Take in what one text of so many tokens took; what the static table took is of no interest."""
        self._pass(now_s)
        if self.state.which != "model" or tokens > self.policy.judged_tokens:
            return
        self._times_ms.append(ms)
        slow = sum(time > self.policy.budget_ms for time in self._times_ms)
        judged = len(self._times_ms) == self.policy.judged
        if judged and slow > self.policy.slow_allowed and self._rested():
            allowed = f"allowed: {self.policy.slow_allowed} of them"
            self._leave(
                f"{slow} of {self.policy.judged} texts took over {self.policy.budget_ms:g} ms, {allowed}", now_s
            )

    def probe_due(self, now_s: float) -> bool:
        """Say whether it is time to load the model, embed a short text with it and tell `probed` or `failed`."""
        self._pass(now_s)
        return self.state.which == "static" and self._elapsed_s >= self._probe_at_s

    def probed(self, ms: float, now_s: float) -> None:
        """Take in what a short text took with the model, which must be loaded for that; only a due probe counts."""
        if not self.probe_due(now_s):
            return
        if ms > self.policy.return_ms:
            self._bad_probe()
            return
        self._good += 1
        self._probe_at_s = self._elapsed_s + self.policy.rest_s
        if self._good >= self.policy.good_probes and self._rested():
            self._change("model", f"it kept within {self.policy.return_ms:g} ms in {self._good} probes", now_s)

    def _leave(self, why: str, now_s: float) -> None:
        """Go to the static table; who comes back and must leave again soon waits twice as long."""
        kept_s = self._elapsed_s - self._changed_at_s
        if kept_s >= self.policy.longest_rest_s or not self._changed:
            self._rest_s = self.policy.rest_s
        else:
            self._double()
        self._change("static", why, now_s)
        self._probe_at_s = self._elapsed_s + self._rest_s

    def _bad_probe(self) -> None:
        self._good = 0
        self._double()
        self._probe_at_s = self._elapsed_s + self._rest_s

    def _double(self) -> None:
        self._rest_s = min(2 * self._rest_s, self.policy.longest_rest_s)

    def _change(self, which: Which, why: str, now_s: float) -> None:
        self.state = State(which, now_s, why)
        self._changed = True
        self._changed_at_s = self._elapsed_s
        self._times_ms.clear()
        self._good = 0

    def _rested(self) -> bool:
        """Say whether a change may come; the first one may at any time."""
        return not self._changed or self._elapsed_s - self._changed_at_s >= self.policy.rest_s

    def _pass(self, now_s: float) -> None:
        """Let the time pass that went by since the last call."""
        self._elapsed_s += max(now_s - self._clock_s, 0.0)
        self._clock_s = now_s
