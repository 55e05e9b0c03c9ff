"""Quantizing a graph matrix by matrix, each for the inputs that the part already quantized gives it.

Two walks through the calibration texts run side by side: the reference, and the graph as quantized so far. What the
second has drifted from the first is made good three times: in the weights before they are rounded, in the biases, and
in the gains and shifts of the layer norms.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from omega.core.errors import InputError
from omega_model_tools.folders import Progress, silent
from omega_model_tools.gptq import corrected_target, gptq, round_to_nearest
from omega_model_tools.surgery import dense_products, quantized_lookup, quantized_product, table_lookup
from omega_model_tools.walk import Walk, opsets

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from omega_model_tools.gptq import Floats
    from omega_model_tools.session import Ids
    from omega_model_tools.surgery import Dense

NARROW, WIDE = 4, 8
DAMPING: Final = 0.05
"""Of the Hessian in GPTQ, in units of its mean diagonal."""
DRIFT_DAMPING: Final = 0.5
"""Of the weight correction for drifted inputs, in units of the Hessian's mean diagonal."""


def quantize_graph(model: ModelProto, ids: Ids, *, wide_layers: int, progress: Progress = silent) -> ModelProto:
    """Return `model` with its matrices and word table in blocks of 4 bits, the last `wide_layers` layers' of 8 bits.

    `ids` are the calibration texts' token ids. Work and memory grow with their number: 11,000 tokens take 17 s on two
    cores, and 600 MB.
    """
    run = _Sequential(model, ids)
    run.lookup()
    products = {dense.index: dense for dense in dense_products(model.graph)}
    layers = 1 + max(dense.layer for dense in products.values())
    norms = [i for i, node in enumerate(model.graph.node) if node.op_type == "LayerNormalization"]
    for index in sorted([*products, *norms]):
        progress(index, len(model.graph.node), f"quantizing {model.graph.node[index].name}")
        if index in products:
            dense = products[index]
            run.product(dense, WIDE if dense.layer >= layers - wide_layers else NARROW)
        else:
            run.norm(index)
    progress(len(model.graph.node), len(model.graph.node), "done")
    return run.finished()


@dataclass
class Moments:
    """First and second moments of a product's inputs: rows X of the quantized walk, R of the reference."""

    hessian: NDArray[np.float64]
    """X.T @ X, (inputs, inputs)."""
    drift: NDArray[np.float64]
    """X.T @ (R - X), (inputs, inputs)."""
    mean: NDArray[np.float64]
    """Of X, (inputs,)."""
    reference_mean: NDArray[np.float64]
    """Of R, (inputs,)."""


def moments(pairs: Iterable[tuple[Floats, Floats]]) -> Moments:
    """Return the moments of all pairs (X, R) of arrays (n, inputs) taken together."""
    total: Moments | None = None
    count = 0
    for x, reference in pairs:
        if total is None:
            inputs = x.shape[1]
            total = Moments(*(np.zeros(shape) for shape in ((inputs, inputs), (inputs, inputs), inputs, inputs)))
        total.hessian += x.T @ x
        total.drift += x.T @ (reference - x)
        total.mean += x.sum(0)
        total.reference_mean += reference.sum(0)
        count += len(x)
    if total is None:
        raise InputError("no calibration texts were given, at least one is needed: give some hundreds")
    total.mean /= count
    total.reference_mean /= count
    return total


class _Sequential:
    """The quantized graph so far, and both walks at the same place in it."""

    def __init__(self, model: ModelProto, ids: Ids) -> None:
        self._model = model
        self._reference, self._walk = Walk(model, ids), Walk(model, ids)
        self._pending: dict[int, NodeProto | None] = dict(enumerate(model.graph.node))
        self._tensors = {tensor.name: tensor for tensor in model.graph.initializer}
        self._nodes: list[NodeProto] = []
        self._at = 0

    def lookup(self) -> None:
        """Put the word table into blocks of 4 bits."""
        index, table = table_lookup(self._model.graph)
        blocks = round_to_nearest(np.ascontiguousarray(table.T), NARROW)
        self._replace(index, *quantized_lookup(self._model.graph.node[index], blocks))

    def product(self, dense: Dense, bits: int) -> None:
        """Run both walks up to the product and quantize it for the inputs seen there."""
        self._run_to(dense.index)
        seen = moments(zip(self._walk.rows(dense.x), self._reference.rows(dense.x), strict=True))
        target = corrected_target(dense.weight, seen.hessian, seen.drift, DRIFT_DAMPING)
        blocks = gptq(target, seen.hessian, bits, DAMPING)
        bias = dense.bias + seen.reference_mean @ dense.weight - seen.mean @ blocks.dequantized()
        name = self._model.graph.node[dense.index].name
        self._replace(dense.index, *quantized_product(name, dense, blocks, bias.astype(np.float32)))
        self._pending[dense.bias_index] = None

    def norm(self, index: int) -> None:
        """Run both walks through the layer norm and fit its gain and shift, per dimension, to the reference's output.

        After Li et al., "Norm Tweaking", 2023, but by least squares.
        """
        self._run_to(index + 1)
        node = self._model.graph.node[index]
        name, (gain_name, shift_name) = node.output[0], node.input[1:3]
        x, reference = (np.concatenate(list(walk.rows(name))) for walk in (self._walk, self._reference))
        gain, shift = fit_line(x, reference)
        self._walk.adjust(name, gain, shift)
        old_gain, old_shift = (numpy_helper.to_array(self._tensors[i]) for i in (gain_name, shift_name))
        self._tensors[gain_name] = numpy_helper.from_array(old_gain * gain, gain_name)
        self._tensors[shift_name] = numpy_helper.from_array(old_shift * gain + shift, shift_name)

    def finished(self) -> ModelProto:
        """Return the quantized model, without the tensors that nothing uses any more."""
        old = self._model.graph
        self._nodes += [node for node in list(self._pending.values())[self._at :] if node is not None]
        used = {name for node in self._nodes for name in node.input}
        tensors = [tensor for name, tensor in self._tensors.items() if name in used]
        graph = helper.make_graph(self._nodes, old.name, list(old.input), list(old.output), tensors)
        model = helper.make_model(graph, producer_name="omega_model_tools", opset_imports=opsets(self._model))
        model.ir_version = self._model.ir_version
        return model

    def _replace(self, index: int, node: NodeProto, tensors: list[TensorProto]) -> None:
        self._pending[index] = node
        self._tensors.update({tensor.name: tensor for tensor in tensors})

    def _run_to(self, stop: int) -> None:
        original = list(self._model.graph.node[self._at : stop])
        self._reference.run(original, list(self._model.graph.initializer), stop)
        pieces = (self._pending[i] for i in range(self._at, stop))
        nodes = [node for node in pieces if node is not None]
        self._walk.run(nodes, list(self._tensors.values()), stop)
        self._nodes += nodes
        self._at = stop


def fit_line(x: Floats, reference: Floats) -> tuple[Floats, Floats]:
    """Return gain and shift, (dimensions,), minimizing |gain * x + shift - reference|^2 over rows (n, dimensions)."""
    mean, reference_mean = x.mean(0, dtype=np.float64), reference.mean(0, dtype=np.float64)
    covariance = np.einsum("nd,nd->d", x - mean, reference - reference_mean) / len(x)
    gain = covariance / np.maximum(x.var(0, dtype=np.float64), 1e-12)
    return gain.astype(np.float32), (reference_mean - gain * mean).astype(np.float32)
