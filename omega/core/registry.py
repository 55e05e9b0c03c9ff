"""Finds plugins: the built-ins it is handed, and strangers' by entry point, scanned when a name is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import msgspec
import pluggy

from omega.core import hooks
from omega.core.errors import PluginError, on_one_line, shown
from omega.core.ports import Embedder, Engine, Strategy, Transport, VectorStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import typer

Kind: TypeAlias = Literal["embedder", "vector store", "transport", "strategy", "engine"]
_HOOKS: dict[Kind, str] = {
    "embedder": "omega_embedders",
    "vector store": "omega_vector_stores",
    "transport": "omega_transports",
    "strategy": "omega_strategies",
    "engine": "omega_engines",
}
_BASES: dict[Kind, type[Any]] = {
    "embedder": Embedder,
    "vector store": VectorStore,
    "transport": Transport,
    "strategy": Strategy,
    "engine": Engine,
}
_COMMANDS = "omega_commands"
_BUILT_IN = "built in"
_REASON_CHARS = 200
_FAULTS = (Exception, SystemExit)
"""What a stranger's code may raise without ending the program."""


class PluginInfo(msgspec.Struct, frozen=True):
    """One line of `omega plugins`."""

    kind: str
    name: str
    origin: str
    """`built in`, or the distribution that brought it."""
    summary: str


class BrokenPlugin(msgspec.Struct, frozen=True):
    """A plugin, or a part of one, that is left out."""

    origin: str
    reason: str
    """One line of at most 200 characters."""


