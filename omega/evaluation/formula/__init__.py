"""Formula M1 on arrays: trend + freshness + audience + taste + novelty, each of them removable.

`facts` is what is known of titles at any time; `shares` what everybody watches, `taste` what a viewer does, `audience`
who is in a title's audience; `features` brings the ten features together, `method` ranks by them.
"""
