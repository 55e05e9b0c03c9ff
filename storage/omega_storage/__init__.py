"""Where things are kept: vector stores, and what devices and shards record, in SQLite and in Postgres."""
