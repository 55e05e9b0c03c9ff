"""Attacks on what shards tell, played by devices of the attacker's against real shards and real rounds."""
