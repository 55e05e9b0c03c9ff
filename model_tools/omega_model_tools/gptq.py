"""Rounding a weight matrix to 4 or 8 bits in blocks of 32 input rows, with the error pushed on to later rows.

GPTQ: Frantar, Ashkboos, Hoefler, Alistarh, "GPTQ: Accurate Post-Training Quantization for Generative Pre-trained
Transformers", 2022. Weights are (inputs, outputs) throughout: y = x @ weight.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

BLOCK = 32
"""Input rows that share one scale and one zero point per output column."""
_SHRINKS = np.linspace(1.0, 0.7, 13, dtype=np.float32)


@dataclass(frozen=True)
class Blocks:
    """A quantized matrix: weight = scales * (codes - zeros), each row with its block's scale and zero point."""

    codes: NDArray[np.uint8]
    """(inputs, outputs), 0..2**bits - 1."""
    scales: Floats
    """(inputs / 32, outputs), positive."""
    zeros: NDArray[np.uint8]
    """(inputs / 32, outputs), 0..2**bits - 1."""
    bits: int

    def dequantized(self) -> Floats:
        """Return the matrix (inputs, outputs) that the codes stand for."""
        levels = self.codes.astype(np.float32) - np.repeat(self.zeros, BLOCK, 0)
        return levels * np.repeat(self.scales, BLOCK, 0)


def block_grid(rows: Floats, importance: Floats, bits: int) -> tuple[Floats, Floats]:
    """Return scale and zero point, (..., outputs), of blocks `rows` (..., 32, outputs).

    Of 13 ranges, from the full one down to 0.7 of it, each block takes that with the least squared error, rows weighted
    by `importance` (..., 32). A range always includes 0.
    """
    top = (1 << bits) - 1
    low, high = np.minimum(rows.min(-2), 0), np.maximum(rows.max(-2), 0)
    best = np.full(low.shape, np.inf, np.float32)
    scale, zero = np.ones_like(low), np.zeros_like(low)
    for shrink in _SHRINKS:
        tried = np.maximum((high - low) * (shrink / top), np.float32(1e-10))
        offset = np.clip(np.rint(-low * shrink / tried), 0, top)
        codes = np.clip(np.rint(rows / tried[..., None, :]) + offset[..., None, :], 0, top)
        error = (codes - offset[..., None, :]) * tried[..., None, :] - rows
        loss = np.einsum("...k,...kn->...n", importance, error * error)
        better = loss < best
        best, scale, zero = (np.where(better, new, old) for new, old in ((loss, best), (tried, scale), (offset, zero)))
    return scale, zero


def round_to_nearest(weight: Floats, bits: int) -> Blocks:
    """Quantize `weight` (inputs, outputs) row by row with no regard to the inputs' correlations."""
    inputs, outputs = weight.shape
    blocks = weight.reshape(inputs // BLOCK, BLOCK, outputs)
    scale, zero = block_grid(blocks, np.ones(blocks.shape[:2], np.float32), bits)
    codes = np.rint(blocks / scale[:, None]) + zero[:, None]
    return _blocks(np.clip(codes, 0, (1 << bits) - 1).reshape(inputs, outputs), scale, zero, bits)


def gptq(weight: Floats, hessian: NDArray[np.float64], bits: int, damping: float = 0.01) -> Blocks:
    """Quantize `weight` (inputs, outputs) for inputs whose second moments are `hessian` (inputs, inputs).

    The rounding error of each row is made good by the rows after it, as far as the inputs are correlated. `damping` is
    added to the diagonal, in units of its mean.
    """
    inputs, outputs = weight.shape
    factor = _inverse_factor(hessian, damping)
    rest = weight.astype(np.float32).copy()
    codes = np.empty((inputs, outputs), np.float32)
    scales, zeros = (np.empty((inputs // BLOCK, outputs), np.float32) for _ in range(2))
    for block, start in enumerate(range(0, inputs, BLOCK)):
        here = slice(start, start + BLOCK)
        within = factor[here, here]
        scales[block], zeros[block] = block_grid(rest[here], (1 / np.square(np.diag(within))).astype(np.float32), bits)
        codes[here], errors = _round_block(rest[here], within, scales[block], zeros[block], bits)
        rest[start + BLOCK :] -= factor[here, start + BLOCK :].T @ errors
    return _blocks(codes, scales, zeros, bits)


def _round_block(rows: Floats, within: Floats, scale: Floats, zero: Floats, bits: int) -> tuple[Floats, Floats]:
    """Round 32 rows in order; return their codes and their errors over the factor's diagonal, both (32, outputs)."""
    top = (1 << bits) - 1
    rows, codes, errors = rows.copy(), np.empty_like(rows), np.empty_like(rows)
    for i, row in enumerate(rows):
        codes[i] = np.clip(np.rint(row / scale) + zero, 0, top)
        errors[i] = (row - (codes[i] - zero) * scale) / within[i, i]
        rows[i + 1 :] -= np.outer(within[i, i + 1 :], errors[i])
    return codes, errors


def _inverse_factor(hessian: NDArray[np.float64], damping: float) -> Floats:
    """Return the upper Cholesky factor of the damped inverse, (inputs, inputs)."""
    damped = hessian.astype(np.float64)
    mean = float(np.mean(np.diag(damped))) or 1.0
    damped[np.diag_indices_from(damped)] += damping * mean
    inverse = np.linalg.inv(damped)
    return np.linalg.cholesky((inverse + inverse.T) / 2).T.astype(np.float32)


def _blocks(codes: Floats, scales: Floats, zeros: Floats, bits: int) -> Blocks:
    return Blocks(codes.astype(np.uint8), scales, zeros.astype(np.uint8), bits)


def corrected_target(
    weight: Floats, hessian: NDArray[np.float64], drift: NDArray[np.float64], damping: float
) -> Floats:
    """Return the weight (inputs, outputs) that gives the reference's outputs on inputs that have drifted from its own.

    The least-squares step from `weight` with ridge `damping`, in units of the mean diagonal: `hessian` is X.T @ X and
    `drift` is X.T @ (R - X), both (inputs, inputs), for inputs X (n, inputs) where the reference model has R.
    """
    damped = hessian.copy()
    damped[np.diag_indices_from(damped)] += damping * float(np.mean(np.diag(damped)))
    step = np.linalg.solve(damped, drift) @ weight.astype(np.float64)
    return (weight + step).astype(np.float32)


def packed(codes: NDArray[np.uint8], bits: int) -> NDArray[np.uint8]:
    """Return codes (..., n) as bytes (..., ceil(n * bits / 8)): at 4 bits two a byte, the first in the low half."""
    if bits == 8:
        return codes
    even = codes[..., 0::2].copy()
    odd = codes[..., 1::2]
    even[..., : odd.shape[-1]] |= odd << 4
    return even
