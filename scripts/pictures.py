# SPDX-License-Identifier: MIT
"""Pictures of every kind that the tests of images want, and Pillow's view of them."""
import io
import os
import struct
import subprocess
import zlib

from PIL import Image, ImageEnhance

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
    """torchvision's Resize(side) and CenterCrop((h, w)), but a picture of that size
    stays as it is where nothing is to be cut off."""
    if im.size == (w, h) and side == max(h, w):
        return im
    short, long = sorted(im.size)
    long = int(side * long / short)
    im = im.resize((side, long) if im.width <= im.height else (long, side), filter)
    top, left = int(round((im.height - h) / 2.0)), int(round((im.width - w) / 2.0))
    return im.crop((left, top, left + w, top + h))


def adjusted(im, word, factor):
    """torchvision's adjust_brightness() and so on, of a Pillow image."""
    if word != "hue":
        kind = {"brightness": "Brightness", "contrast": "Contrast", "saturation": "Color"}[word]
        return getattr(ImageEnhance, kind)(im).enhance(factor)
    if im.mode == "L":
        return im
    h, s, v = im.convert("HSV").split()
    shift = int(factor * 255)
    h = h.point([(i + shift) % 256 for i in range(256)])
    return Image.merge("HSV", (h, s, v)).convert("RGB")


class Asker:
    """tests/image/main.c at work, and what was found of its answers."""

    def __init__(self, path, folder):
        self.folder, self.passed, self.failed = folder, 0, 0
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

    def compare(self, order, data, want, what):
        size, got = self.ask(order, data)
        if size == want.size and got == want.tobytes():
            self.passed += 1
            return
        self.failed += 1
        print(f"{what}: {order}: {size}, Pillow has {want.size}")
        for i, (a, b) in enumerate(zip(got, want.tobytes())):
            if a != b:
                print(f"    first difference at byte {i}: {a}, Pillow has {b}")
                break

    @staticmethod
    def picture(data):
        return Image.open(io.BytesIO(data))

    @staticmethod
    def png(im):
        out = io.BytesIO()
        im.save(out, "PNG", compress_level=1)
        return out.getvalue()

    def close(self):
        """How many answers were wrong."""
        self.run.stdin.close()
        if self.run.wait() != 0:
            print("the program failed")
            self.failed += 1
        print(f"{self.passed} passed, {self.failed} failed")
        return self.failed
