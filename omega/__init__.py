"""Exogenesis Omega: TVs that learn on the device what a household enjoys, and recommend in milliseconds."""

import os

# onnxruntime reports to its maker, and leaves an id in the cache folder, unless this is set before it is imported.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

__version__ = "0.1.0"
