"""Federations as they are run: their shards, their rounds, once or every hour. What `omega federation` does.

with federation(Federating(settings=..., shards=("http://10.0.0.1:8080", "eu.sums"), ...)) as made:
    report = run_round(made())
"""

from __future__ import annotations

import logging
import signal
import threading
import time
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import msgspec

from omega.compose import extra_module, open_catalog, registry
from omega.core.errors import InputError, OmegaError, shown
from omega.core.files import read_bounded
from omega.core.settings import Settings
from omega.core.shard_records import TASTE_SPACE
from omega.shards import sums_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from omega.core.artifacts.keys import Keyring
    from omega.core.artifacts.manifest import Manifest
    from omega.core.catalog import Catalog
    from omega.federation.collecting import Source
    from omega.federation.experiments import ExperimentOutcome, Published
    from omega.federation.round import Federation, RoundReport
    from omega.fleet.redteam.campaign import Outcome

log = logging.getLogger("omega.federation")

STORES = "sqlite:///", "postgresql://"
EVERY_S = 3600.0
STRATEGIES = "weighted-mean", "median", "trimmed-mean"
_MAX_TOKENS_BYTES = 1 << 18
_EXTRA = "shard"


class Federating(msgspec.Struct, frozen=True, kw_only=True):
    """What is federated, and how."""

    settings: Settings
    shards: tuple[str, ...]
    """Each an address of its management, http:// or https://, a file of omega shard sums, or its store."""
    artifacts: Path
    """The folder of published files that the shards serve."""
    key: Path
    """The operator's private key."""
    tokens: Path | None = None
    """A file with a token for all, or lines of an address and its token."""
    ca: Path | None = None
    """The only authorities that are trusted for https://; by default the system's."""
    home: Path | None = None
    """What the federation remembers; by default federation in OMEGA_HOME."""
    strategy: str = "weighted-mean"
    engine: str = "process-pool"
    workers: int = 1
    address: str = ""
    """Of the engine's scheduler, where it has one."""
    deadline_s: float = 30.0
    min_share: float = 0.5
    trends: str = "hourly"
    """When a title is rising: `hourly`, or `plan`."""

    @property
    def folder(self) -> Path:
        """The folder of what it remembers."""
        return home_of(self.settings, self.home)


def home_of(settings: Settings, home: Path | None = None) -> Path:
    """Return the folder of what a federation remembers."""
    return home or settings.home / "federation"


class Known:
    """The catalog that shards go by: the settings', or a later epoch of it on the shelf."""

    def __init__(self, catalog: Catalog, folder: Path, keys: Keyring) -> None:
        """`keys` are the operator's, who publishes in `folder`."""
        self._catalog, self._folder, self._keys = catalog, folder, keys
        self._read: Manifest | None = None

    def newest(self) -> Catalog:
        """Return it, looking at the shelf anew; what is broken is logged and passed over. Raises ArtifactError."""
        if not self._folder.is_dir():
            return self._catalog
        catalogs = extra_module("omega.core.artifacts.catalogs", _EXTRA)
        shelf = extra_module("omega.core.artifacts.shelf", _EXTRA).Shelf(self._folder)
        named = "catalog", self._catalog.lineage
        for manifest in shelf.current(self._keys, _passed_over):
            if (manifest.kind, manifest.name) == named and manifest != self._read:
                found = catalogs.decode_catalog(shelf.read(manifest))
                if found.epoch > self._catalog.epoch:
                    self._catalog = catalogs.later_catalog(self._catalog, found)
                self._read = manifest
        return self._catalog


def _passed_over(file: str, error: OmegaError) -> None:
    log.warning("%s is passed over: %s", file, error)


