#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""check-transform.py PROGRAM [SEED]: what PROGRAM (tests/image/main.c) makes of
pictures on their way to the network, by random configurations, against the same
draws carried out by Pillow: every byte must agree. Where torchvision is
installed, what is written down here of its transforms is compared with it."""
import contextlib
import math
import random
import sys
import tempfile

from PIL import Image

from pictures import FILTERS, Asker, adjusted, fitted, jpeg, smooth

AUGMENT, CROP, JITTER, ERASE, MIX = 3, 16, 17, 18, 19  # enum omq_stream
COLORS = ["brightness", "contrast", "saturation", "hue"]


class Rng:
    """lib/base/rng.h: Philox4x32-10."""

    def __init__(self, seed, stream, a, b):
        self.key = [seed & 0xffffffff, seed >> 32]
        self.ctr = [0, stream, a, b]
        self.left = []

    def u32(self):
        if not self.left:
            c, (k0, k1) = list(self.ctr), self.key
            for _ in range(10):
                p0, p1 = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
                c = [p1 >> 32 ^ c[1] ^ k0, p1 & 0xffffffff, p0 >> 32 ^ c[3] ^ k1, p0 & 0xffffffff]
                k0, k1 = (k0 + 0x9E3779B9) & 0xffffffff, (k1 + 0xBB67AE85) & 0xffffffff
            self.ctr[0] += 1
            self.left = c
        return self.left.pop()

    def below(self, n):
        while True:
            m = self.u32() * n
            if m & 0xffffffff >= (1 << 32) % n:
                return m >> 32

    def uniform(self, lo=0.0, hi=1.0):
        high = self.u32()
        return lo + ((high << 32 | self.u32()) >> 11) * 2.0 ** -53 * (hi - lo)

    def normal(self):
        u = 1.0 - self.uniform()
        return math.sqrt(-2.0 * math.log(u)) * math.cos(6.283185307179586 * self.uniform())


def sides(rng, h, w, scale, ratio):
    area = w * h * rng.uniform(*scale)
    shape = math.exp(rng.uniform(math.log(ratio[0]), math.log(ratio[1])))
    return int(round(math.sqrt(area * shape))), int(round(math.sqrt(area / shape)))


def crop_box(rng, h, w, scale, ratio):
    """RandomResizedCrop.get_params(): top, left, height, width."""
    for _ in range(10):
        cw, ch = sides(rng, h, w, scale, ratio)
        if 0 < cw <= w and 0 < ch <= h:
            return rng.below(h - ch + 1), rng.below(w - cw + 1), ch, cw
    cw, ch = w, h
    if w / h < ratio[0]:
        ch = max(1, int(round(w / ratio[0])))  # where torchvision would have no pixel
    elif w / h > ratio[1]:
        cw = max(1, int(round(h * ratio[1])))
    return (h - ch) // 2, (w - cw) // 2, ch, cw


def erase_box(rng, h, w, scale, ratio):
    """RandomErasing.get_params(), None for nothing."""
    for _ in range(10):
        eh, ew = sides(rng, h, w, scale, ratio)
        if eh < h and ew < w:
            return rng.below(h - eh + 1), rng.below(w - ew + 1), eh, ew
    return None


def gamma_log(rng, alpha):
    boost = math.log(1 - rng.uniform()) / alpha if alpha < 1 else 0
    d = (alpha + 1 if alpha < 1 else alpha) - 1 / 3
    while True:
        x = rng.normal()
        u = 1 - rng.uniform()
        v = 1 + x / math.sqrt(9 * d)
        if v > 0 and math.log(u) < 0.5 * x * x + d - d * v ** 3 + d * math.log(v ** 3):
            return math.log(d * v ** 3) + boost


def beta(rng, alpha):
    a, b = gamma_log(rng, alpha), gamma_log(rng, alpha)
    return 1 / (1 + math.exp(b - a)) if b - a < 700 else 0.0


# ---- configurations ----


def configuration(rng, folder, name):
    """A random data.augment and the file that says so."""
    span = lambda lo, hi: sorted([rng.uniform(lo, hi), rng.uniform(lo, hi)])
    a = {"crop_padding": rng.choice([0, 0, 1, 4]), "hflip": rng.choice([0, 0.5, 1]),
         "vflip": rng.choice([0, 0, 0.5]), "crop": None,
         "jitter": [rng.choice([0, rng.uniform(0, 1.5)]) for _ in range(3)] +
                   [rng.choice([0, 0.5, rng.uniform(0, 0.5)])],
         "erase": (rng.choice([0, 0.5, 1]), span(0, 1), span(0.1, 4)),
         "mixup": rng.choice([0, 0.2, 1, 8]), "cutmix": rng.choice([0, 0.1, 1])}
    if rng.random() < 0.6:
        a["crop_padding"] = 0
        a["crop"] = rng.choice([((0.08, 1), (3 / 4, 4 / 3)), (span(0.001, 1), span(0.2, 5))])
    path = f"{folder}/{name}.yaml"
    with open(path, "w") as f:
        f.write("output_dir: none\nmodel: {arch: lenet5}\n"
                "data:\n  format: synthetic\n  mean: [0.5]\n  std: [0.5]\n  augment:\n")
        for key in "crop_padding", "hflip", "vflip", "mixup", "cutmix":
            f.write(f"    {key}: {a[key]:.17g}\n")
        if a["crop"]:
            f.write("    random_resized_crop: {scale: [%.17g, %.17g], ratio: [%.17g, %.17g]}\n" %
                    (*a["crop"][0], *a["crop"][1]))
        f.write("    color_jitter: {%s}\n" %
                ", ".join(f"{c}: {x:.17g}" for c, x in zip(COLORS, a["jitter"])))
        f.write("    random_erasing: {probability: %.17g, scale: [%.17g, %.17g], "
                "ratio: [%.17g, %.17g]}\n" % (a["erase"][0], *a["erase"][1], *a["erase"][2]))
    return a, path


def test_view(im, side, h, w, filter):
    return fitted(im, side or max(h, w), h, w, FILTERS[filter])


def train_view(im, a, draw, side, h, w, filter):
    rng = Rng(draw[0], AUGMENT, *draw[1:])
    pad = a["crop_padding"]
    down, right = rng.below(2 * pad + 1) - pad, rng.below(2 * pad + 1) - pad
    flips = rng.uniform() < a["hflip"], rng.uniform() < a["vflip"]
    if a["crop"]:
        top, left, ch, cw = crop_box(Rng(draw[0], CROP, *draw[1:]), im.height, im.width,
                                     *a["crop"])
        im = im.crop((left, top, left + cw, top + ch)).resize((w, h), FILTERS[filter])
    else:
        im = test_view(im, side, h, w, filter)
        im = im.crop((right, down, right + w, down + h))
    if flips[0]:
        im = im.transpose(Image.FLIP_LEFT_RIGHT)
    if flips[1]:
        im = im.transpose(Image.FLIP_TOP_BOTTOM)
    if any(a["jitter"]):
        im = colored(im, a["jitter"], Rng(draw[0], JITTER, *draw[1:]))
    return im


def colored(im, reach, rng):
    order = [0, 1, 2, 3]
    for i in 3, 2, 1:
        k = rng.below(i + 1)
        order[i], order[k] = order[k], order[i]
    factors = [rng.uniform(max(0, 1 - x), 1 + x) for x in reach[:3]]
    factors.append(rng.uniform(-reach[3], reach[3]))
    for i in order:
        if reach[i]:
            im = adjusted(im, COLORS[i], factors[i])
    return im


def erased(im, a, draw):
    rng = Rng(draw[0], ERASE, *draw[1:])
    p, scale, ratio = a["erase"]
    im = im.copy()
    if p > 0 and rng.uniform() < p:
        box = erase_box(rng, im.height, im.width, scale, ratio)
        if box:
            top, left, h, w = box
            im.paste(128 if im.mode == "L" else (128,) * 3, (left, top, left + w, top + h))
    return im


def mixed(im, n, a, draw):
    rng = Rng(draw[0], MIX, *draw[1:])
    h, w = im.height // n, im.width
    images = [im.crop((0, i * h, w, i * h + h)) for i in range(n)]
    out = im.copy()
    if not a["mixup"] and not a["cutmix"]:
        return out
    first = rng.uniform() < 0.5
    if a["cutmix"] and (first or not a["mixup"]):
        side = math.sqrt(1 - beta(rng, a["cutmix"]))
        span = []
        for size in h, w:
            at, half = rng.below(size), int(size * side) // 2
            span.append((max(at - half, 0), min(at + half, size)))
        (top, bottom), (left, right) = span
        for i in range(n):
            if bottom > top and right > left:
                out.paste(images[n - 1 - i].crop((left, top, right, bottom)), (left, i * h + top))
    else:
        own = round(beta(rng, a["mixup"]) * 65536)
        for i in range(n):
            data = bytes((x * own + y * (65536 - own) + 32768) >> 16 for x, y in
                         zip(images[i].tobytes(), images[n - 1 - i].tobytes()))
            out.paste(Image.frombytes(im.mode, (w, h), data), (0, i * h))
    return out


def one(ask, rng, folder, number):
    a, config = configuration(rng, folder, f"c{number % 50}")
    mode = rng.choice(["L", "RGB", "RGB"])
    channels = 1 if mode == "L" else 3
    top = rng.choice([12, 90, 400])
    w, h = rng.randint(1, top), rng.randint(1, top)
    data = jpeg(rng, "RGB", w, h)
    im = ask.picture(data).convert(mode)
    draw = rng.getrandbits(64), rng.randrange(300), rng.randrange(1 << 20)
    to_h, to_w = rng.choice([(rng.randint(5, 64), rng.randint(5, 64)), (h, w), (32, 32)])
    if min(to_h, to_w) < 5:
        to_h, to_w = to_h + 5, to_w + 5
    side = rng.choice([0, max(to_h, to_w) + rng.randint(0, 9)])
    name = rng.choice(list(FILTERS))
    words = " ".join(map(str, draw))
    for what, want in ("test", test_view(im, side, to_h, to_w, name)), \
            ("train", train_view(im, a, draw, side, to_h, to_w, name)):
        ask.compare(f"transform {config} {what} {side} {name} {words} {to_h} {to_w} {channels}",
                    data, want, f"{mode} of {w} x {h}, {a}")
    ask.compare(f"erase {config} {words} {channels}", data, erased(im, a, draw), f"{a}")
    n = rng.randint(1, 5)
    stack = smooth(rng, "RGB", rng.randint(1, 20), n * rng.randint(1, 20))
    data = ask.png(stack)
    ask.compare(f"mix {config} {words} {n} {channels}", data,
                mixed(stack.convert(mode), n, a, draw), f"{a}")


# ---- torchvision ----


@contextlib.contextmanager
def drawing_from(torch, rng):
    """torch's random numbers in get_params() come from rng, in double."""
    class Empty:
        def uniform_(self, lo, hi):
            return tensor([rng.uniform(float(lo), float(hi))], dtype=torch.float64)

    old = torch.empty, torch.randint, torch.tensor
    tensor = torch.tensor
    torch.empty = lambda *_, **__: Empty()
    torch.randint = lambda lo, hi, size: tensor([lo + rng.below(hi - lo)])
    torch.tensor = lambda x, **_: tensor(x, dtype=torch.float64)
    try:
        yield
    finally:
        torch.empty, torch.randint, torch.tensor = old


