"""Engines: where the parts of a federation's merge are worked on."""
