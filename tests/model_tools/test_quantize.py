"""The small models, made from the real weights and judged by sentences they never saw."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest

from omega.core.errors import InputError, ModelError
from omega.core.model_folder import read_model_folder
from omega.core.text import WordPiece, title_text
from omega_model_tools.evaluate import bench, fidelity, retrieval_agreement
from omega_model_tools.quantize import quantize, sentences
from omega_model_tools.sequential import fit_line, moments, quantize_graph
from omega_model_tools.session import embed_texts
from omega_model_tools.surgery import dense_products

if TYPE_CHECKING:
    from pathlib import Path

TITLES = [title_text(name, "movie", ("crime", "drama")) for name in ("Heat", "Casino", "The Insider", "Collateral")]


@pytest.fixture(scope="session")
def mixed(fp32: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "mixed"
    quantize(fp32, folder, extra_texts=TITLES)
    return folder


def test_the_default_model_is_small_and_close(fp32: Path, mixed: Path) -> None:
    card = read_model_folder(mixed)
    assert card.name == "minilm-int4"
    assert card.files["model.onnx"].size_bytes < 17_000_000
    heldout = sentences("heldout")
    found = fidelity(embed_texts(fp32, heldout), embed_texts(mixed, heldout))
    assert found.mean >= 0.9945
    assert found.p1 >= 0.975
    assert card.cosine is not None
    assert abs(card.cosine.mean - found.mean) < 1e-4
    assert card.space != read_model_folder(fp32).space


def test_the_last_two_layers_are_wide_and_nothing_large_is_left(mixed: Path) -> None:
    graph = onnx.load(mixed / "model.onnx").graph
    bits = {
        node.name: next(a.i for a in node.attribute if a.name == "bits")
        for node in graph.node
        if node.op_type in {"MatMulNBits", "GatherBlockQuantized"}
    }
    assert len(bits) == 6 * 4 + 1
    wide = {name.rsplit(".", 2)[0] for name, count in bits.items() if count == 8}
    assert wide == {"layer.4", "layer.5"}
    assert not dense_products(graph)
    assert max(np.prod(t.dims) for t in graph.initializer if t.data_type == onnx.TensorProto.FLOAT) <= 30_522 * 12


def test_the_calibration_never_sees_the_heldout_sentences() -> None:
    assert not set(sentences("calibration")) & set(sentences("heldout"))
    assert len(sentences("calibration")) == 400
    assert len(set(sentences("heldout"))) == 500


def test_long_texts_stay_close_too(fp32: Path, mixed: Path) -> None:
    heldout = sentences("heldout")
    passages = [" ".join(heldout[i : i + 20]) for i in range(0, 500, 20)]
    assert fidelity(embed_texts(fp32, passages), embed_texts(mixed, passages)).mean > 0.99


def test_quantizing_twice_gives_the_same_bytes(fp32: Path) -> None:
    model, words = onnx.load(fp32 / "model.onnx"), WordPiece.from_file(fp32 / "vocab.txt")
    ids = [words.encode(text) for text in sentences("calibration")[:40]]
    first, second = (quantize_graph(model, ids, wide_layers=2).SerializeToString() for _ in range(2))
    assert first == second


def test_dynamic_int8_and_its_limit(fp32: Path, tmp_path: Path) -> None:
    card = quantize(fp32, tmp_path / "int8", bits="dynamic8")
    assert card.cosine is not None
    assert card.cosine.mean > 0.99
    with pytest.raises(ModelError, match=r"has mean cosine 0\.99.* allowed is 0\.9999 or more"):
        quantize(fp32, tmp_path / "refused", bits="dynamic8", min_cosine=0.9999)
    assert [path.name for path in tmp_path.iterdir()] == ["int8"]


def test_the_static_table_is_in_the_neighborhood_of_fp32(fp32: Path, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    card = quantize(
        fp32, tmp_path / "static", bits="static", progress=lambda done, total, _: seen.append((done, total))
    )
    assert card.kind == "static"
    assert card.cosine is not None
    assert card.cosine.mean > 0.7
    assert all(done <= total for done, total in seen)
    found = fidelity(embed_texts(fp32, TITLES), embed_texts(tmp_path / "static", TITLES))
    assert found.mean > 0.7


def test_a_quantized_model_is_not_quantized_again(mixed: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="quantized already: give the folder of an fp32 export"):
        quantize(mixed, tmp_path / "out", bits="4")


def test_an_unknown_kind_is_refused(fp32: Path, tmp_path: Path) -> None:
    wrong: Any = "3"
    with pytest.raises(InputError, match="bits is '3', allowed are mixed, 4, dynamic8, static"):
        quantize(fp32, tmp_path / "out", bits=wrong)


def test_an_interrupt_leaves_nothing(fp32: Path, tmp_path: Path) -> None:
    def interrupt(done: int, total: int, what: str) -> None:
        raise KeyboardInterrupt(done, total, what)

    with pytest.raises(KeyboardInterrupt):
        quantize(fp32, tmp_path / "out", progress=interrupt)
    assert not list(tmp_path.iterdir())


def test_a_bench_measures_a_fresh_process(fp32: Path, mixed: Path) -> None:
    result = bench(mixed, fp32, sentences("heldout")[:60], runs={12: 20, 64: 5}, threads=(1,))
    assert result.size_bytes == sum(facts.size_bytes for facts in read_model_folder(mixed).files.values())
    assert [(row.tokens, row.threads) for row in result.latency] == [(12, 1), (64, 1)]
    assert 0 < result.latency[0].p50_ms < result.latency[1].p50_ms
    assert 50 < result.rss_mb <= result.peak_rss_mb < 150
    assert result.cosine is not None
    assert result.cosine.texts == 60
    assert result.agreement is not None
    assert 0.7 < result.agreement.own_index <= 1
    with pytest.raises(InputError, match="more than 10 are needed"):
        bench(mixed, fp32, TITLES)


def test_fidelity_of_known_angles() -> None:
    reference = np.array([[1, 0], [1, 0], [0, 1]], np.float32)
    found = fidelity(reference, np.array([[1, 0], [0.6, 0.8], [0, 2]], np.float32))
    assert (found.mean, found.min, found.texts) == (0.86667, 0.6, 3)


def test_agreement_is_whole_with_itself_and_falls_with_noise() -> None:
    random = np.random.default_rng(2)
    vectors = random.normal(size=(200, 16)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    same = retrieval_agreement(vectors, vectors)
    assert (same.own_index, same.fp32_index) == (1.0, 1.0)
    noise = random.normal(size=vectors.shape).astype(np.float32)
    unrelated = retrieval_agreement(vectors, noise / np.linalg.norm(noise, axis=1, keepdims=True))
    assert unrelated.own_index < 0.15
    assert unrelated.fp32_index < 0.15


def test_moments_and_the_line_between_two_walks() -> None:
    random = np.random.default_rng(8)
    pairs = [tuple(random.normal(size=(2, n, 3)).astype(np.float32)) for n in (4, 7)]
    x, reference = (np.concatenate(side) for side in zip(*pairs, strict=True))
    found = moments(pairs)
    assert np.allclose(found.hessian, x.T @ x, atol=1e-5)
    assert np.allclose(found.drift, x.T @ (reference - x), atol=1e-5)
    assert np.allclose(found.mean, x.mean(0), atol=1e-6)
    assert np.allclose(found.reference_mean, reference.mean(0), atol=1e-6)
    gain, shift = fit_line(x, 2 * x - 3)
    assert np.allclose(gain, 2, atol=1e-5)
    assert np.allclose(shift, -3, atol=1e-5)
