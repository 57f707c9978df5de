#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Small pictures for tests/fuzz/image, good and bad, and what Pillow makes of
the good ones.

    gen-pictures.py FOLDER      writes FOLDER/corpus/* and FOLDER/pillow.tsv

A line of pillow.tsv is an order as tests/image/main.c takes it, but with the
file last in its own column, then width, height and the CRC-32 of the bytes.
tests/unit/test_image.c obeys them all. Debian 12's python3-pil wrote what is
committed; scripts/check-image.sh compares where that is installed.
"""
import io
import os
import random
import struct
import sys
import zlib

from PIL import Image

from pictures import FILTERS, adjusted, adobe, chunk, fitted, jpeg, png

SOS = b"\xff\xda"


def good(rng):
    plain = dict(quality=80, subsampling=2, progressive=False, optimize=True)
    files = {
        "grey.jpg": jpeg(rng, "L", 13, 9, **plain),
        "rgb.jpg": jpeg(rng, "RGB", 37, 23, **plain),
        "rgb-444.jpg": jpeg(rng, "RGB", 9, 17, **{**plain, "subsampling": 0}),
        "rgb-422.jpg": jpeg(rng, "RGB", 18, 5, **{**plain, "subsampling": 1}),
        "progressive.jpg": jpeg(rng, "RGB", 21, 19, **{**plain, "progressive": True}),
        "progressive-grey.jpg": jpeg(rng, "L", 12, 12, **{**plain, "progressive": True}),
        "cmyk.jpg": jpeg(rng, "CMYK", 11, 8, **plain),
        "one.jpg": jpeg(rng, "L", 1, 1, **plain),
    }
    files["ycck.jpg"] = adobe(files["cmyk.jpg"], 2)
    files["rgb-adobe.jpg"] = adobe(files["rgb-444.jpg"], 0)
    # bytes between the last pixel and the end marker, and behind it
    files["extra.jpg"] = files["grey.jpg"][:-2] + bytes(7) + b"\xff\xd9" + b"more"
    for color, depth, laced in [(0, 1, 0), (0, 2, 1), (0, 4, 0), (0, 8, 0), (0, 16, 1), (2, 8, 1),
                                (2, 16, 0), (3, 1, 1), (3, 2, 0), (3, 4, 1), (3, 8, 0), (4, 8, 0),
                                (4, 16, 1), (6, 8, 1), (6, 16, 0)]:
        name = f"type{color}-{depth}{'-laced' if laced else ''}.png"
        files[name] = png(rng, color, depth, laced, rng.randint(5, 20), rng.randint(5, 12))
    files["one-laced.png"] = png(rng, 2, 8, 1, 1, 1)
    return files


def simple_png(w, h, depth, color, raw, kept=b""):
    head = struct.pack(">IIBBBBB", w, h, depth, color, 0, 0, 0)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + kept +
            chunk(b"IDAT", zlib.compress(raw, 9)) + chunk(b"IEND", b""))


def many_scans(data, n):
    """Another n scans that begin anew what is complete already, which no check
    of a progression notices."""
    start = data.index(SOS, data.index(SOS) + 2)           # the second: coefficients from 1 on
    start = data.rindex(b"\xff\xc4", 0, start)             # with its Huffman table
    end = min(i for i in (data.find(b"\xff\xc4", start + 4), data.find(SOS, data.index(SOS, start)
                                                                     + 2)) if i > 0)
    scan = bytearray(data[start:end])
    scan[scan.index(SOS) + 9] = 0                           # successive approximation: whole
    return data[:-2] + bytes(scan) * n + data[-2:]


def with_size(data, w, h):
    """Another size in the frame header."""
    at = max(data.find(b"\xff\xc0"), data.find(b"\xff\xc2"))
    return data[:at + 5] + struct.pack(">HH", h, w) + data[at + 9:]


def without_third(data):
    """Two components of three, in the frame header and the scan's."""
    at = data.index(b"\xff\xc0")
    data = data[:at + 2] + b"\0\x0e" + data[at + 4:at + 9] + b"\2" + data[at + 10:at + 16] + \
        data[at + 19:]
    at = data.index(SOS)
    return data[:at + 2] + b"\0\x0a\2" + data[at + 5:at + 9] + data[at + 11:]


def bad(files):
    grey, rgb, prog = files["grey.jpg"], files["rgb.jpg"], files["progressive.jpg"]
    data = simple_png(4, 4, 8, 0, bytes(20))
    return {
        "empty": b"",
        "short": b"\xff\xd8",
        "gif": b"GIF89a\x01\x00\x01\x00\x00\x00\x00;",
        "start-only.jpg": b"\xff\xd8\xff",
        "no-end.jpg": grey[:-2],
        "cut.jpg": rgb[:len(rgb) * 3 // 4],
        "cut-progressive.jpg": prog[:len(prog) * 3 // 4],
        "no-pixels.jpg": rgb[:rgb.index(SOS)] + b"\xff\xd9",
        "two-components.jpg": without_third(rgb),
        "many-scans.jpg": many_scans(files["progressive-grey.jpg"], 101),
        "empty-size.jpg": with_size(grey, 0, 9),
        "huge.jpg": with_size(grey, 65535, 65535),
        "large.jpg": with_size(grey, 65000, 65000),
        "liar.jpg": with_size(grey, 8000, 8000),
        "start-only.png": data[:8],
        "cut.png": data[:-20],
        "no-end.png": data[:-12],
        "sum.png": data[:-13] + bytes([data[-13] ^ 1]) + data[-12:],
        "too-few-rows.png": simple_png(4, 4, 8, 0, bytes(19)),
        "filter.png": simple_png(4, 4, 8, 0, b"\5" + bytes(19)),
        "index.png": simple_png(4, 4, 8, 3, bytes(18) + b"\2\0", chunk(b"PLTE", bytes(6))),
        "no-palette.png": simple_png(4, 4, 8, 3, bytes(20)),
        "depth.png": simple_png(4, 4, 4, 2, bytes(20)),
        "empty-size.png": simple_png(0, 4, 8, 0, bytes(20)),
        "huge.png": simple_png(65535, 65535, 8, 0, bytes(20)),
        "large.png": simple_png(1 << 14, 1 << 13, 1, 0, bytes(20)),
        "liar.png": simple_png(1 << 13, 1 << 13, 8, 2, bytes(20)),
        # not bad, but to be looked at: a profile of 4 MiB
        "profile.png": simple_png(4, 4, 8, 0, bytes(20), chunk(
            b"iCCP", b"p\0\0" + zlib.compress(bytes(1 << 22), 9))),
    }


def lines(files, rng):
    for name, data in files.items():
        for channels, mode in (1, "L"), (3, "RGB"):
            im = Image.open(io.BytesIO(data)).convert(mode)
            yield f"decode {channels}", name, im
    for name in "rgb.jpg", "type0-8.png", "type6-16.png":
        for filter in FILTERS:
            im = Image.open(io.BytesIO(files[name])).convert("RGB")
            for w, h in (1, 1), (im.width, 7), (7, im.height), (40, 31), (5, 3), im.size:
                yield f"resize 3 {filter} {h} {w}", name, im.resize((w, h), FILTERS[filter])
            for side, h, w in (16, 16, 16), (9, 8, 8), (30, 21, 30), (4, 3, 2):
                yield f"fit 3 {filter} {side} {h} {w}", name, fitted(im, side, h, w,
                                                                     FILTERS[filter])
            for top, left, h, w, to_h, to_w in (0, 0, 4, 5, 7, 3), (1, 2, 4, 3, 16, 16), \
                    (2, 1, 3, 3, 3, 3):
                part = im.crop((left, top, left + w, top + h))
                yield f"crop 3 {filter} {top} {left} {h} {w} {to_h} {to_w}", name, \
                    part.resize((to_w, to_h), FILTERS[filter])
    for name in "rgb.jpg", "type2-8-laced.png", "grey.jpg":
        channels, mode = (1, "L") if name == "grey.jpg" else (3, "RGB")
        im = Image.open(io.BytesIO(files[name])).convert(mode)
        for word, factors in ("brightness", (0, 0.3, 1, 1.7)), ("contrast", (0, 0.61, 1, 2.4)), \
                ("saturation", (0, 0.25, 1, 1.9)), ("hue", (-0.5, -0.07, 0, 0.2, 0.5)):
            for factor in factors:
                yield f"jitter {channels} {word} {factor}", name, adjusted(im, word, factor)


def main():
    rng = random.Random(20210501)
    files = good(rng)
    corpus = os.path.join(sys.argv[1], "corpus")
    os.makedirs(corpus, exist_ok=True)
    for name, data in {**files, **bad(files)}.items():
        with open(os.path.join(corpus, name), "wb") as f:
            f.write(data)
    with open(os.path.join(sys.argv[1], "pillow.tsv"), "w") as f:
        for order, name, im in lines(files, rng):
            f.write(f"{order}\t{name}\t{im.width}\t{im.height}\t{zlib.crc32(im.tobytes()):08x}\n")


if __name__ == "__main__":
    main()
