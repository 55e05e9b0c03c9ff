"""Finding a graph's matrices and tables and putting quantized operators in their place."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from omega_model_tools.gptq import BLOCK, Blocks, packed

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from onnx import GraphProto, NodeProto

    from omega_model_tools.gptq import Floats

ACCURACY_LEVEL = 4
"""Inputs are rounded to int8 inside the product: the fast kernel on x86 and ARM."""


@dataclass(frozen=True)
class Dense:
    """A product with a constant matrix, and the sum with a constant vector that follows it."""

    index: int
    """Of its MatMul among the graph's nodes."""
    bias_index: int
    x: str
    y: str
    weight: Floats
    """(inputs, outputs)."""
    bias: Floats
    """(outputs,)."""
    layer: int
    """From 0, by the node's name."""


def constants(graph: GraphProto) -> dict[str, Floats]:
    """Return the graph's float32 initializers by name."""
    return {
        tensor.name: numpy_helper.to_array(tensor)
        for tensor in graph.initializer
        if tensor.data_type == TensorProto.FLOAT
    }


def dense_products(graph: GraphProto) -> list[Dense]:
    """Return every MatMul by a constant matrix with its bias, in the order of the graph."""
    values = constants(graph)
    found = []
    for index, node in enumerate(graph.node):
        if node.op_type != "MatMul" or node.input[1] not in values:
            continue
        after = next(i for i, n in enumerate(graph.node) if node.output[0] in n.input)
        add = graph.node[after]
        bias = next((values[name] for name in add.input if name in values), None)
        if add.op_type == "Add" and bias is not None:
            layer = re.search(r"layer\.(\d+)", node.name)
            number = int(layer[1]) if layer else 0
            found.append(Dense(index, after, node.input[0], add.output[0], values[node.input[1]], bias, number))
    return found


def table_lookup(graph: GraphProto) -> tuple[int, Floats]:
    """Return index and table (tokens, dimensions) of the Gather with the largest constant: the word embeddings."""
    values = constants(graph)
    gathers = [i for i, node in enumerate(graph.node) if node.op_type == "Gather" and node.input[0] in values]
    index = max(gathers, key=lambda i: values[graph.node[i].input[0]].size)
    return index, values[graph.node[index].input[0]]


def quantized_product(name: str, dense: Dense, blocks: Blocks, bias: Floats) -> tuple[NodeProto, list[TensorProto]]:
    """Return the MatMulNBits node that stands for `dense`, its bias inside, and its initializers."""
    inputs, outputs = blocks.codes.shape
    by_output = blocks.codes.T.reshape(outputs, inputs // BLOCK, BLOCK)
    parts: dict[str, NDArray[Any]] = {
        "codes": packed(by_output, blocks.bits),
        "scales": blocks.scales.T.reshape(-1),
        "zeros": packed(np.ascontiguousarray(blocks.zeros.T), blocks.bits).reshape(-1),
        "bias": bias.astype(np.float32),
    }
    node = helper.make_node(
        "MatMulNBits",
        [dense.x, f"{name}.codes", f"{name}.scales", f"{name}.zeros", "", f"{name}.bias"],
        [dense.y],
        name,
        domain="com.microsoft",
        K=inputs,
        N=outputs,
        bits=blocks.bits,
        block_size=BLOCK,
        accuracy_level=ACCURACY_LEVEL,
    )
    return node, _tensors(name, parts)


def quantized_lookup(node: NodeProto, blocks: Blocks) -> tuple[NodeProto, list[TensorProto]]:
    """Return the GatherBlockQuantized node that stands for the Gather `node`, and its initializers.

    `blocks` is of the transposed table (dimensions, tokens). Codes are stored as uint8, since ONNX Runtime saves UINT4
    tensors that it doesn't load.
    """
    name = node.name
    parts: dict[str, NDArray[Any]] = {
        "codes": packed(np.ascontiguousarray(blocks.codes.T), blocks.bits),
        "scales": np.ascontiguousarray(blocks.scales.T),
        "zeros": packed(np.ascontiguousarray(blocks.zeros.T), blocks.bits),
    }
    gather = helper.make_node(
        "GatherBlockQuantized",
        [f"{name}.codes", node.input[1], f"{name}.scales", f"{name}.zeros"],
        list(node.output),
        name,
        domain="com.microsoft",
        bits=blocks.bits,
        block_size=BLOCK,
        gather_axis=0,
        quantize_axis=1,
    )
    return gather, _tensors(name, parts)


def _tensors(name: str, parts: dict[str, NDArray[Any]]) -> list[TensorProto]:
    return [numpy_helper.from_array(np.ascontiguousarray(array), f"{name}.{part}") for part, array in parts.items()]