class Registry:
    """Plugins by kind and name.

    What is broken or has a name that is taken is left out and named in `broken`; with `strict` (as in CI) it raises
    PluginError. Of two with one name the built-in stays, else the one whose distribution's name sorts first.
    """

    def __init__(self, builtins: Iterable[object] = (), *, strict: bool = False) -> None:
        """`builtins` are plugin objects or modules; entry points are not looked at yet."""
        self._manager = pluggy.PluginManager(hooks.PROJECT)
        self._manager.add_hookspecs(hooks)
        self._strict = strict
        self._scanned = False
        self._origins: dict[str, str] = {}
        self._offered: dict[tuple[Kind, str], list[type[Any]]] = {}
        self.broken: list[BrokenPlugin] = []
        self.commands: list[PluginInfo] = []
        for plugin in builtins:
            self._register(plugin, _BUILT_IN)

    def embedder(self, name: str) -> type[Embedder]:
        """Return the embedder class of this name; raises PluginError."""
        found: type[Embedder] = self._find("embedder", name)
        return found

    def vector_store(self, name: str) -> type[VectorStore]:
        """Return the vector-store class of this name; raises PluginError."""
        found: type[VectorStore] = self._find("vector store", name)
        return found

    def strategy(self, name: str) -> type[Strategy]:
        """Return the strategy class of this name; raises PluginError."""
        found: type[Strategy] = self._find("strategy", name)
        return found

    def engine(self, name: str) -> type[Engine]:
        """Return the engine class of this name; raises PluginError."""
        found: type[Engine] = self._find("engine", name)
        return found

    def transport(self, name: str) -> type[Transport]:
        """Return the transport class of this name; raises PluginError."""
        found: type[Transport] = self._find("transport", name)
        return found

    def transport_for(self, scheme: str) -> type[Transport]:
        """Return the transport class whose URLs begin with this; raises PluginError."""
        found = self._by_scheme()
        if scheme not in found:
            self.scan()
            found = self._by_scheme()
        if scheme not in found:
            raise PluginError(f"URL begins with {shown(scheme)}, allowed: {', '.join(sorted(found))}")
        return found[scheme]

    def _by_scheme(self) -> dict[str, type[Transport]]:
        classes: list[type[Transport]] = [cls for cls, _ in self._classes("transport").values()]
        return {scheme: cls for cls in reversed(classes) for scheme in cls.SCHEMES}  # the built-in stays

    def add_commands(self, app: typer.Typer, names: Callable[[typer.Typer], set[str]]) -> None:
        """Add every plugin's commands and groups to the app and list them in `commands`, but none whose name is taken.

        A plugin fills an app of its own, so that one that fails halfway leaves nothing behind. `names` returns what
        stands at the top of an app; it may raise when a command can't be built.
        """
        self.scan()
        taken = names(app)
        for implementation in self._implementations(_COMMANDS):
            origin, own = self._origins[implementation.plugin_name], type(app)()
            try:
                implementation.function(own)
            except _FAULTS as error:
                self._failed(origin, error)
                continue
            for alone in _one_by_one(own):
                try:
                    offered = _untaken(names(alone), taken)
                except _FAULTS as error:
                    self._failed(origin, error)
                    continue
                taken |= offered
                app.registered_commands += alone.registered_commands
                app.registered_groups += alone.registered_groups
                summary = _summary(implementation.function)
                self.commands += [PluginInfo("command", name, origin, summary) for name in sorted(offered)]

    def plugins(self) -> list[PluginInfo]:
        """Return every plugin, built-ins first, by kind, and the commands that were added."""
        self.scan()
        found = []
        for kind in _HOOKS:
            classes = self._classes(kind).items()
            rows = [PluginInfo(kind, name, origin, _summary(cls)) for name, (cls, origin) in classes]
            found += sorted(rows, key=lambda row: (row.origin != _BUILT_IN, row.name))
        return found + self.commands

    def scan(self) -> None:
        """Load the plugins that installed distributions announce; done once."""
        if self._scanned:
            return
        self._scanned = True
        from importlib.metadata import entry_points  # noqa: PLC0415  (2 MB that the built-ins don't need)

        found = [(entry, entry.dist) for entry in entry_points(group=hooks.PROJECT) if entry.dist]
        for entry, dist in sorted(found, key=lambda pair: (str(pair[1].name).lower(), pair[0].name)):
            origin = f"{dist.name} {dist.version}"
            try:
                self._register(entry.load(), origin, f"{dist.name}:{entry.name}")
            except _FAULTS as error:
                self._failed(origin, error)

    def _register(self, plugin: object, origin: str, name: str | None = None) -> None:
        if self._manager.is_registered(plugin):
            return
        name = name or self._manager.get_canonical_name(plugin)
        if self._manager.has_plugin(name):
            raise PluginError(f"{name} is announced twice: give each entry point a name of its own")
        try:
            self._manager.register(plugin, name)
            self._manager.check_pending()
        except BaseException:
            if self._manager.has_plugin(name):  # what is left behind would make every later check fail
                self._manager.unregister(name=name)
            raise
        if not self._manager.get_hookcallers(plugin):
            raise PluginError(f"{name} has no hook: mark its functions with omega.core.hooks.hookimpl")
        self._origins[name] = origin

    def _failed(self, origin: str, error: BaseException) -> None:
        text = str(error) if isinstance(error, PluginError) else f"{type(error).__name__}: {error}"
        reason = on_one_line(text)
        if len(reason) > _REASON_CHARS:
            reason = reason[: _REASON_CHARS - 3] + "..."
        if self._strict:
            raise PluginError(f"plugin {origin} is broken ({reason}): fix or uninstall it") from error
        broken = BrokenPlugin(origin, reason)
        if broken not in self.broken:
            self.broken.append(broken)

    def _implementations(self, hook: str) -> list[pluggy.HookImpl]:
        """Give a hook's implementations in the order of registration: built-ins, then by distribution."""
        order = list(self._origins)
        return sorted(
            getattr(self._manager.hook, hook).get_hookimpls(), key=lambda found: order.index(found.plugin_name)
        )

    def _classes(self, kind: Kind) -> dict[str, tuple[type[Any], str]]:
        """Give the classes of a kind with their origins, by name; the first of a name stays."""
        found: dict[str, tuple[type[Any], str]] = {}
        for implementation in self._implementations(_HOOKS[kind]):
            origin = self._origins[implementation.plugin_name]
            for cls in self._offers(kind, implementation, origin):
                other, its_origin = found.setdefault(cls.NAME, (cls, origin))
                if other is not cls:
                    reason = f"{kind} {shown(cls.NAME)} of {cls.__name__} is taken by {other.__name__} ({its_origin})"
                    self._failed(origin, PluginError(f"{reason}: rename it"))
        return found

    def _offers(self, kind: Kind, implementation: pluggy.HookImpl, origin: str) -> list[type[Any]]:
        """Call a plugin's hook once and give the classes that are whole."""
        key = kind, implementation.plugin_name
        if key not in self._offered:
            self._offered[key] = []
            try:
                returned: list[object] = list(implementation.function())  # type: ignore[call-overload]
            except _FAULTS as error:
                self._failed(origin, error)
                return []
            for cls in returned:
                try:
                    self._offered[key].append(_checked(kind, cls))
                except _FAULTS as error:
                    self._failed(origin, error)
        return self._offered[key]

    def _find(self, kind: Kind, name: str) -> Any:
        found = self._classes(kind)
        if name not in found:
            self.scan()
            found = self._classes(kind)
        if name in found:
            return found[name][0]
        broken = "".join(f"; {plugin.origin} is broken ({plugin.reason})" for plugin in self.broken)
        raise PluginError(f"{kind} is {name!r}, allowed: {', '.join(sorted(found))}{broken}")


def _checked(kind: Kind, cls: object) -> type[Any]:
    """Return the class if it implements all of its kind's ABC and has a name; raises PluginError."""
    base = _BASES[kind]
    if not (isinstance(cls, type) and issubclass(cls, base)):
        raise PluginError(f"{kind} is {shown(cls)}, allowed: a subclass of omega.core.ports.{base.__name__}")
    if missing := sorted(getattr(cls, "__abstractmethods__", ())):
        raise PluginError(f"{kind} {cls.__name__} lacks {', '.join(missing)}: implement all of {base.__name__}")
    name = getattr(cls, "NAME", None)
    if not (isinstance(name, str) and name.strip()):
        raise PluginError(f"{kind} {cls.__name__} has NAME {shown(name)}, allowed: text that isn't empty")
    return cls


def _one_by_one(app: typer.Typer) -> Iterator[typer.Typer]:
    """Give an app for each command and each group of an app."""
    for part in ("registered_commands", "registered_groups"):
        for item in getattr(app, part):
            alone = type(app)()
            getattr(alone, part).append(item)
            yield alone


def _untaken(names: set[str], taken: set[str]) -> set[str]:
    if clash := sorted(names & taken):
        raise PluginError(f"command {shown(', '.join(clash))} is there already: rename it")
    return names


def _summary(documented: object) -> str:
    return str(documented.__doc__ or "").strip().split("\n")[0]
