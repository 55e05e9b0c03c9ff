"""Exogenesis Omega: TVs that learn on the device, share k-anonymous patterns and recommend in milliseconds."""

__version__ = "0.1.0"
