"""Replays what real viewers watched and says how well recommendations would have met it: `omega eval` starts here.

`reading` or `simulated` give a `Log`, `protocol` cuts it into steps; at each every `Method` learns what came before and
ranks; `metrics` judges lists, `intervals` says how sure that is, `report` draws it.
"""
