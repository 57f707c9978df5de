#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Draws a class-balanced subset of an idx data set (MNIST, Fashion-MNIST).

usage: make-subset.py SOURCE TARGET [--train N] [--test N] [--seed N]

SOURCE and TARGET are folders of {train,t10k}-{images-idx3,labels-idx1}-ubyte.gz.
N is the number of images of each class. In every class the images are ordered
by the SHA-256 of "SEED:SPLIT:INDEX" and the first N are taken, so the choice
depends on nothing but these; they are written in the order of the source.
"""
import argparse
import gzip
import hashlib
import os
import struct
import sys


def read_idx(path, n_dims):
    with gzip.open(path, "rb") as f:
        data = f.read()
    header = 4 + 4 * n_dims
    if len(data) < header or data[:4] != bytes((0, 0, 8, n_dims)):
        sys.exit(f"make-subset.py: '{path}' is not an idx file of bytes in {n_dims} dimensions")
    dims = struct.unpack(f">{n_dims}I", data[4:header])
    size = 1
    for d in dims:
        size *= d
    if len(data) != header + size:
        sys.exit(f"make-subset.py: '{path}' has {len(data)} bytes, expected {header + size}")
    return dims, data[header:]


def write_idx(path, dims, body):
    """Byte for byte the same each time: no name and no time in the gzip header."""
    with open(path + ".part", "wb") as f:
        with gzip.GzipFile("", "wb", 9, f, mtime=0) as g:
            g.write(bytes((0, 0, 8, len(dims))) + struct.pack(f">{len(dims)}I", *dims) + body)
    os.replace(path + ".part", path)


def draw(labels, split, per_class, seed):
    chosen = []
    for c in sorted(set(labels)):
        of_class = [i for i, y in enumerate(labels) if y == c]
        if len(of_class) < per_class:
            sys.exit(f"make-subset.py: {split}: class {c} has {len(of_class)} images, "
                     f"fewer than {per_class}")
        of_class.sort(key=lambda i: hashlib.sha256(f"{seed}:{split}:{i}".encode()).digest())
        chosen += of_class[:per_class]
    return sorted(chosen)


def main():
    p = argparse.ArgumentParser(description="draws a class-balanced subset of an idx data set")
    p.add_argument("source")
    p.add_argument("target")
    p.add_argument("--train", type=int, default=600, metavar="N", help="images a class (600)")
    p.add_argument("--test", type=int, default=100, metavar="N", help="images a class (100)")
    p.add_argument("--seed", type=int, default=1, metavar="N", help="seed of the draw (1)")
    a = p.parse_args()

    os.makedirs(a.target, exist_ok=True)
    for split, per_class in (("train", a.train), ("t10k", a.test)):
        images, labels = (f"{split}-images-idx3-ubyte.gz", f"{split}-labels-idx1-ubyte.gz")
        (n, height, width), pixels = read_idx(os.path.join(a.source, images), 3)
        (n_labels,), classes = read_idx(os.path.join(a.source, labels), 1)
        if n != n_labels:
            sys.exit(f"make-subset.py: {split}: {n} images, but {n_labels} labels")
        size = height * width
        chosen = draw(classes, split, per_class, a.seed)
        write_idx(os.path.join(a.target, images), (len(chosen), height, width),
                  b"".join(pixels[i * size:(i + 1) * size] for i in chosen))
        write_idx(os.path.join(a.target, labels), (len(chosen),),
                  bytes(classes[i] for i in chosen))


if __name__ == "__main__":
    main()
