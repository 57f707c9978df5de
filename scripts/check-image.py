#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""check-image.py PROGRAM [SEED]: pictures of every kind decoded, resized and
cropped by PROGRAM (tests/image/main.c) and by Pillow: every byte must agree."""
import io
import os
import random
import subprocess
import sys
import tempfile

from PIL import Image

from pictures import FILTERS, adobe, fitted, jpeg, png

passed = failed = 0


class Program:
    def __init__(self, path, folder):
        self.folder = folder
        self.run = subprocess.Popen([path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, order, data):
        """Size and bytes of the answer to an order about a picture."""
        path = os.path.join(self.folder, "picture")
        with open(path, "wb") as f:
            f.write(data)
        self.run.stdin.write(f"{order} {path}\n".encode())
        self.run.stdin.flush()
        head = self.run.stdout.readline().decode()
        if not head or head.startswith("error"):
            return head.strip() or "the program is gone", b""
        h, w, c = map(int, head.split())
        return (w, h), self.run.stdout.read(h * w * c)


def compare(program, order, data, want, what):
    global passed, failed
    size, got = program.ask(order, data)
    if size == want.size and got == want.tobytes():
        passed += 1
        return
    failed += 1
    print(f"{what}: {order}: {size}, Pillow has {want.size}")
    for i, (a, b) in enumerate(zip(got, want.tobytes())):
        if a != b:
            print(f"    first difference at byte {i}: {a}, Pillow has {b}")
            break


def decoded(program, data, what):
    for mode, channels in ("L", 1), ("RGB", 3):
        want = Image.open(io.BytesIO(data)).convert(mode)
        compare(program, f"decode {channels}", data, want, what)


def resized(program, rng, top):
    w, h = rng.randint(1, top), rng.randint(1, top)
    data = jpeg(rng, rng.choice(["L", "RGB"]), w, h)
    channels, mode = rng.choice([(1, "L"), (3, "RGB")])
    name = rng.choice(list(FILTERS))
    im = Image.open(io.BytesIO(data)).convert(mode)
    to = rng.choice([(rng.randint(1, top), rng.randint(1, top)), (w, rng.randint(1, top)),
                     (rng.randint(1, top), h), (w, h), (1, 1)])
    compare(program, f"resize {channels} {name} {to[1]} {to[0]}", data,
            im.resize(to, FILTERS[name]), f"jpeg of {w} x {h}")
    side = rng.randint(1, top)
    ch, cw = rng.choice([(h, w), (rng.randint(1, side), rng.randint(1, side)), (side, side)])
    if (ch, cw) != (h, w):
        ch, cw = min(ch, side), min(cw, side)
    elif side < max(h, w):
        side = max(h, w)
    compare(program, f"fit {channels} {name} {side} {ch} {cw}", data,
            fitted(im, side, ch, cw, FILTERS[name]), f"jpeg of {w} x {h}")


def main():
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        program = Program(sys.argv[1], folder)
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
        program.run.stdin.close()
        if program.run.wait() != 0:
            print("the program failed")
            return 1
    print(f"{passed} passed, {failed} failed")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
