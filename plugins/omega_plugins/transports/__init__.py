"""Transports: frames from a TV to a shard and back, files from a shard to a TV."""