@contextmanager
def federation(federating: Federating) -> Iterator[Callable[[], Federation]]:
    """Give what the next round is made of, whenever it is asked for, within the block.

    Raises InputError, ArtifactError, CatalogError, PluginError.
    """
    rounds, trends = _module("round"), _module("trends")
    keys = extra_module("omega.core.artifacts.keys", _EXTRA)
    wire = extra_module("omega.core.wire", _EXTRA)
    if federating.trends not in trends.PRESETS:
        raise InputError(f"trends is {shown(federating.trends)}, allowed: {', '.join(trends.PRESETS)}")
    plugins, key = registry(), keys.SigningKey.read(federating.key)
    known = Known(open_catalog(federating.settings), federating.artifacts, keys.Keyring([key.public]))
    with ExitStack() as held:
        opened = plugins.engine(federating.engine).open(federating.workers, federating.address)
        made: Federation = rounds.Federation(
            home=federating.folder,
            sources=sources(federating, known),
            kin=_module("collecting").Kin(known.newest(), wire.space_code(TASTE_SPACE)),
            folder=federating.artifacts,
            key=key,
            strategy=plugins.strategy(federating.strategy)(),
            engine=held.enter_context(opened),
            deadline_s=federating.deadline_s,
            min_share=federating.min_share,
            rule=trends.PRESETS[federating.trends],
        )
        yield lambda: replace(made, kin=made.kin._replace(catalog=known.newest()))


def run_once(federating: Federating, progress: Callable[[int, int, str], None] = lambda *_: None) -> RoundReport:
    """Run one round, and return what it came to. Raises BusyError while another runs, and what `federation` does."""
    with federation(federating) as made:
        return _run(made(), progress)


def serve(
    federating: Federating,
    *,
    every_s: float = EVERY_S,
    metrics: tuple[str, int] | None = None,
    done: Callable[[RoundReport], None] = lambda report: None,
    ready: Callable[[int | None], None] = lambda port: None,
) -> None:
    """Run a round now and again and again until SIGTERM or SIGINT, which wait for the end of one that runs.

    A round that fails is logged and counted, and the next one comes at its time. `metrics` is where Prometheus may ask;
    `ready` gets the port. Raises what `federation` does.
    """
    if not 1 <= every_s <= 7 * 86_400:
        raise InputError(f"every is {every_s:g} s, allowed: 1 to 604,800")
    stop = threading.Event()
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGTERM, signal.SIGINT)}
    exposition = _module("exposition") if metrics else None
    try:
        with federation(federating) as made, ExitStack() as held:
            told = exposition.Told() if exposition else None
            ready(held.enter_context(exposition.served(told, *metrics)) if exposition and metrics else None)
            while not stop.is_set():
                began_s = time.monotonic()
                _round(made, told, done)
                stop.wait(max(every_s - (time.monotonic() - began_s), 0))
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _round(made: Callable[[], Federation], told: Any, done: Callable[[RoundReport], None]) -> None:
    try:
        report = _run(made(), lambda *_: None)
    except OmegaError as error:
        log.error("the round failed, the next one comes at its time: %s", error)  # noqa: TRY400  (it says what was wrong)
        if told:
            told.failed()
        return
    for shard in report.shards:
        if shard.outcome != "counted":
            log.warning("%s is %s: %s", shard.source, shard.outcome, shard.reason)
    log.info("round %d: %s, %d of %d shards", report.number, report.outcome, report.answered, len(report.shards))
    if told:
        told.done(report)
    done(report)


_STEPS = ("collected", "merged", "written", "published")


def _run(made: Federation, progress: Callable[[int, int, str], None]) -> RoundReport:
    def step(what: str) -> None:
        if what in _STEPS:
            progress(1 + _STEPS.index(what), len(_STEPS), what)

    progress(0, len(_STEPS), f"asking {len(made.sources)} shards")
    report: RoundReport = _module("round").run_round(made, step=step)
    return report


def reports(settings: Settings, home: Path | None = None, most: int = 20) -> list[RoundReport]:
    """Return the newest rounds, newest first; none where no round was run. Raises StoreError."""
    folder, history = home_of(settings, home), _module("history")
    if not (folder / history.FILE).exists():
        return []
    with closing(history.History.open(folder)) as opened:
        kind = _module("round").RoundReport
        return [msgspec.json.decode(row.report, type=kind) for row in opened.rounds(most)]


def experiments(
    settings: Settings, folder: Path, key: Path, home: Path | None = None, outcome: str = "minutes"
) -> list[ExperimentOutcome]:
    """Return what came of experiments until the last round. Raises InputError, ArtifactError, StoreError."""
    module, keys = _module("experiments"), extra_module("omega.core.artifacts.keys", _EXTRA)
    running = module.published(folder, keys.Keyring([_signing(key).public])).experiments
    found: list[ExperimentOutcome] = module.outcomes(home_of(settings, home), running, outcome)
    return found


