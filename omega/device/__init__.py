"""Floor 1: the TV. It learns from what is watched, recommends with reasons, and knows no shard and no file format."""
