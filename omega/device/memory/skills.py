"""Skills: contexts in which a genre or kind keeps succeeding, as sums over all episodes, failures included.

After the skill libraries of Voyager (Wang et al., 2023) and ReasoningBank (Ouyang et al., 2025): what works is kept
with its context, asked for by similarity and ranked by how well it went. Here a skill is no text but sums that form a
commutative monoid under `merged`, so that episodes may come in any order, in pieces, or profile by profile.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple, Self

import msgspec

from omega.core.types import PRIOR_SAMPLES, PRIOR_SUCCESS
from omega.device.memory.contexts import any_day, similarity
from omega.device.memory.episodes import FINISHED_MILLI, SUCCESS_REWARD

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping

    from omega.device.memory.episodes import Episode

HALF_LIFE_S = 28 * 86_400
"""An episode counts half after four weeks."""
LEAST_EPISODES = 3
LEAST_SUCCESS = 0.7
OWN_DAY_SHARE = 2 / 3
"""Share of a slot's episodes that one day of the week needs before the habit is that day's and not the slot's."""
TOP = 12
"""How many skills are ranked for a question."""
_USES_PRIOR = 3.0


class Key(NamedTuple):
    """What a row of sums stands under."""

    profile: int
    day: int
    """0..6 from Monday."""
    time: int
    """0..3"""
    facet: str


class Sums(msgspec.Struct, frozen=True):
    """One row of the skill table; what decays is worth what it was at `last_at`."""

    count: int
    """Episodes, undecayed."""
    finished: int
    """Those watched to the end, undecayed."""
    episodes: float
    successes: float
    rewards: float
    uses: float
    """Episodes that were chosen from an offered list."""
    last_at: int
    """Unix seconds of the latest episode."""

    @classmethod
    def of(cls, episode: Episode) -> Self:
        """Return the sums of one episode."""
        reward = episode.reward
        finished = int(episode.watched_milli >= FINISHED_MILLI)
        return cls(1, finished, 1.0, float(reward > SUCCESS_REWARD), reward, float(episode.offered), episode.at)

    def faded(self, now: float) -> float:
        """Return the share, 0..1, that is left of the decayed sums at `now`, in unix seconds."""
        return float(2.0 ** (min(self.last_at - now, 0) / HALF_LIFE_S))


def merged(a: Sums, b: Sums) -> Sums:
    """Return the sums of both rows' episodes, whichever came first: all decays are taken to the later `last_at`.

    Exponential decay against a moving landmark (Cormode et al., Forward Decay, 2009).
    """
    last_at = max(a.last_at, b.last_at)
    x, y = a.faded(last_at), b.faded(last_at)
    return Sums(
        count=a.count + b.count,
        finished=a.finished + b.finished,
        episodes=x * a.episodes + y * b.episodes,
        successes=x * a.successes + y * b.successes,
        rewards=x * a.rewards + y * b.rewards,
        uses=x * a.uses + y * b.uses,
        last_at=last_at,
    )


def fold(rows: Mapping[Key, Sums], episodes: Iterable[Episode]) -> dict[Key, Sums]:
    """Return the rows that change when `episodes` come to `rows`, in whatever order; `rows` stay as they are."""
    changed: dict[Key, Sums] = {}
    for episode in episodes:
        one = Sums.of(episode)
        for facet in episode.facets:
            key = Key(episode.profile, episode.day, episode.time, facet)
            known = changed.get(key) or rows.get(key)
            changed[key] = merged(known, one) if known else one
    return changed


class Skill(msgspec.Struct, frozen=True):
    """A habit that keeps succeeding."""

    day: int
    """0..6 a day of the week, 7 any weekday, 8 any day of the weekend."""
    time: int
    """0..3"""
    facet: str
    count: int
    """Episodes, undecayed; 3 and more."""
    finished: int
    success: float
    """Posterior mean of the success rate, 0.7..1."""
    reward: float
    """Posterior mean of the reward, 0..1."""
    use: float
    """0..1, how often it was chosen from an offered list: u / (u + 3) of u decayed times."""
    last_at: int
    """Unix seconds."""


class Ranked(msgspec.Struct, frozen=True):
    """A skill before a question."""

    skill: Skill
    similarity: float
    score: float


def skills_of(rows: Mapping[Key, Sums], now: float) -> list[Skill]:
    """Return the skills among rows of any profiles at `now`, in unix seconds; ordered by day, time and facet.

    A skill has 3 episodes and a success rate of .7 and more, the rate a Beta(1, 1) posterior mean of decayed sums over
    all its episodes. The originals' window of 7 days would never see what happens once a week: here 28 days' decay
    takes its place. Three Fridays are a habit, which the prior alone lets go 26 days after the last of them. What is
    spread over the days of a slot (weekday evenings) counts together; a day with two thirds of it has the habit for
    itself.
    """
    days: defaultdict[tuple[int, int, str], dict[int, Sums]] = defaultdict(dict)
    for key, sums in rows.items():
        of_slot = days[any_day(key.day), key.time, key.facet]
        of_slot[key.day] = merged(of_slot[key.day], sums) if key.day in of_slot else sums
    found = [_skill(slot, by_day, now) for slot, by_day in days.items()]
    return sorted((skill for skill in found if skill), key=lambda skill: (skill.day, skill.time, skill.facet))


def _skill(slot: tuple[int, int, str], by_day: Mapping[int, Sums], now: float) -> Skill | None:
    """Return the skill of a slot, or of the one day that has most of it, if there is any."""
    day = max(by_day, key=lambda day: (by_day[day].faded(now) * by_day[day].episodes, -day))
    whole, *others = (by_day[day] for day in sorted(by_day))
    for sums in others:
        whole = merged(whole, sums)
    own = by_day[day]
    is_own = own.faded(now) * own.episodes >= OWN_DAY_SHARE * whole.faded(now) * whole.episodes
    tries = [(day, own)] * is_own + [(slot[0], whole)]
    found = (_skill_of(at, slot, sums, now) for at, sums in tries)
    return next((s for s in found if s.count >= LEAST_EPISODES and s.success >= LEAST_SUCCESS), None)


def _skill_of(day: int, slot: tuple[int, int, str], sums: Sums, now: float) -> Skill:
    left = sums.faded(now)
    samples, uses = PRIOR_SAMPLES + left * sums.episodes, left * sums.uses
    return Skill(
        day=day,
        time=slot[1],
        facet=slot[2],
        count=sums.count,
        finished=sums.finished,
        success=(PRIOR_SUCCESS + left * sums.successes) / samples,
        reward=(PRIOR_SUCCESS + left * sums.rewards) / samples,
        use=uses / (uses + _USES_PRIOR),
        last_at=sums.last_at,
    )


def rank(
    skills: Iterable[Skill], day: int, time: int, k: int = TOP, facets: Container[str] | None = None
) -> list[Ranked]:
    """Return the `k` best skills for a context, best first: of `facets` only (None: any), the best of each facet.

    score = .4 similarity + .3 success + .2 reward + .1 use, as the skill libraries rank. What has no similarity with
    the context, is of another facet or is a facet's second is left out before the `k` best are taken.
    """
    best: dict[str, Ranked] = {}
    for skill in skills:
        near = float(similarity(skill.day, skill.time, day, time))
        if near > 0 and (facets is None or skill.facet in facets):
            score = 0.4 * near + 0.3 * skill.success + 0.2 * skill.reward + 0.1 * skill.use
            if skill.facet not in best or score > best[skill.facet].score:
                best[skill.facet] = Ranked(skill, near, score)
    return sorted(best.values(), key=lambda ranked: (-ranked.score, ranked.skill.facet))[:k]
