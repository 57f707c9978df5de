# SPDX-License-Identifier: MIT
"""Pictures of every kind that the tests of images want, and Pillow's view of them."""
import io
import struct
import zlib

from PIL import Image

FILTERS = {"bilinear": Image.BILINEAR, "bicubic": Image.BICUBIC}


def smooth(rng, mode, w, h):
    """Noise, scaled up: edges and gradients of every size."""
    size = (max(1, w // rng.randint(1, 9)), max(1, h // rng.randint(1, 9)))
    bands = len(Image.new(mode, (1, 1)).getbands())
    small = Image.frombytes(mode, size, rng.randbytes(size[0] * size[1] * bands))
    return small.resize((w, h), Image.BICUBIC)


def jpeg(rng, mode, w, h, **settings):
    """Settings that are not given are random."""
    out = io.BytesIO()
    chosen = dict(quality=rng.randint(5, 100), subsampling=rng.randint(0, 2),
                  progressive=rng.random() < 0.5, optimize=rng.random() < 0.5)
    chosen.update(settings)
    smooth(rng, mode, w, h).save(out, "JPEG", **chosen)
    return out.getvalue()


def adobe(data, transform):
    """The same scans under an Adobe marker that gives the components another
    meaning: 0 is RGB or CMYK, 1 YCbCr, 2 YCCK."""
    at = data.find(b"Adobe")
    if at >= 0:
        return data[:at + 11] + bytes([transform]) + data[at + 12:]
    skip = 2 + 2 + struct.unpack(">H", data[4:6])[0]  # start of image, JFIF
    marker = b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00" + bytes([transform])
    return data[:2] + marker + data[skip:]


SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
PASSES = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2),
          (0, 1, 1, 2)]


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(rng, color, depth, laced, w, h):
    """Random samples under random filters: any bytes are pixels."""
    bits = SAMPLES[color] * depth
    raw = b""
    for x0, y0, dx, dy in PASSES if laced else [(0, 0, 1, 1)]:
        columns = len(range(x0, w, dx))
        for _ in range(y0, h, dy) if columns else []:
            raw += bytes([0 if color == 3 else rng.randint(0, 4)])
            raw += rng.randbytes((columns * bits + 7) // 8)
    kept = b""
    if color == 3:
        kept += chunk(b"PLTE", rng.randbytes(3 << depth))
    if color in (0, 2, 3) and rng.random() < 0.5:
        kept += chunk(b"tRNS", rng.randbytes({0: 2, 2: 6, 3: 1 << depth}[color]))
    if rng.random() < 0.3:
        kept = chunk(b"gAMA", struct.pack(">I", 100000)) + kept
    head = struct.pack(">IIBBBBB", w, h, depth, color, 0, 0, laced)
    packed = zlib.compress(raw)
    cut = rng.randint(1, len(packed))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + kept + chunk(b"IDAT", packed[:cut]) +
            chunk(b"IDAT", packed[cut:]) + chunk(b"IEND", b""))


def fitted(im, side, h, w, filter):
    """torchvision's Resize(side) and CenterCrop((h, w))."""
    if im.size == (w, h):
        return im
    short, long = sorted(im.size)
    long = int(side * long / short)
    im = im.resize((side, long) if im.width <= im.height else (long, side), filter)
    top, left = int(round((im.height - h) / 2.0)), int(round((im.width - w) / 2.0))
    return im.crop((left, top, left + w, top + h))
