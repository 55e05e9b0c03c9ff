"""Load tests put together: `running` has a load meet a shard and judges it, `shards` starts one, `page` draws it."""
