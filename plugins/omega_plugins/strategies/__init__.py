"""Strategies: one answer of what several shards say. One file each, with the paper that it comes from."""
