"""Replays a log through the product itself: TVs observe, push and pull, shards count, rounds merge, brains rank.

`town` is the TVs, `cloud` the shards and their rounds, `growing` the catalog that both go by, `method` what is judged.
"""
