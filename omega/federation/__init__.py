"""What shards learn together."""
