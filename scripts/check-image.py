#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""check-image.py PROGRAM [SEED]: pictures of every kind decoded, resized and
cropped by PROGRAM (tests/image/main.c) and by Pillow: every byte must agree."""
import io
import random
import sys
import tempfile

from PIL import Image

from pictures import FILTERS, Asker, adobe, fitted, jpeg, png

def decoded(program, data, what):
    for mode, channels in ("L", 1), ("RGB", 3):
        want = Image.open(io.BytesIO(data)).convert(mode)
        program.compare(f"decode {channels}", data, want, what)


def resized(program, rng, top):
    w, h = rng.randint(1, top), rng.randint(1, top)
    data = jpeg(rng, rng.choice(["L", "RGB"]), w, h)
    channels, mode = rng.choice([(1, "L"), (3, "RGB")])
    name = rng.choice(list(FILTERS))
    im = Image.open(io.BytesIO(data)).convert(mode)
    to = rng.choice([(rng.randint(1, top), rng.randint(1, top)), (w, rng.randint(1, top)),
                     (rng.randint(1, top), h), (w, h), (1, 1)])
    program.compare(f"resize {channels} {name} {to[1]} {to[0]}", data,
            im.resize(to, FILTERS[name]), f"jpeg of {w} x {h}")
    side = rng.randint(1, top)
    ch, cw = rng.choice([(h, w), (rng.randint(1, side), rng.randint(1, side)), (side, side)])
    if (ch, cw) != (h, w):
        ch, cw = min(ch, side), min(cw, side)
    elif side < max(h, w):
        side = max(h, w)
    program.compare(f"fit {channels} {name} {side} {ch} {cw}", data,
            fitted(im, side, ch, cw, FILTERS[name]), f"jpeg of {w} x {h}")


def main():
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        program = Asker(sys.argv[1], folder)
        for i in range(40):
            w, h = rng.randint(1, 90), rng.randint(1, 90)
            for mode in "L", "RGB", "CMYK":
                data = jpeg(rng, mode, w, h)
                decoded(program, data, f"jpeg, {mode}, {w} x {h}")
                if mode != "L":
                    other = rng.randint(0, 1) if mode == "RGB" else 2
                    decoded(program, adobe(data, other), f"jpeg, {mode} as {other}, {w} x {h}")
        for color, depths in (0, (1, 2, 4, 8, 16)), (2, (8, 16)), (3, (1, 2, 4, 8)), \
                (4, (8, 16)), (6, (8, 16)):
            for depth in depths:
                for i in range(24):
                    top = 5 if i < 8 else 40
                    w, h = rng.randint(1, top), rng.randint(1, top)
                    decoded(program, png(rng, color, depth, i % 2, w, h),
                            f"png, type {color}, {depth} bits, interlace {i % 2}, {w} x {h}")
        for i in range(400):
            resized(program, rng, 12 if i < 150 else 160 if i < 390 else 700)
        return program.close() > 0


if __name__ == "__main__":
    sys.exit(main())
