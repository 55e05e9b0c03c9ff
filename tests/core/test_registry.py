"""The registry: built-ins at once, strangers by entry point when a name is missing, broken ones named."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, ClassVar, Protocol

import pluggy
import pytest
import typer
from typer.main import get_group

from omega.core.errors import PluginError
from omega.core.hooks import hookimpl
from omega.core.registry import BrokenPlugin, PluginInfo, Registry
from omega.core.testing.fakes import FakeEmbedder, MemoryVectorStore
from omega_plugins.transports.loopback import LoopbackTransport

if TYPE_CHECKING:
    from pathlib import Path

    from omega.core.ports import Embedder, Transport, VectorStore


class BuiltIn:
    """As a module of built-ins would be."""

    @hookimpl
    def omega_embedders(self) -> list[type[Embedder]]:
        return [FakeEmbedder]

    @hookimpl
    def omega_vector_stores(self) -> list[type[VectorStore]]:
        return [MemoryVectorStore]

    @hookimpl
    def omega_transports(self) -> list[type[Transport]]:
        return [LoopbackTransport]


STRANGER = """
from omega.core.hooks import hookimpl
from omega.core.testing.fakes import FakeEmbedder

class Hello(FakeEmbedder):
    '''Says hello.

    And more.'''
    NAME = "hello"

class Fake(FakeEmbedder):
    '''Would take a built-in's place.'''
    NAME = "fake"

@hookimpl
def omega_embedders():
    return [Hello, Fake]

@hookimpl
def omega_commands(app):
    '''Adds hello.'''
    @app.command()
    def hello() -> None:
        print("hello")
