"""How fast the spline sizer is: ``python -m benchmarks.sizers``. Prints one line of JSON: µs of a scalar call, evaluations per µs.

Neither has a warm cache of answers: a scalar call walks through scores and depths, the array is of random scores.
"""

from __future__ import annotations

import argparse
import json
import time
from statistics import median

import numpy as np

from alpha_pulse.hedging.risk.sizers.spline import MonotoneSpline, build_spline, compute_hedge
from benchmarks.replay import stay_on_one_core

SEED = 7


def scalar_us(spline: MonotoneSpline, calls: int, batches: int) -> float:
    """Median over the batches of the time of one ``compute_hedge`` [µs]; the loop around it is in it."""
    random = np.random.default_rng(SEED)
    scores: list[float] = random.random(calls).tolist()
    depths: list[float] = (10.0 ** random.uniform(3.0, 7.5, calls)).tolist()
    pairs = list(zip(scores, depths, strict=True))
    taken = []
    for _ in range(batches):
        start = time.perf_counter()
        for score, depth in pairs:
            compute_hedge(score, depth, spline)
        taken.append((time.perf_counter() - start) / calls)
    return median(taken) * 1e6


def evaluations_per_us(spline: MonotoneSpline, size: int, batches: int) -> float:
    """How many scores of an array of ``size`` the curve takes in a µs, checks and result included; median over the batches."""
    scores = np.random.default_rng(SEED).random(size)
    taken = []
    for _ in range(batches):
        start = time.perf_counter()
        spline(scores)
        taken.append(time.perf_counter() - start)
    return size / median(taken) / 1e6


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batches", type=int, default=50, help="the median of so many is taken")
    arguments = parser.parse_args()
    stay_on_one_core()
    spline = build_spline()
    scalar_us(spline, 1000, 20)  # warm up: the interpreter specialises what it has run some times, and memory is there
    evaluations_per_us(spline, 1_000_000, 5)
    measured = {
        "scalar_us": scalar_us(spline, 1000, 10 * arguments.batches),
        "evaluations_per_us": evaluations_per_us(spline, 1_000_000, arguments.batches),
    }
    print(json.dumps(measured))


if __name__ == "__main__":
    main()
