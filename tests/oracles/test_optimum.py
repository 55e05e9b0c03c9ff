"""Our export against optimum's, which traces the model through torch: an independent second implementation."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import numpy as np
import pytest

from omega.core.settings import resolve
from omega_model_tools.export import export_fp32
from omega_model_tools.quantize import sentences
from omega_model_tools.source import fetch_source
from omega_plugins.embedders.onnx import OnnxEmbedder

if TYPE_CHECKING:
    from pathlib import Path

    from omega.core.ports import Floats


def embedded(folder: Path) -> Floats:
    with closing(OnnxEmbedder.open(folder, threads=2)) as embedder:
        return embedder.embed(sentences("heldout"))


@pytest.mark.filterwarnings("ignore")  # torch's and transformers' own
def test_optimums_export_agrees_on_500_sentences(tmp_path: Path) -> None:
    source = fetch_source(resolve({"home": tmp_path}).settings.cache / "minilm-source")
    ours = export_fp32(source, tmp_path / "direct")
    theirs = export_fp32(source, tmp_path / "optimum", backend="optimum")
    assert ours.source == theirs.source
    difference = np.abs(embedded(tmp_path / "direct") - embedded(tmp_path / "optimum"))
    assert difference.shape == (500, 384)
    assert 0 < difference.max() < 1e-5
