"""The ONNX graph of a BERT sentence encoder, written directly from its safetensors: no torch, no transformers."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray
    from onnx import ModelProto, NodeProto

    Weights = Mapping[str, NDArray[np.float32]]

OPSET = 21
IR_VERSION = 10
INPUT_IDS, ATTENTION_MASK, EMBEDDING = "input_ids", "attention_mask", "embedding"


@dataclass
class _Writer:
    """Nodes and initializers so far; `add` names a node's output after its place in the model."""

    nodes: list[NodeProto] = field(default_factory=list)
    constants: dict[str, NDArray[Any]] = field(default_factory=dict)

    def add(self, op: str, name: str, *inputs: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(op, inputs, [name], name, **attributes))
        return name

    def constant(self, name: str, value: NDArray[Any] | list[int] | float) -> str:
        array = np.asarray(value, np.int64 if isinstance(value, list) else np.float32)
        self.constants[name] = np.ascontiguousarray(array)
        return name

    def dense(self, name: str, x: str, weight: NDArray[np.float32], bias: NDArray[np.float32]) -> str:
        """`weight` (out, in) as torch keeps it, `bias` (out,)."""
        product = self.add("MatMul", f"{name}.matmul", x, self.constant(f"{name}.weight", weight.T))
        return self.add("Add", name, product, self.constant(f"{name}.bias", bias))

    def norm(self, name: str, x: str, weights: Weights, prefix: str, epsilon: float) -> str:
        gain = self.constant(f"{name}.weight", weights[f"{prefix}.weight"])
        shift = self.constant(f"{name}.bias", weights[f"{prefix}.bias"])
        return self.add("LayerNormalization", name, x, gain, shift, axis=-1, epsilon=epsilon)


def sentence_encoder(weights: Weights, *, heads: int, epsilon: float, max_tokens: int) -> ModelProto:
    """Return the model: ids and mask, int64 (batch, tokens), to `embedding`, float32 (batch, dimensions), unit rows.

    `weights` are those of a BertModel by their usual names. Token type 0 is folded into the positions, of which
    `max_tokens` are kept; query, key and value are one product, the query's 1/sqrt(d) folded in. Mean pooling and L2
    normalization are one step, since dividing by the number of tokens cancels out.
    """
    graph = _Writer()
    layers = 1 + max(int(name.split(".")[2]) for name in weights if name.startswith("encoder.layer."))
    x = _embeddings(graph, weights, epsilon, max_tokens)
    bias = _attention_bias(graph)
    for layer in range(layers):
        x = _layer(graph, weights, layer, x, bias, heads=heads, epsilon=epsilon)
    _pooled(graph, x)
    dimensions = weights["embeddings.word_embeddings.weight"].shape[1]
    tokens = ["batch", "tokens"]
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "sentence_encoder",
            [helper.make_tensor_value_info(name, TensorProto.INT64, tokens) for name in (INPUT_IDS, ATTENTION_MASK)],
            [helper.make_tensor_value_info(EMBEDDING, TensorProto.FLOAT, ["batch", dimensions])],
            [numpy_helper.from_array(array, name) for name, array in graph.constants.items()],
        ),
        producer_name="omega_model_tools",
        opset_imports=[helper.make_opsetid("", OPSET)],
    )
    model.ir_version = IR_VERSION
    return model


def _embeddings(graph: _Writer, weights: Weights, epsilon: float, max_tokens: int) -> str:
    table = graph.constant("words.table", weights["embeddings.word_embeddings.weight"])
    positions = weights["embeddings.position_embeddings.weight"][:max_tokens]
    kind = weights["embeddings.token_type_embeddings.weight"][0]
    words = graph.add("Gather", "words", table, INPUT_IDS, axis=0)
    length = graph.add("Shape", "length", INPUT_IDS, start=1, end=2)
    zero = graph.constant("zero", [0])
    place = graph.add("Slice", "positions", graph.constant("positions.table", positions + kind), zero, length, zero)
    return graph.norm("embeddings", graph.add("Add", "placed", words, place), weights, "embeddings.LayerNorm", epsilon)


