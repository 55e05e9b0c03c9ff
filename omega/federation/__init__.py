"""Where shards meet: their sums are collected, merged and published as one board, with the basis TVs read it by."""