def against_torchvision(rng):
    """How many of the rules above are not torchvision's."""
    try:
        import torch
        import torchvision.transforms as T
        import torchvision.transforms.functional as F
    except ImportError:
        print("torchvision is not installed: its transforms are as written here")
        return 0
    modes = {"bilinear": T.InterpolationMode.BILINEAR, "bicubic": T.InterpolationMode.BICUBIC}
    bad = 0
    for i in range(300):
        top = rng.choice([9, 60, 300])
        w, h = rng.randint(2, top), rng.randint(2, top)
        im = smooth(rng, rng.choice(["L", "RGB"]), w, h)
        name, ch, cw = rng.choice(list(FILTERS)), rng.randint(1, 40), rng.randint(1, 40)
        side = max(ch, cw) + rng.randint(0, 20)
        want = T.Compose([T.Resize(side, modes[name]), T.CenterCrop((ch, cw))])(im)
        bad += im.size != (cw, ch) and test_view(im, side, ch, cw, name).tobytes() != want.tobytes()
        for color, factor in zip(COLORS, [rng.uniform(0, 2), rng.uniform(0, 2), rng.uniform(0, 2),
                                          rng.uniform(-0.5, 0.5)]):
            want = getattr(F, f"adjust_{color}")(im, factor)
            bad += adjusted(im, color, factor).tobytes() != want.tobytes()
        scale, ratio = rng.choice([((0.08, 1), (3 / 4, 4 / 3)), ((0.9, 1), (0.2, 0.4))])
        draw = rng.getrandbits(64), CROP, i, i
        with drawing_from(torch, Rng(*draw)):
            want = T.RandomResizedCrop.get_params(im, scale, ratio)
        bad += crop_box(Rng(*draw), h, w, scale, ratio) != want
        with drawing_from(torch, Rng(*draw)):
            want = T.RandomErasing.get_params(F.pil_to_tensor(im), scale, (0.3, 3.3), [0])[:4]
        bad += (erase_box(Rng(*draw), h, w, scale, (0.3, 3.3)) or (0, 0, h, w)) != want
    print(f"torchvision {__import__('torchvision').__version__}: {bad} differences")
    return bad


def main():
    rng = random.Random(int(sys.argv[2]) if len(sys.argv) > 2 else 1)
    with tempfile.TemporaryDirectory() as folder:
        ask = Asker(sys.argv[1], folder)
        for i in range(400):
            one(ask, rng, folder, i)
        for word, factors in ("hue", (-0.31, 0.5)), ("saturation", (0.4, 1.7)):
            for factor in factors:
                every_color(ask, rng, word, factor)
        bad = ask.close()
    return against_torchvision(rng) + bad > 0


def every_color(ask, rng, word, factor):
    """128 levels of each channel, drawn at random, with all of the others."""
    levels = [bytes(rng.sample(range(256), 128)) for _ in range(3)]
    band = [Image.frombytes("L", (1448, 1448), (pattern * (1448 * 1448 // len(pattern) + 1))
                            [:1448 * 1448]) for pattern in
            (levels[0], b"".join(bytes([v]) * 128 for v in levels[1]),
             b"".join(bytes([v]) * 16384 for v in levels[2]))]
    im = Image.merge("RGB", band)
    ask.compare(f"jitter 3 {word} {factor}", ask.png(im), adjusted(im, word, factor),
                "128 levels a channel")


if __name__ == "__main__":
    sys.exit(main())
