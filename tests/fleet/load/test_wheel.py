"""The timer wheel gives out what a sorted list would, and costs 8 B a device."""

from __future__ import annotations

import heapq

import numpy as np
import pytest

from omega.fleet.load.wheel import Wheel, first_dues


@pytest.mark.parametrize("horizon_s", [0.1, 10.0])
def test_it_gives_out_what_a_heap_does(horizon_s: float) -> None:
    random, devices = np.random.default_rng(1), 300
    wheel = Wheel(devices, horizon_s)
    due_s = random.uniform(0, 3, devices)
    wheel.fill(due_s)
    heap = [(int(due * 1000), device) for device, due in enumerate(due_s)]
    heapq.heapify(heap)
    for until_ms in range(7, 9_000, 7):
        wanted = []
        while heap and heap[0][0] < until_ms:
            wanted.append(heapq.heappop(heap))
        found = wheel.turn(until_ms)
        assert sorted((due, device) for device, due in found) == wanted
        assert [due for _, due in found] == sorted(due for _, due in found)
        for device, due_ms in found:
            if random.random() < 0.7:
                again_ms = due_ms + int(random.integers(0, 2_000))
                wheel.put(device, again_ms)
                heapq.heappush(heap, (max(again_ms, until_ms), device))
    assert wheel.turn(20_000) == [(device, due) for due, device in sorted(heap)]


def test_a_million_tvs_take_8_bytes_each() -> None:
    assert Wheel(1_000_000, 60).size_bytes <= 8.3 * 1_000_000


def test_first_dues_are_even_in_the_mean_and_follow_the_ramp() -> None:
    flat = first_dues(100_000, 10, 0, 1)
    assert flat.min() >= 0
    assert flat.max() < 10
    counts, _ = np.histogram(flat, 10, (0, 10))
    assert np.abs(counts - 10_000).max() < 5 * np.sqrt(10_000)
    ramped = first_dues(100_000, 10, 4, 1)
    counts, _ = np.histogram(ramped, 12, (0, 12))
    for second in range(4):  # the rate at second t is t / 4 of what it is afterwards
        assert counts[second] == pytest.approx(10_000 * (second + 0.5) / 4, abs=500)
    assert counts[5] == pytest.approx(10_000, abs=500)


def test_a_seed_decides() -> None:
    assert np.array_equal(first_dues(50, 10, 0, 7), first_dues(50, 10, 0, 7))
    assert not np.array_equal(first_dues(50, 10, 0, 7), first_dues(50, 10, 0, 8))
