"""Models through the command line: texts become vectors; folders that are missing or unfit are named."""

from __future__ import annotations

import json
import math
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from omega_plugins.embedders import MODELS

if TYPE_CHECKING:
    from tests.cli.conftest import Omega, Process

STATIC = ("--model", "minilm-static")


def rows(output: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.splitlines()]


def test_each_text_becomes_a_line_of_384_numbers(omega: Omega) -> None:
    first, second = rows(omega("model", "embed", "a quiet evening", "a loud morning").out)
    assert first.keys() == {"text", "space", "embedding"}
    assert (first["text"], second["text"]) == ("a quiet evening", "a loud morning")
    assert first["space"] == second["space"] == omega("device", "status", "--json").json["space"]
    vectors = np.array([first["embedding"], second["embedding"]])
    assert vectors.shape == (2, 384)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert not np.allclose(vectors[0], vectors[1], atol=1e-2)


def test_lines_of_stdin_are_texts(omega: Omega) -> None:
    lines = rows(omega("model", "embed", *STATIC, stdin="Amélie\n\n七人の侍 и война\nlast").out)
    assert [line["text"] for line in lines] == ["Amélie", "", "七人の侍 и война", "last"]
    assert rows(omega("model", "embed", *STATIC, stdin="").out) == []


def test_an_npy_holds_the_same_numbers(omega: Omega) -> None:
    (line,) = rows(omega("model", "embed", "a quiet evening", *STATIC).out)
    done = omega("model", "embed", "a quiet evening", *STATIC, "--out", "vectors.npy")
    assert done.out == ""
    assert f"1 x 384 float32, space {line['space']}" in done.err
    vectors = np.load("vectors.npy", allow_pickle=False)
    assert vectors.dtype == np.float32
    assert np.allclose(vectors, [line["embedding"]], atol=1e-6)


def test_a_folder_and_the_name_it_ships_under_are_the_same_model(omega: Omega) -> None:
    named = omega("model", "embed", "Heat", *STATIC).out
    assert omega("model", "embed", "Heat", "--model", MODELS / "minilm-static").out == named


def test_near_texts_are_near(omega: Omega) -> None:
    texts = ("a heist thriller about robbers", "robbers plan a heist", "gardening in spring")
    heist, robbers, garden = (np.array(row["embedding"]) for row in rows(omega("model", "embed", *texts).out))
    assert heist @ robbers > heist @ garden + 0.3
    assert math.isclose(heist @ heist, 1, abs_tol=1e-5)


def test_an_unknown_model_names_those_there_are(omega: Omega) -> None:
    complaint = omega("model", "embed", "x", "--model", "bert", code=2).complaint
    assert "model is 'bert', allowed: a folder, or one of " in complaint
    assert re.findall(r"(?:of|,) ([^, ]+)", complaint.partition("or one")[2])[:2] == ["minilm-int4", "minilm-static"]


def test_bytes_that_are_no_utf8_are_refused_or_embedded(process: Process) -> None:
    strict = {"PYTHONIOENCODING": "utf-8:strict"}
    assert "text 1 is" in process("model", "embed", *STATIC, stdin=b"caf\xe9\n", env=strict, code=2).complaint


def test_an_argument_that_is_no_utf8_is_refused(omega: Omega) -> None:
    assert "text" in omega("model", "embed", "caf\udce9", *STATIC, code=2).complaint


@pytest.mark.parametrize("source", ["nowhere", "empty"])
def test_quantize_needs_a_model_folder(omega: Omega, source: str) -> None:
    Path("empty").mkdir()
    complaint = omega("model", "quantize", "--source", source, "--out", "made", code=2).complaint
    assert f"{source} has no readable model.json" in complaint
    assert not list(Path.cwd().glob("*made*"))


def test_quantize_refuses_what_is_quantized(omega: Omega) -> None:
    source = MODELS / "minilm-static"
    done = omega("model", "quantize", "--source", source, "--bits", "static", "--out", "made", code=2)
    assert "holds minilm-static, quantized already: give the folder of an fp32 export" in done.complaint
    assert not list(Path.cwd().glob("*made*"))


@pytest.mark.parametrize("backend", ["direct", "optimum"])
def test_export_needs_weights(omega: Omega, backend: str) -> None:
    Path("empty").mkdir()
    done = omega("model", "export", "--source", "empty", "--backend", backend, "--out", "made", code=2)
    assert "empty lacks model.safetensors" in done.complaint
    assert not list(Path.cwd().glob("*made*"))


@pytest.fixture
def reference(home: Path) -> None:
    """The INT4 model in the place of fp32, which no test fetches: what others are measured against."""
    shutil.copytree(MODELS / "minilm-int4", home / "models" / "minilm-fp32")


def test_bench_measures_a_model_against_the_reference(omega: Omega, reference: None) -> None:
    (report,) = omega("model", "bench", "minilm-static", "--json").json
    assert report["name"] == "minilm-static"
    assert 0.8 < report["cosine"]["mean"] < 1
    assert 0 < report["agreement"]["own_index"] < 1
    assert {found["tokens"] for found in report["latency"]} == {12, 32, 256}
    assert all(0 < found["p50_ms"] <= found["p99_ms"] for found in report["latency"])


def test_bench_prints_a_table_of_a_models_figures(omega: Omega, reference: None) -> None:
    text = omega("model", "bench", MODELS / "minilm-static").out
    assert re.search(r"size +12\.\d MB", text)
    assert re.search(r"cosine to fp32: mean, p1, least +0\.\d{4}, 0\.\d{3}, 0\.\d{3}", text)
    assert re.search(r"32 tokens, 1 thread: p50, p99 +\d+\.\d\d ms, \d+\.\d\d ms", text)


def test_bench_refuses_a_folder_that_is_no_model(omega: Omega, reference: None) -> None:
    Path("empty").mkdir()
    assert "empty has no readable model.json" in omega("model", "bench", "empty", code=2).complaint


def test_bench_refuses_an_unknown_name_before_it_fetches_the_reference(
    omega: Omega, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("UV_OFFLINE", "1")
    assert "model is 'nowhere'" in omega("model", "bench", "nowhere", code=2).complaint
