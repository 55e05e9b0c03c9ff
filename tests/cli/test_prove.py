"""`omega prove`: its verdicts, fields and exit codes, on models that keep their promise and models that don't."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from omega.core.model_folder import Source, write_model_card
from omega_plugins.embedders import MODELS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Omega

SIZE = ("prove", "--only", "model-size")


@pytest.fixture
def own_model(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The place of a model that the settings name."""
    monkeypatch.setenv("OMEGA_MODEL", str(home / "own"))
    return home / "own"


def test_a_claim_that_holds_has_the_documented_fields(omega: Omega) -> None:
    (result,) = omega("prove", "--only", "model-size", "--json").json
    fields = {"name", "what", "measured", "target", "unit", "held", "oracle", "seconds", "details"}
    assert fields <= result.keys()
    assert (result["name"], result["held"], result["target"], result["unit"]) == ("model-size", True, 20, "MB")
    assert result["measured"] == (MODELS / "minilm-int4" / "model.onnx").stat().st_size / 1e6
    assert result["seconds"] >= 0
    assert "folder_mb" in result["details"]


def test_a_claim_in_words(omega: Omega) -> None:
    line = omega(*SIZE).out
    assert line.startswith("held")
    assert "model-size" in line
    assert "at most 20 MB" in line


def test_a_claim_that_is_broken_ends_with_1(omega: Omega, own_model: Path) -> None:
    own_model.mkdir()
    (own_model / "model.onnx").write_bytes(os.urandom(21_000_000))
    shutil.copy(MODELS / "minilm-int4" / "vocab.txt", own_model)
    source = Source("random==1", "0" * 64, "none")
    write_model_card(
        own_model, name="large", kind="onnx", dimensions=384, quantization="none", source=source, made_with={}
    )
    assert omega(*SIZE, code=1).out.startswith("BROKEN")
    (result,) = omega(*SIZE, "--json", code=1).json
    assert (result["held"], result["measured"]) == (False, 21.0)


def test_a_claim_that_cannot_run_says_why(omega: Omega, own_model: Path) -> None:
    shutil.copytree(MODELS / "minilm-int4", own_model)
    os.truncate(own_model / "model.onnx", 1000)
    (result,) = omega(*SIZE, "--json").json
    assert (result["held"], result["measured"]) == (None, None)
    assert "it was cut short" in result["details"]["reason"]
    done = omega(*SIZE)
    assert done.out.startswith("not run")
    assert "it was cut short" in done.err


def test_several_claims_come_in_the_order_asked_for(omega: Omega) -> None:
    twice = omega("prove", "--only", "model-size", "--only", "model-size", "--json").json
    assert [result["name"] for result in twice] == ["model-size", "model-size"]


def test_an_unknown_claim_names_those_there_are(omega: Omega) -> None:
    complaint = omega("prove", "--only", "world-peace", code=2).complaint
    assert "claim is 'world-peace', allowed: model-size, model-fidelity" in complaint
