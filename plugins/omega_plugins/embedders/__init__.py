"""Embedders: text to vectors of one space. `models/` holds the model folders that they load by default."""

from __future__ import annotations

from pathlib import Path

MODELS = Path(__file__).parent / "models"
"""The model folders that ship with Omega."""
