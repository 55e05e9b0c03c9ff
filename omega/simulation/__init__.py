"""`omega simulate`: days of many TVs and their shards in virtual time, in one process, with everything that goes wrong.

Sessions, ledgers, frames, tokens, shards and their store are the product's own; time, the line and the faults are made
up, from a seed. After each day the shards' sums are held against what the TVs' ledgers say that was counted.
"""
