"""GPTQ on small matrices, and its packing as ONNX Runtime reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from onnx import TensorProto, helper

from omega_model_tools.gptq import BLOCK, Blocks, block_grid, corrected_target, gptq, packed, round_to_nearest
from omega_model_tools.session import open_session
from omega_model_tools.surgery import Dense, quantized_lookup, quantized_product

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from onnx import NodeProto

    Floats = NDArray[np.float32]

INPUTS, OUTPUTS = 96, 20


@pytest.fixture
def weight() -> Floats:
    return np.random.default_rng(3).normal(0.02, 0.1, (INPUTS, OUTPUTS)).astype(np.float32)


@pytest.fixture
def chained_hessian() -> NDArray[np.float64]:
    """Second moments of a first-order chain: neighboring inputs correlate by .9, those n apart by .9**n."""
    places = np.arange(INPUTS)
    moments: NDArray[np.float64] = 0.9 ** np.abs(places[:, None] - places[None, :])
    return moments


def weighted_error(weight: Floats, blocks: Blocks, hessian: NDArray[np.float64]) -> float:
    error = weight - blocks.dequantized()
    return float(np.einsum("kn,kj,jn->", error, hessian, error))


@pytest.mark.parametrize(("bits", "share"), [(4, 0.4), (8, 0.4)])
def test_pushing_the_error_on_is_far_better_than_rounding_when_inputs_correlate(
    weight: Floats, chained_hessian: NDArray[np.float64], bits: int, share: float
) -> None:
    ours = weighted_error(weight, gptq(weight, chained_hessian, bits), chained_hessian)
    nearest = weighted_error(weight, round_to_nearest(weight, bits), chained_hessian)
    assert ours < share * nearest


@pytest.mark.parametrize("bits", [4, 8])
def test_it_is_rounding_to_nearest_when_inputs_do_not_correlate(weight: Floats, bits: int) -> None:
    ours, nearest = gptq(weight, np.eye(INPUTS), bits), round_to_nearest(weight, bits)
    assert np.array_equal(ours.codes, nearest.codes)
    assert np.array_equal(ours.zeros, nearest.zeros)
    assert np.allclose(ours.scales, nearest.scales)


@pytest.mark.parametrize("bits", [4, 8])
def test_a_code_is_never_more_than_half_a_step_off_inside_its_range(weight: Floats, bits: int) -> None:
    blocks = round_to_nearest(weight, bits)
    steps = np.repeat(blocks.scales, BLOCK, 0)
    inside = (blocks.codes > 0) & (blocks.codes < 2**bits - 1)
    assert np.abs(weight - blocks.dequantized())[inside].max() <= 0.5001 * steps.max()
    assert inside.mean() > 0.5


def test_an_input_that_never_varies_and_columns_of_zeros_do_no_harm(weight: Floats) -> None:
    weight[:, 0] = 0
    hessian = np.eye(INPUTS)
    hessian[5, 5] = 0
    blocks = gptq(weight, hessian, 4)
    assert np.array_equal(blocks.dequantized()[:, 0], np.zeros(INPUTS))
    assert np.isfinite(blocks.scales).all()
    assert np.isfinite(gptq(weight, np.zeros((INPUTS, INPUTS)), 4).scales).all()


def test_clipping_follows_importance() -> None:
    """One outlier without importance is clipped, the same outlier with importance is kept."""
    rows = np.linspace(-0.1, 0.1, BLOCK, dtype=np.float32)[:, None].copy()
    rows[0] = 1.0
    counted = np.ones(BLOCK, np.float32)
    ignored = counted.copy()
    ignored[0] = 0
    assert block_grid(rows, ignored, 4)[0] < 0.8 * block_grid(rows, counted, 4)[0]


def test_the_corrected_target_undoes_a_known_drift(weight: Floats) -> None:
    """Inputs that come doubled need halved weights."""
    reference = np.random.default_rng(4).normal(size=(500, INPUTS))
    x = 2 * reference
    target = corrected_target(weight, x.T @ x, x.T @ (reference - x), 1e-9)
    assert np.allclose(target, weight / 2, atol=1e-5)
    assert np.allclose(corrected_target(weight, x.T @ x, np.zeros((INPUTS, INPUTS)), 0.1), weight)


def test_packing_puts_the_first_code_in_the_low_half() -> None:
    codes = np.array([[1, 2, 15, 0, 7]], np.uint8)
    assert packed(codes, 4).tolist() == [[0x21, 0x0F, 0x07]]
    assert packed(codes, 8) is codes


def run_node(node: NodeProto, tensors: list[TensorProto], feed: dict[str, NDArray[np.generic]]) -> Floats:
    """Return the only output of a graph of one node."""
    inputs = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), None)
        for name, array in feed.items()
    ]
    output = helper.make_tensor_value_info(node.output[0], TensorProto.FLOAT, None)
    model = helper.make_model(
        helper.make_graph([node], "one", inputs, [output], tensors),
        opset_imports=[helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)],
    )
    model.ir_version = 10
    result: Floats = open_session(model.SerializeToString(), 1).run(None, feed)[0]
    return result


@pytest.mark.parametrize("bits", [4, 8])
def test_onnx_runtime_multiplies_by_what_the_blocks_say(weight: Floats, bits: int) -> None:
    blocks = round_to_nearest(weight, bits)
    bias = np.arange(OUTPUTS, dtype=np.float32)
    node, tensors = quantized_product("p", Dense(0, 1, "x", "y", weight, bias, 0), blocks, bias)
    x = np.random.default_rng(5).normal(size=(7, INPUTS)).astype(np.float32)
    expected = x @ blocks.dequantized() + bias
    found = run_node(node, tensors, {"x": x})
    assert np.abs(found - expected).max() < 0.02  # the kernel rounds x to int8, by 1 part in 254
    assert np.abs(x @ weight + bias - expected).max() > 1e-3


@pytest.mark.parametrize("bits", [4, 8])
def test_onnx_runtime_looks_up_what_the_blocks_say(bits: int) -> None:
    table = np.random.default_rng(6).normal(size=(50, 64)).astype(np.float32)
    blocks = round_to_nearest(np.ascontiguousarray(table.T), bits)
    gather = helper.make_node("Gather", ["table", "ids"], ["rows"], "words", axis=0)
    ids = np.array([[0, 49, 17], [3, 3, 8]], np.int64)
    found = run_node(*quantized_lookup(gather, blocks), {"ids": ids})
    assert np.allclose(found, blocks.dequantized().T[ids], atol=1e-6)
