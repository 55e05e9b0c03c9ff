"""Walking calibration texts through a graph piece by piece, so that a piece can be changed before the next one runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import ValueInfoProto, helper

from omega_model_tools.session import batches, open_session

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray
    from onnx import ModelProto, NodeProto, TensorProto

    from omega_model_tools.session import Ids

    State = dict[str, NDArray[Any]]


class Walk:
    """The tensors that the rest of a graph still needs, for every batch of texts of one length."""

    def __init__(self, model: ModelProto, ids: Ids) -> None:
        """Start before the first node; `ids` are the token ids of each text."""
        self._model = model
        self._last_use: dict[str, int] = {}
        for index, node in enumerate(model.graph.node):
            self._last_use.update(dict.fromkeys(node.input, index))
        self._last_use.update({value.name: len(model.graph.node) for value in model.graph.output})
        self._states: list[State] = []
        for _, batch in batches(ids):
            self._states.append({"input_ids": batch, "attention_mask": np.ones_like(batch)})

    def run(self, nodes: Sequence[NodeProto], tensors: Sequence[TensorProto], stop: int) -> None:
        """Run `nodes` on every batch, then forget what no node of the original graph from number `stop` on needs."""
        if not nodes:
            return
        made = {name for node in nodes for name in node.output}
        kept = sorted(name for name in made if self._last_use.get(name, -1) >= stop)
        piece = self._piece(nodes, tensors, kept)
        needed = {value.name for value in piece.graph.input}
        session = open_session(piece.SerializeToString())
        for state in self._states:
            values = session.run(kept, {name: state[name] for name in needed})
            state.update(zip(kept, values, strict=True))
            for name in [name for name in state if self._last_use.get(name, -1) < stop]:
                del state[name]

    def rows(self, name: str) -> Iterator[NDArray[np.float32]]:
        """Give the tensor `name` batch by batch, as rows (n, its last dimension)."""
        return (state[name].reshape(-1, state[name].shape[-1]) for state in self._states)

    def adjust(self, name: str, gain: NDArray[np.float32], shift: NDArray[np.float32]) -> None:
        """Put gain * value + shift in the place of the tensor `name`."""
        for state in self._states:
            state[name] = state[name] * gain + shift

    def _piece(self, nodes: Sequence[NodeProto], tensors: Sequence[TensorProto], kept: list[str]) -> ModelProto:
        known = {tensor.name for tensor in tensors}
        used = {name for node in nodes for name in node.input if name}
        made = {name for node in nodes for name in node.output}
        state = self._states[0]
        inputs = [
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(state[name].dtype), None)
            for name in sorted(used - made - known)
        ]
        outputs = [ValueInfoProto(name=name) for name in kept]
        held = [tensor for tensor in tensors if tensor.name in used]
        model = helper.make_model(
            helper.make_graph(nodes, "piece", inputs, outputs, held), opset_imports=opsets(self._model)
        )
        model.ir_version = self._model.ir_version
        return model


def opsets(model: ModelProto) -> list[Any]:
    """Return the operator sets of `model` with that of MatMulNBits among them."""
    return [*(o for o in model.opset_import if o.domain != "com.microsoft"), helper.make_opsetid("com.microsoft", 1)]
