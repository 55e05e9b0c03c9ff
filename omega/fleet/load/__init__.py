"""A million TVs as arrays, which sync with a shard at times that were set beforehand: `omega loadtest` starts here.

`scenarios` says who comes how often and what must hold, `wheel` when each TV is due, `watching` what it saw since,
`devices` where it stands with the shard. `driving` sends what is due, over a carrier (`http`, `clients`), and notes in
`figures` what became of it. Nothing waits for an answer before the next sync is due (an open loop), and latency counts
from the due time: a shard or a generator that stands still shows in the figures of all who came meanwhile (coordinated
omission; Tene, "How NOT to measure latency", 2015).
"""
