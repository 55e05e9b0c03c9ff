"""All claims, in the order in which they are shown."""

from __future__ import annotations

from omega.claims import cli, device, model
from omega.claims.claim import Claims

claims = Claims()
for area in (model, device, cli):
    claims.all.update(area.claims.all)
