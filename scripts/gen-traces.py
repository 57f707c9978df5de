#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""gen-traces.py DIR: the made-up traces of tests/data, for tests/unit/test_trace.c.

(governor-recorded.csv is not made up: batch times of resnet8 on a busy machine.)
"""
import math
import os
import random
import sys


def write(name, header, rows):
    """rows of texts, one list a line"""
    with open(os.path.join(sys.argv[1], name), "w", encoding="ascii") as f:
        f.write(header + "\n")
        for row in rows:
            f.write(",".join(row) + "\n")


def times(hz, seconds):
    return [i / hz for i in range(hz * seconds)]


def spike(rng):
    """4 ms a batch, and 9 from 20 to 30 s, as if another program ran."""
    for t in times(10, 60):
        ms = (9.0 if 20 <= t < 30 else 4.0) * rng.uniform(0.95, 1.05)
        yield [f"{t:.1f}", f"{ms:.2f}"]


def drift(rng):
    """3 ms, slowly 9, slowly 3 again."""
    for t in times(5, 240):
        ms = (6 - 3 * math.cos(2 * math.pi * t / 240)) * rng.uniform(0.97, 1.03)
        yield [f"{t:.1f}", f"{ms:.2f}"]


def noise(rng):
    """Just below 5 ms, with 2 % of batches that take three times as long."""
    for t in times(50, 40):
        ms = rng.gauss(4.6, 0.12) * (3 if rng.random() < 0.02 else 1)
        yield [f"{t:.2f}", f"{ms:.2f}"]


def battery():
    """From 60 % down to 6 % in 90 minutes, charged to 50 %, and used again."""
    percent, t = 60.0, 0
    for step, charging, until in ((-0.3, 0, 6), (0.8, 1, 50), (-0.3, 0, 26)):
        while (until - percent) * step > 0:
            percent += step
            t += 30
            yield [str(charging), f"{percent:.0f}", str(t)]


def thermal():
    """Warms up to 80 C, is cooled, stays at 72 C, cools down."""
    for t in range(240):
        if t < 60:
            c = 60 + t / 3
        elif t < 90:
            c = 80 - (t - 60) * 8 / 30
        elif t < 150:
            c = 72
        else:
            c = max(72 - (t - 150) / 2, 55)
        yield [str(t), f"{c:.1f}"]


def missing(rng):
    """Sensors that come and go; nothing of it asks for a switch."""
    for t in range(200):
        row = [str(t)]
        for lo, hi in ((1, 4), (40, 90), (40, 70), (10, 70)):
            there = rng.random() < 0.4
            row.append(f"{rng.uniform(lo, hi):.1f}" if there else rng.choice(("", "nan")))
        yield row


def main():
    rng = random.Random(1)
    write("governor-spike.csv", "t_s,batch_ms", spike(rng))
    write("governor-drift.csv", "t_s,batch_ms", drift(rng))
    write("governor-noise.csv", "t_s,batch_ms", noise(rng))
    write("governor-battery.csv", "charging,battery_percent,t_s", battery())
    write("governor-thermal.csv", "t_s,temp_c", thermal())
    write("governor-missing.csv", "t_s,batch_ms,battery_percent,temp_c,load_percent",
          missing(rng))


main()