"""


HEAD = """
from omega.core.hooks import hookimpl
from omega.core.ports import Embedder
from omega.core.testing.fakes import FakeEmbedder, MemoryVectorStore
"""


class Install(Protocol):
    """Installs a distribution of one module, which its entry points lead to unless others are given."""

    def __call__(self, name: str, source: str, *entries: str) -> None: ...


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    def installed(name: str, source: str, *entries: str) -> None:
        site = tmp_path / name
        info = site / f"{name}-1.2.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
        (info / "entry_points.txt").write_text("\n".join(["[omega]", *(entries or [f"{name} = {name}_module"])]))
        (site / f"{name}_module.py").write_text(source)
        monkeypatch.syspath_prepend(site)

    return installed


def embedders(body: str, result: str) -> str:
    """Return the source of a plugin of one hook."""
    return f"{HEAD}\n{body}\n@hookimpl\ndef omega_embedders():\n    return {result}\n"


def named(name: str, cls: str = "Mine", base: str = "FakeEmbedder") -> str:
    """Return the source of a class."""
    return f"class {cls}({base}):\n    NAME = {name!r}\n"


def names(app: typer.Typer) -> set[str]:
    return set(get_group(app).commands)


def reasons(registry: Registry) -> dict[str, str]:
    """Return what is broken; each of these distributions is broken in one way."""
    found = {broken.origin: broken.reason for broken in registry.broken}
    assert len(found) == len(registry.broken)
    return found


def test_built_ins_are_found_by_name() -> None:
    registry = Registry([BuiltIn()])
    assert registry.embedder("fake") is FakeEmbedder
    assert registry.vector_store("memory") is MemoryVectorStore
    assert registry.transport("loopback") is LoopbackTransport
    assert registry.transport_for("loopback") is LoopbackTransport


def test_an_unknown_name_is_refused_with_those_that_are_known() -> None:
    registry = Registry([BuiltIn()])
    with pytest.raises(PluginError, match=r"embedder is 'fale', allowed: fake$"):
        registry.embedder("fale")
    with pytest.raises(PluginError, match=r"vector store is 'fake', allowed: memory$"):
        registry.vector_store("fake")
    with pytest.raises(PluginError, match=r"transport is 'http', allowed: loopback$"):
        registry.transport("http")
    with pytest.raises(PluginError, match=r"URL begins with 'https', allowed: loopback$"):
        registry.transport_for("https")


def test_entry_points_are_looked_at_only_when_a_name_is_missing(install: Install, tmp_path: Path) -> None:
    trace = tmp_path / "loaded"
    install("lazy", f"with open({str(trace)!r}, 'a') as file:\n    file.write('x')\n{STRANGER}")
    registry = Registry([BuiltIn()])
    assert registry.embedder("fake") is FakeEmbedder
    assert not trace.exists()
    assert registry.embedder("hello").NAME == "hello"
    assert registry.embedder("hello").__doc__ is not None
    registry.scan()
    assert trace.read_text() == "x"


def test_plugins_are_listed_with_kind_origin_and_summary(install: Install) -> None:
    install("listed", STRANGER)
    registry, app = Registry([BuiltIn()]), typer.Typer()
    registry.add_commands(app, names)
    rows = [(p.kind, p.name, p.origin, p.summary) for p in registry.plugins()]
    assert rows[0][:3] == ("embedder", "fake", "built in")
    assert ("embedder", "hello", "listed 1.2", "Says hello.") in rows
    assert ("command", "hello", "listed 1.2", "Adds hello.") in rows
    assert ("vector store", "memory", "built in") in [row[:3] for row in rows]
    assert rows[0][3].startswith("Hashes words")


@pytest.mark.parametrize(
    ("name", "source", "reason"),
    [
        (
            "unimportable",
            "import no_such_module_at_all",
            "ModuleNotFoundError: No module named 'no_such_module_at_all'",
        ),
        ("raising", "raise ValueError('not today')", "ValueError: not today"),
        (
            "misspelt",
            "from omega.core.hooks import hookimpl\n@hookimpl\ndef omega_embeders():\n    return []",
            "unknown hook 'omega_embeders'",
        ),
        (
            "greedy",
            "from omega.core.hooks import hookimpl\n@hookimpl\ndef omega_embedders(settings):\n    return []",
            "settings",
        ),
        (
            "failing",
            "from omega.core.hooks import hookimpl\n@hookimpl\ndef omega_embedders():\n    return 1 / 0",
            "ZeroDivisionError: division by zero",
        ),
        (
            "leaving",
            "raise SystemExit('I leave')",
            "SystemExit: I leave",
        ),
        (
            "hookless",
            "def omega_embedders():\n    return []",
            "hookless:hookless has no hook: mark its functions with omega.core.hooks.hookimpl",
        ),
        (
            "listless",
            embedders("", "None"),
            "TypeError: 'NoneType' object is not iterable",
        ),
        (
            "foreign",
            embedders("", "[object]"),
            "embedder is <class 'object'>, allowed: a subclass of omega.core.ports.Embedder",
        ),
        (
            "instance",
            embedders("", "[FakeEmbedder()]"),
            "allowed: a subclass of omega.core.ports.Embedder",
        ),
        (
            "otherkind",
            embedders("", "[MemoryVectorStore]"),
            "allowed: a subclass of omega.core.ports.Embedder",
        ),
        (
            "abstract",
            embedders(named("half", "Half", "Embedder"), "[Half]"),
            "embedder Half lacks embed, open: implement all of Embedder",
        ),
        (
            "numbered",
            embedders("class Seven(FakeEmbedder):\n    NAME = 7", "[Seven]"),
            "embedder Seven has NAME 7, allowed: text that isn't empty",
        ),
        (
            "blank",
            embedders(named(" ", "Blank"), "[Blank]"),
            "embedder Blank has NAME ' ', allowed: text that isn't empty",
        ),
    ],
)
def test_a_broken_plugin_is_skipped_and_named_or_fatal_when_strict(
    install: Install, name: str, source: str, reason: str
) -> None:
    install(name, source)
    registry = Registry([BuiltIn()])
    assert {plugin.origin for plugin in registry.plugins()} == {"built in"}
    assert reason in reasons(registry)[f"{name} 1.2"]
    with pytest.raises(PluginError, match=f"allowed: fake; {name} 1.2 is broken") as refused:
        registry.embedder("other")
    assert reason in str(refused.value)
    with pytest.raises(PluginError, match=f"plugin {name} 1.2 is broken .*: fix or uninstall it"):
        Registry([BuiltIn()], strict=True).plugins()


def test_a_class_that_is_broken_leaves_those_beside_it_alone(install: Install) -> None:
    install("partly", embedders(named("half", "Half", "Embedder") + named("mine"), "[Half, Mine]"))
    registry = Registry()
    assert [plugin.name for plugin in registry.plugins()] == ["mine"]
    assert list(reasons(registry)) == ["partly 1.2"]


def test_a_long_reason_is_one_line_of_200_characters(install: Install) -> None:
    install("verbose", "raise ValueError('many\\nlines\\n' * 100)")
    registry = Registry()
    registry.scan()
    (broken,) = registry.broken
    assert broken.reason.startswith("ValueError: many lines many lines")
    assert len(broken.reason) == 200
    assert broken.reason.endswith("...")


def test_a_hook_is_called_once(install: Install, tmp_path: Path) -> None:
    trace = tmp_path / "called"
    body = f"def count():\n    with open({str(trace)!r}, 'a') as file:\n        file.write('x')\n    return []"
    install("counting", embedders(body, "count()"))
    registry = Registry([BuiltIn()])
    registry.plugins()
    registry.plugins()
    with pytest.raises(PluginError):
        registry.embedder("other")
    assert trace.read_text() == "x"


def test_a_name_that_a_built_in_has_is_refused_and_the_loser_named(install: Install) -> None:
    install("usurper", embedders(named("fake") + named("own", "Own"), "[Mine, Own]"))
    registry = Registry([BuiltIn()])
    rows = [(p.name, p.origin) for p in registry.plugins() if p.kind == "embedder"]
    assert rows == [("fake", "built in"), ("own", "usurper 1.2")]
    assert registry.embedder("fake") is FakeEmbedder
    loser = "embedder 'fake' of Mine is taken by FakeEmbedder (built in): rename it"
    assert registry.broken == [BrokenPlugin("usurper 1.2", loser)]
    with pytest.raises(PluginError, match=r"plugin usurper 1\.2 is broken .*is taken by"):
        Registry([BuiltIn()], strict=True).plugins()


def test_of_two_strangers_the_first_by_distribution_keeps_the_name(install: Install) -> None:
    store = "class Store(MemoryVectorStore):\n    NAME = 'shelf'"
    hook = "@hookimpl\ndef omega_vector_stores():\n    return [Store]"
    for name, entry in (("Alpha", "z = Alpha_module"), ("beta", "a = beta_module")):
        install(name, embedders(f"{named('shared')}\n{store}\n{hook}", "[Mine]"), entry)
    registry = Registry()
    assert {(p.kind, p.name, p.origin) for p in registry.plugins()} == {
        ("embedder", "shared", "Alpha 1.2"),
        ("vector store", "shelf", "Alpha 1.2"),
    }
    assert registry.embedder("shared").__module__ == "Alpha_module"
    assert registry.broken == [
        BrokenPlugin("beta 1.2", "embedder 'shared' of Mine is taken by Mine (Alpha 1.2): rename it"),
        BrokenPlugin("beta 1.2", "vector store 'shelf' of Store is taken by Store (Alpha 1.2): rename it"),
    ]


def test_two_classes_of_one_plugin_with_one_name_are_named(install: Install) -> None:
    install("twice", embedders(named("same") + named("same", "Other"), "[Mine, Other]"))
    registry = Registry()
    assert [plugin.name for plugin in registry.plugins()] == ["same"]
    assert reasons(registry) == {"twice 1.2": "embedder 'same' of Other is taken by Mine (twice 1.2): rename it"}


def test_two_distributions_may_have_an_entry_point_of_one_name(install: Install) -> None:
    for name in ("first", "second"):
        install(name, embedders(named(name), "[Mine]"), f"plugin = {name}_module")
    registry = Registry()
    assert [(p.name, p.origin) for p in registry.plugins()] == [("first", "first 1.2"), ("second", "second 1.2")]
    assert registry.broken == []


def test_a_module_that_is_announced_twice_is_one_plugin(install: Install) -> None:
    install("double", embedders(named("mine"), "[Mine]"), "one = double_module", "two = double_module")
    install("echo", "", "one = double_module")
    registry = Registry()
    assert [(p.name, p.origin) for p in registry.plugins()] == [("mine", "double 1.2")]
    assert registry.broken == []


def test_two_entry_points_of_one_distribution_and_name_are_named(install: Install) -> None:
    install("same", embedders(named("mine"), "[Mine]"), "plugin = same_module", "plugin = omega.core.text")
    registry = Registry()
    assert [plugin.name for plugin in registry.plugins()] == ["mine"]
    assert reasons(registry) == {"same 1.2": "same:plugin is announced twice: give each entry point a name of its own"}


def test_a_broken_plugin_leaves_its_neighbors_alone(install: Install) -> None:
    install("abroken", "1 / 0")
    install("amisspelt", f"{HEAD}\n@hookimpl\ndef omega_embeders():\n    return []")
    install("zwell", STRANGER)
    registry = Registry()
    assert registry.embedder("hello").NAME == "hello"
    assert list(reasons(registry)) == ["abroken 1.2", "amisspelt 1.2"]


def test_a_plugin_that_is_refused_leaves_none_of_its_hooks_behind(install: Install) -> None:
    install(
        "halfway",
        "from omega.core.hooks import hookimpl\n"
        "@hookimpl\ndef omega_commands(app):\n    app.command('halfway')(lambda: None)\n"
        "@hookimpl\ndef omega_embedders(settings):\n    return []\n",
    )
    registry, app = Registry(), typer.Typer()
    registry.add_commands(app, names)
    assert "settings" in reasons(registry)["halfway 1.2"]
    assert app.registered_commands == []


def test_a_misspelt_hook_of_a_built_in_is_refused_at_once() -> None:
    def omega_embeders() -> list[type[Embedder]]:
        return []

    with pytest.raises(pluggy.PluginValidationError, match="omega_embeders"):
        Registry([SimpleNamespace(omega_embeders=hookimpl(omega_embeders))])


COMMANDS = """
import typer
from omega.core.hooks import hookimpl

