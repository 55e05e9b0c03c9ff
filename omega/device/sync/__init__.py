"""The TV's side of a sync: what it tells its shard, what it makes of the answer, and when it asks next.

`session` turns ledger into frames and answers into ledger, `pacing` says when; neither knows a socket or a clock.
`runtime` is the loop that does both over a transport, beside the daemon; `trends` keeps what the others enjoy.
"""