def _attention_bias(graph: _Writer) -> str:
    """Give 0 for tokens and -1e9 for padding, (batch, 1, 1, tokens)."""
    mask = graph.add("Cast", "mask", ATTENTION_MASK, to=TensorProto.FLOAT)
    padding = graph.add("Sub", "padding", graph.constant("one", 1.0), mask)
    bias = graph.add("Mul", "padding.bias", padding, graph.constant("minus", -1e9))
    return graph.add("Unsqueeze", "attention.bias", bias, graph.constant("middle", [1, 2]))


def _layer(graph: _Writer, weights: Weights, layer: int, x: str, bias: str, *, heads: int, epsilon: float) -> str:
    prefix, at = f"encoder.layer.{layer}", f"layer.{layer}"
    mixed = _attention(graph, weights, layer, x, bias, heads=heads)
    out = f"{prefix}.attention.output"
    dense = graph.dense(f"{at}.out", mixed, weights[f"{out}.dense.weight"], weights[f"{out}.dense.bias"])
    x = graph.norm(f"{at}.attended", graph.add("Add", f"{at}.out.sum", dense, x), weights, f"{out}.LayerNorm", epsilon)
    wide = f"{prefix}.intermediate.dense"
    up = graph.dense(f"{at}.up", x, weights[f"{wide}.weight"], weights[f"{wide}.bias"])
    gelu = graph.add("Gelu", f"{at}.gelu", up)
    out = f"{prefix}.output"
    down = graph.dense(f"{at}.down", gelu, weights[f"{out}.dense.weight"], weights[f"{out}.dense.bias"])
    return graph.norm(at, graph.add("Add", f"{at}.down.sum", down, x), weights, f"{out}.LayerNorm", epsilon)


def _attention(graph: _Writer, weights: Weights, layer: int, x: str, bias: str, *, heads: int) -> str:
    """Self-attention without its output product: (batch, tokens, dimensions) in and out."""
    at, names = f"layer.{layer}", [f"encoder.layer.{layer}.attention.self.{part}" for part in ("query", "key", "value")]
    width = weights[f"{names[0]}.weight"].shape[0]
    scales = (1 / math.sqrt(width // heads), 1.0, 1.0)
    parts = {
        what: np.concatenate([weights[f"{name}.{what}"] * np.float32(s) for name, s in zip(names, scales, strict=True)])
        for what in ("weight", "bias")
    }
    joint = graph.dense(f"{at}.qkv", x, parts["weight"], parts["bias"])
    split = graph.constant("heads.split", [0, 0, 3, heads, width // heads])
    apart = graph.add("Reshape", f"{at}.apart", joint, split)
    turned = graph.add("Transpose", f"{at}.turned", apart, perm=[2, 0, 3, 1, 4])
    query, key, value = (
        graph.add("Gather", f"{at}.{part}", turned, _index(graph, i), axis=0)
        for i, part in enumerate(("query", "key", "value"))
    )
    across = graph.add("Transpose", f"{at}.key.turned", key, perm=[0, 1, 3, 2])
    scores = graph.add("Add", f"{at}.scores", graph.add("MatMul", f"{at}.products", query, across), bias)
    shares = graph.add("Softmax", f"{at}.shares", scores, axis=-1)
    mixed = graph.add("Transpose", f"{at}.mixed", graph.add("MatMul", f"{at}.mix", shares, value), perm=[0, 2, 1, 3])
    return graph.add("Reshape", f"{at}.joined", mixed, graph.constant("heads.join", [0, 0, width]))


def _index(graph: _Writer, i: int) -> str:
    name = f"index.{i}"
    graph.constants[name] = np.array(i, np.int64)
    return name


def _pooled(graph: _Writer, x: str) -> None:
    mask = graph.add("Unsqueeze", "pool.mask", "mask", graph.constant("last", [2]))
    total = graph.add(
        "ReduceSum", "pool", graph.add("Mul", "pool.kept", x, mask), graph.constant("axis", [1]), keepdims=0
    )
    length = graph.add("ReduceL2", "pool.length", total, graph.constant("axis", [1]), keepdims=1)
    graph.add("Div", EMBEDDING, total, graph.add("Max", "pool.positive", length, graph.constant("tiny", 1e-12)))
