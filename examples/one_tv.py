"""One TV from Python: three titles are watched, and it recommends five for a weekend evening, each with its reasons."""

from __future__ import annotations

import tempfile
from contextlib import closing

from omega.compose import open_brain
from omega.core.settings import resolve
from omega.core.types import DayType, TimeSlot, ViewContext, ViewingEvent

WATCHED = {"heat-1995": 0.95, "the-shawshank-redemption-1994": 1.0, "fiddler-on-the-roof-1971": 0.1}
SATURDAY = ViewContext(time=TimeSlot.EVENING, day=DayType.WEEKEND)

with tempfile.TemporaryDirectory() as folder, closing(open_brain(resolve({"store": folder}).settings)) as tv:
    for content_id, share in WATCHED.items():
        tv.observe(ViewingEvent(content_id=content_id, watch_pct=share))
    for title in tv.recommend(SATURDAY, k=5):
        print(f"{title.score:+.2f}  {title.title} ({title.year}): {'; '.join(r.text for r in title.reasons)}")
