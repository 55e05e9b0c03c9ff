"""The management interface of a shard, `/api/v1`: one table of routes, the description that is made of it, and ASGI."""