def begin_experiments(file: Path, folder: Path, key: Path) -> Published:
    """Publish the experiments of a file beside those that run. Raises InputError, ArtifactError."""
    codec = extra_module("omega.core.experiments", _EXTRA)
    added = codec.decode_experiments(read_bounded(file, codec.MAX_FILE_BYTES + 1), file.name)
    found: Published = _module("experiments").begin(folder, _signing(key), added, time.time())
    return found


def end_experiment(name: str, folder: Path, key: Path) -> Published:
    """Let today be the last day of an experiment. Raises InputError, ArtifactError."""
    found: Published = _module("experiments").end(folder, _signing(key), name, time.time())
    return found


def _signing(key: Path) -> Any:
    return extra_module("omega.core.artifacts.keys", _EXTRA).SigningKey.read(key)


class Attacking(msgspec.Struct, frozen=True, kw_only=True):
    """Which attacks are played."""

    settings: Settings
    attacks: tuple[str, ...] = ()
    """Their names; empty: all."""
    strategies: tuple[str, ...] = STRATEGIES
    poisoned: tuple[float, ...] = (0.01, 0.03, 0.1, 0.3)
    """Shares of all TVs."""
    households: int = 240
    seeds: tuple[int, ...] = (1,)


def attacked(attacking: Attacking, progress: Callable[[int, int, str], None] = lambda *_: None) -> list[Outcome]:
    """Play attacks on shards that are made for it, in a folder that is removed. Raises InputError, PluginError."""
    campaign, known = (extra_module(f"omega.fleet.redteam.{name}", _EXTRA) for name in ("campaign", "attacks"))
    by_name = {attack.name: attack for attack in known.ATTACKS}
    if bad := next((name for name in attacking.attacks if name not in by_name), None):
        raise InputError(f"attack is {shown(bad)}, allowed: {', '.join(by_name)}")
    plugins = registry()
    with TemporaryDirectory(prefix="omega-redteam-") as folder, plugins.engine("process-pool").open() as engine:
        plan = campaign.Plan(
            catalog=open_catalog(attacking.settings),
            folder=Path(folder),
            strategies=[plugins.strategy(name)() for name in dict.fromkeys(attacking.strategies)],
            engine=engine,
            poisoned=tuple(dict.fromkeys(attacking.poisoned)),
            attacks=[by_name[name] for name in dict.fromkeys(attacking.attacks or by_name)],
            seeds=tuple(dict.fromkeys(attacking.seeds)),
            households=attacking.households,
        )
        return list(campaign.played(plan, progress))


def sources(federating: Federating, known: Known) -> list[Source]:
    """Return the shards as sources. Raises InputError."""
    tokens = _tokens(federating.tokens)
    return [_source(shard, federating, known, tokens) for shard in federating.shards]


def _source(shard: str, federating: Federating, known: Known, tokens: dict[str, str]) -> Source:
    collecting = _module("collecting")
    if shard.startswith(STORES):
        scheme, _, where = shard.partition("://")
        name = f"{scheme}://{where.rpartition('@')[2]}"
        found = collecting.Source(name, lambda deadline_s: sums_of(shard, known.newest()).encode())
    elif "://" in shard:
        token = tokens.get(shard.rstrip("/"), tokens.get(""))
        if not token:
            do = "give one with --tokens FILE, from omega shard admin NAME --role federation"
            raise InputError(f"shard {shown(shard)} has no token, allowed: one of role federation: {do}")
        found = collecting.url_source(shard, token, federating.ca)
    else:
        found = collecting.file_source(Path(shard))
    made: Source = found
    return made


def _tokens(path: Path | None) -> dict[str, str]:
    """Return tokens by address; under the empty one, that for all others. Raises InputError."""
    found: dict[str, str] = {}
    lines: Sequence[str] = read_bounded(path, _MAX_TOKENS_BYTES).decode(errors="replace").splitlines() if path else ()
    for number, line in enumerate(lines, 1):
        words = line.split()
        if len(words) > 2:
            raise InputError(
                f"{path} line {number} has {len(words)} words, allowed: a token, or an address and a token"
            )
        if words:
            found[words[0].rstrip("/") if len(words) == 2 else ""] = words[-1]
    return found


def _module(name: str) -> Any:
    return extra_module(f"omega.federation.{name}", _EXTRA)
