"""Finds plugins: the built-ins it is handed, and strangers' by entry point, scanned when a name is missing."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import msgspec
import pluggy

from omega.core import hooks
from omega.core.errors import PluginError, on_one_line

if TYPE_CHECKING:
    from collections.abc import Iterable

    import typer

    from omega.core.ports import Embedder, VectorStore

Kind: TypeAlias = Literal["embedder", "vector store"]
_HOOKS: dict[Kind, str] = {"embedder": "omega_embedders", "vector store": "omega_vector_stores"}
_COMMANDS = "omega_commands"
_BUILT_IN = "built in"


class PluginInfo(msgspec.Struct, frozen=True):
    """One line of `omega plugins`."""

    kind: str
    name: str
    origin: str
    """`built in`, or the distribution that brought it."""
    summary: str


class Registry:
    """Plugins by kind and name.

    A stranger's plugin that fails to load is skipped and named in `broken`; with `strict` (as in CI) it raises
    PluginError.
    """

    def __init__(self, builtins: Iterable[object] = (), *, strict: bool = False) -> None:
        """`builtins` are plugin objects or modules; entry points are not looked at yet."""
        self._manager = pluggy.PluginManager(hooks.PROJECT)
        self._manager.add_hookspecs(hooks)
        self._strict = strict
        self._scanned = False
        self._origins: dict[int, str] = {}
        self.broken: dict[str, str] = {}
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

    def add_commands(self, app: typer.Typer) -> None:
        """Let every plugin add its commands to the app; a stranger's that fails to is skipped and named in `broken`."""
        self.scan()
        for implementation in self._implementations(_COMMANDS):
            try:
                implementation.function(app)
            except Exception as error:  # noqa: BLE001  (whatever a stranger's code raises)
                self._failed(self._origins[id(implementation.plugin)], error)

    def plugins(self) -> list[PluginInfo]:
        """Return every plugin, built-ins first, by kind."""
        self.scan()
        found = [
            PluginInfo(kind, cls.NAME, origin, (cls.__doc__ or "").strip().split("\n")[0])
            for kind in _HOOKS
            for cls, origin in self._classes(kind)
        ]
        for implementation in self._implementations(_COMMANDS):
            origin = self._origins[id(implementation.plugin)]
            summary = (implementation.function.__doc__ or "").strip().split("\n")[0]
            found.append(PluginInfo("command", implementation.plugin_name, origin, summary))
        return found

    def scan(self) -> None:
        """Load the plugins that installed distributions announce; done once."""
        if self._scanned:
            return
        self._scanned = True
        for entry in sorted(entry_points(group=hooks.PROJECT), key=lambda entry: entry.name):
            origin = f"{entry.dist.name} {entry.dist.version}" if entry.dist else entry.name
            try:
                self._register(entry.load(), origin, entry.name)
            except Exception as error:  # noqa: BLE001  (whatever a stranger's code raises)
                self._failed(origin, error)

    def _register(self, plugin: object, origin: str, name: str | None = None) -> None:
        self._origins[id(plugin)] = origin
        self._manager.register(plugin, name)
        try:
            self._manager.check_pending()
        except pluggy.PluginValidationError:
            self._manager.unregister(plugin)
            raise

    def _failed(self, origin: str, error: Exception) -> None:
        reason = on_one_line(f"{type(error).__name__}: {error}")
        if self._strict:
            raise PluginError(f"plugin {origin} failed to load ({reason}): fix or uninstall it") from error
        self.broken[origin] = reason

    def _implementations(self, hook: str) -> list[pluggy.HookImpl]:
        return list(getattr(self._manager.hook, hook).get_hookimpls())

    def _classes(self, kind: Kind) -> list[tuple[type[Any], str]]:
        """Give the classes of a kind with their origins; one that is broken is skipped like one that can't load."""
        found: list[tuple[type[Any], str]] = []
        for implementation in self._implementations(_HOOKS[kind]):
            origin = self._origins[id(implementation.plugin)]
            try:
                classes: list[type[Any]] = implementation.function()  # type: ignore[assignment]
                found.extend((cls, origin) for cls in classes if cls.NAME)
            except Exception as error:  # noqa: BLE001  (whatever a stranger's code raises)
                self._failed(origin, error)
        return sorted(found, key=lambda pair: (pair[1] != _BUILT_IN, pair[0].NAME))

    def _find(self, kind: Kind, name: str) -> Any:
        for attempt in (1, 2):
            by_name = {cls.NAME: cls for cls, _ in reversed(self._classes(kind))}
            if name in by_name:
                return by_name[name]
            if attempt == 1:
                self.scan()
        broken = "".join(f"; {origin} failed to load ({reason})" for origin, reason in self.broken.items())
        raise PluginError(f"{kind} is {name!r}, allowed: {', '.join(sorted(by_name))}{broken}")
