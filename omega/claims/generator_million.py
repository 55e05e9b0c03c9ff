"""Runs in a process of its own, whose memory nothing else moves: makes a million TVs and lets some of them tell.

Prints, as JSON, the peak of memory, what the arrays take of a TV, and CPU time of making a frame.
"""

from __future__ import annotations

import json
import sys
import time

import numpy as np

from omega.compose import EXAMPLE_CATALOG_PATH
from omega.core.catalog import Catalog
from omega.core.machine import peak_rss_bytes
from omega.core.shard_records import DAY_S, TASTE_SPACE
from omega.core.wire import Header, lineage_code, space_code
from omega.fleet.load.devices import Devices
from omega.fleet.load.figures import Figures
from omega.fleet.load.watching import Watching
from omega.fleet.load.wheel import Wheel, first_dues

DEVICES, INTERVAL_S, HORIZON_S = 1_000_000, 300, 60
_BATCH_MS = 10


def main() -> None:
    """Make them, turn the wheel for two seconds of their time, and print the figures."""
    now_s, catalog = int(time.time()), Catalog.read(EXAMPLE_CATALOG_PATH)
    header = Header(space=space_code(TASTE_SPACE), lineage=lineage_code(catalog.lineage), epoch=catalog.epoch)
    watching = Watching(len(catalog), 1, now_s // DAY_S)
    devices = Devices(np.arange(DEVICES), watching, header, now_s=now_s, seed=1, mixed=False)
    wheel, figures = Wheel(DEVICES, HORIZON_S), Figures(late_s=0.05)
    wheel.fill(first_dues(DEVICES, INTERVAL_S, 0, 1))
    began_s, told = time.process_time(), 0
    for until_ms in range(_BATCH_MS, 2_000, _BATCH_MS):
        due = wheel.turn(until_ms)
        for push in devices.told([device for device, _ in due]):
            figures.left(0, len(push.frame))
            told += 1
    spent_s = time.process_time() - began_s
    found = {
        "peak_mib": peak_rss_bytes() / 2**20,
        "bytes_per_device": (devices.size_bytes + wheel.size_bytes) / DEVICES,
        "frame_us": spent_s / told * 1e6,
        "frames": told,
    }
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main()