@hookimpl
def omega_commands(app):
    app.command("{0}")(lambda: None)
    app.add_typer(typer.Typer(), name="{1}")
"""


def ours() -> typer.Typer:
    """Return an app with a command and a group."""
    app = typer.Typer()
    app.command("demo")(lambda: None)
    app.add_typer(typer.Typer(), name="device")
    return app


def test_commands_are_added_and_one_that_fails_leaves_nothing_behind(install: Install) -> None:
    install("adds", STRANGER)
    half = "    app.command('half')(lambda: None)\n    app.callback()(lambda: None)\n    raise OSError('gone')"
    install("breaks", f"{HEAD}\n@hookimpl\ndef omega_commands(app):\n{half}\n")
    registry, app = Registry(), ours()
    registry.add_commands(app, names)
    assert names(app) == {"demo", "device", "hello"}
    assert app.registered_callback is None
    assert registry.broken == [BrokenPlugin("breaks 1.2", "OSError: gone")]
    assert registry.commands == [PluginInfo("command", "hello", "adds 1.2", "Adds hello.")]


def test_a_command_or_group_whose_name_is_taken_is_refused_alone(install: Install) -> None:
    install("clash", COMMANDS.format("device", "demo"))
    install("halfclash", COMMANDS.format("demo", "fresh"))
    install("late", COMMANDS.format("Fresh_2", "fresh"))
    registry, app = Registry(), ours()
    before = [*app.registered_commands, *app.registered_groups]
    registry.add_commands(app, names)
    assert names(app) == {"demo", "device", "fresh", "Fresh_2"}
    assert [app.registered_commands[0], app.registered_groups[0]] == before
    assert registry.broken == [
        BrokenPlugin("clash 1.2", "command 'device' is there already: rename it"),
        BrokenPlugin("clash 1.2", "command 'demo' is there already: rename it"),
        BrokenPlugin("halfclash 1.2", "command 'demo' is there already: rename it"),
        BrokenPlugin("late 1.2", "command 'fresh' is there already: rename it"),
    ]
    assert [(command.name, command.origin) for command in registry.commands] == [
        ("fresh", "halfclash 1.2"),
        ("Fresh_2", "late 1.2"),
    ]
    with pytest.raises(PluginError, match=r"plugin clash 1\.2 is broken \(command 'device' is there already"):
        Registry(strict=True).add_commands(ours(), names)


def test_a_command_that_cannot_be_built_is_named(install: Install) -> None:
    command = "    @app.command()\n    def odd(value: object) -> None:\n        pass\n"
    install("odd", f"{HEAD}\n@hookimpl\ndef omega_commands(app):\n{command}")
    registry, app = Registry(), ours()
    registry.add_commands(app, names)
    assert names(app) == {"demo", "device"}
    assert "object" in reasons(registry)["odd 1.2"]


class Nameless(FakeEmbedder):
    NAME: ClassVar[str] = ""


def test_a_class_without_a_name_is_no_plugin() -> None:
    def omega_embedders() -> list[type[Embedder]]:
        return [Nameless, FakeEmbedder]

    registry = Registry([SimpleNamespace(omega_embedders=hookimpl(omega_embedders))])
    assert [plugin.name for plugin in registry.plugins()] == ["fake"]
    assert reasons(registry) == {"built in": "embedder Nameless has NAME '', allowed: text that isn't empty"}
