"""The registry: built-ins at once, strangers by entry point when a name is missing, broken ones named."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, ClassVar

import pluggy
import pytest
import typer

from omega.core.errors import PluginError
from omega.core.hooks import hookimpl
from omega.core.registry import Registry
from omega.core.testing.fakes import FakeEmbedder, MemoryVectorStore

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from omega.core.ports import Embedder, VectorStore


class BuiltIn:
    """As a module of built-ins would be."""

    @hookimpl
    def omega_embedders(self) -> list[type[Embedder]]:
        return [FakeEmbedder]

    @hookimpl
    def omega_vector_stores(self) -> list[type[VectorStore]]:
        return [MemoryVectorStore]


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


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Give a function that installs a distribution of one module: its name and its source."""

    def installed(name: str, source: str) -> None:
        site = tmp_path / name
        info = site / f"{name}-1.2.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
        (info / "entry_points.txt").write_text(f"[omega]\n{name} = {name}_module\n")
        (site / f"{name}_module.py").write_text(source)
        monkeypatch.syspath_prepend(site)

    return installed


def test_built_ins_are_found_by_name() -> None:
    registry = Registry([BuiltIn()])
    assert registry.embedder("fake") is FakeEmbedder
    assert registry.vector_store("memory") is MemoryVectorStore


def test_an_unknown_name_is_refused_with_those_that_are_known() -> None:
    registry = Registry([BuiltIn()])
    with pytest.raises(PluginError, match=r"embedder is 'fale', allowed: fake$"):
        registry.embedder("fale")
    with pytest.raises(PluginError, match=r"vector store is 'fake', allowed: memory$"):
        registry.vector_store("fake")


def test_entry_points_are_looked_at_only_when_a_name_is_missing(
    install: Callable[[str, str], None], tmp_path: Path
) -> None:
    trace = tmp_path / "loaded"
    install("lazy", f"with open({str(trace)!r}, 'a') as file:\n    file.write('x')\n{STRANGER}")
    registry = Registry([BuiltIn()])
    assert registry.embedder("fake") is FakeEmbedder
    assert not trace.exists()
    assert registry.embedder("hello").NAME == "hello"
    assert registry.embedder("hello").__doc__ is not None
    registry.scan()
    assert trace.read_text() == "x"


def test_a_built_in_keeps_its_name(install: Callable[[str, str], None]) -> None:
    install("usurper", STRANGER)
    registry = Registry([BuiltIn()])
    registry.scan()
    assert registry.embedder("fake") is FakeEmbedder


def test_plugins_are_listed_with_kind_origin_and_summary(install: Callable[[str, str], None]) -> None:
    install("listed", STRANGER)
    rows = [(p.kind, p.name, p.origin, p.summary) for p in Registry([BuiltIn()]).plugins()]
    assert rows[0][:3] == ("embedder", "fake", "built in")
    assert ("embedder", "hello", "listed 1.2", "Says hello.") in rows
    assert ("command", "listed", "listed 1.2", "Adds hello.") in rows
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
            "nameless",
            "from omega.core.hooks import hookimpl\n@hookimpl\ndef omega_embedders():\n    return [object]",
            "AttributeError",
        ),
    ],
)
def test_a_broken_plugin_is_skipped_and_named_or_fatal_when_strict(
    install: Callable[[str, str], None], name: str, source: str, reason: str
) -> None:
    install(name, source)
    registry = Registry([BuiltIn()])
    assert {plugin.origin for plugin in registry.plugins()} == {"built in"}
    assert reason in registry.broken[f"{name} 1.2"]
    with pytest.raises(PluginError, match=f"allowed: fake; {name} 1.2 failed to load") as refused:
        registry.embedder("other")
    assert reason in str(refused.value)
    with pytest.raises(PluginError, match=f"plugin {name} 1.2 failed to load .*: fix or uninstall it"):
        Registry([BuiltIn()], strict=True).plugins()


def test_a_broken_plugin_leaves_its_neighbors_alone(install: Callable[[str, str], None]) -> None:
    install("abroken", "1 / 0")
    install("zwell", STRANGER)
    registry = Registry()
    assert registry.embedder("hello").NAME == "hello"
    assert list(registry.broken) == ["abroken 1.2"]


def test_a_plugin_that_is_refused_leaves_none_of_its_hooks_behind(install: Callable[[str, str], None]) -> None:
    install(
        "halfway",
        "from omega.core.hooks import hookimpl\n"
        "@hookimpl\ndef omega_commands(app):\n    app.command('halfway')(lambda: None)\n"
        "@hookimpl\ndef omega_embedders(settings):\n    return []\n",
    )
    registry, app = Registry(), typer.Typer()
    registry.add_commands(app)
    assert "halfway 1.2" in registry.broken
    assert app.registered_commands == []


def test_a_misspelt_hook_of_a_built_in_is_refused_at_once() -> None:
    def omega_embeders() -> list[type[Embedder]]:
        return []

    with pytest.raises(pluggy.PluginValidationError, match="omega_embeders"):
        Registry([SimpleNamespace(omega_embeders=hookimpl(omega_embeders))])


def test_commands_are_added_and_one_that_fails_is_named(install: Callable[[str, str], None]) -> None:
    install("adds", STRANGER)
    install(
        "breaks",
        "from omega.core.hooks import hookimpl\n@hookimpl\ndef omega_commands(app):\n    raise OSError('gone')\n",
    )
    app = typer.Typer()
    registry = Registry()
    registry.add_commands(app)
    assert [command.callback.__name__ for command in app.registered_commands if command.callback] == ["hello"]
    assert registry.broken == {"breaks 1.2": "OSError: gone"}


class Nameless(FakeEmbedder):
    NAME: ClassVar[str] = ""


def test_a_class_without_a_name_is_no_plugin() -> None:
    def omega_embedders() -> list[type[Embedder]]:
        return [Nameless, FakeEmbedder]

    registry = Registry([SimpleNamespace(omega_embedders=hookimpl(omega_embedders))])
    assert [plugin.name for plugin in registry.plugins()] == ["fake"]
