"""The shard: counts what devices share, exactly once, and tells all of them what is on the rise. Knows no socket."""
