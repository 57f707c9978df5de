#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Golden vectors: the numerics, computed a second time.

    gen-golden.py FOLDER        writes FOLDER/*.txt

Written from words (docs/architecture.md, docs/method.md), not from the C code: numbers are
exact fractions, and every rounding that the specification has is one call of
f32() (to float) or f64() (to double), both half to even. tests/unit/test_golden.c
runs the same cases through the library and compares integers and float bits.

A file is a list of cases. A case is a line "case KIND", then lines "KEY
VALUE...", then "end". Floats are hexadecimal (C's %a), everything else decimal.
"""

import os
import random
import sys
from fractions import Fraction as F

# ---- rounding ----


def f64(x):
    """The double nearest to x, half to even (true of int / int in Python)."""
    return F(x.numerator / x.denominator)


def f32(x):
    """The float nearest to x, half to even, in one rounding; normal range."""
    if x == 0:
        return F(0)
    e = abs(x.numerator).bit_length() - x.denominator.bit_length()
    if abs(x) < F(2) ** e:
        e -= 1
    assert -126 <= e <= 126
    unit = F(2) ** (e - 23)
    return rint(x / unit) * unit


def rint(x):
    """The integer nearest to x, half to even."""
    return F(round(x))


def fma(a, b, c):
    return f32(a * b + c)


def f64_sqrt(x):
    """The double nearest to the square root of the double x >= 0."""
    if x == 0:
        return F(0)
    shift = 0
    while x * F(4) ** shift < F(2) ** 130:
        shift += 1
    scaled = x * F(4) ** shift
    n = scaled.numerator // scaled.denominator
    root = isqrt(n)
    exact = root * root == n and scaled.denominator == 1
    # at least 65 bits of root; a sticky half below them settles the rounding
    return f64((F(root) if exact else F(2 * root + 1, 2)) / F(2) ** shift)


def isqrt(n):
    r = 1 << ((n.bit_length() + 1) // 2)
    while True:
        s = (r + n // r) // 2
        if s >= r:
            return r
        r = s


def clamp(x, lo, hi):
    return max(lo, min(hi, x))


# ---- the numerics ----


def is_midrise(kind, w):
    if w == 1:
        return True
    if w == 8:
        return False
    return kind == "midrise" or (kind == "auto" and w <= 3)


def weight_code(kind, w, value, step):
    """k for a weight; value / step is one float division."""
    t = f32(value / step)
    if is_midrise(kind, w):
        j = clamp(t.numerator // t.denominator + 2 ** (w - 1), 0, 2 ** w - 1)
        return 2 * j - (2 ** w - 1)
    top = 2 ** (w - 1) - 1
    return clamp(int(rint(t)), -top, top)


def weight_unit(kind, w, step):
    return step / 2 if is_midrise(kind, w) else step


def weight_top(kind, w):
    return 2 ** w - 1 if is_midrise(kind, w) else 2 ** (w - 1) - 1


def act_of(bits, signed):
    """(q_max, zero point)"""
    if signed:
        bits = max(bits, 2)
    return 2 ** bits - 1, 2 ** (bits - 1) if signed else 0


def act_code(v, q_max):
    return int(clamp(rint(v), 0, q_max))


EPS = f64(F(1, 100000))


BIAS_MAX = 2 ** 30


def bias_parts(k_max, x_max, terms):
    """How many times larger codes can be made: quant.h."""
    in_pair = 32767 // (2 * k_max * x_max)
    most = (7 if k_max <= 7 else 127) // k_max
    if 1 <= in_pair < most:
        most = in_pair
    return min(most, (2 ** 31 - 1) // 2 // (terms * k_max * x_max))


def fold(c, unit, s_in, norm, parts, s_out, zp_out):
    """m, b of the epilogue: in double, operation by operation, then float."""
    m, b = [], []
    for j in range(c):
        scale = f64(unit[j % len(unit)] * s_in)
        shift = norm["beta"][j] if "beta" in norm else F(0)
        if "gamma" in norm:
            g = f64(norm["gamma"][j] / f64_sqrt(f64(norm["var"][j] + EPS)))
            scale = f64(scale * g)
            shift = f64(shift - f64(g * norm["mean"][j]))
        part = f64(scale / parts) if parts else F(0)
        if abs(shift) < f64(abs(part) * BIAS_MAX):
            shift = f64(part * rint(f64(shift / part)))
        m.append(f32(f64(scale / s_out)))
        b.append(f32(f64(f64(shift / s_out) + zp_out)))
    return m, b


def fold_residual(s_res, zp_res, s_out, zp_out):
    """r, zero of what a residual adds."""
    r = f64(s_res / s_out)
    return f32(r), f32(f64(zp_out - f64(r * zp_res)))


def fold_pool(s_in, count, s_out, zp_out):
    return f32(f64(s_in / f64(count * s_out))), F(zp_out)


def requant(in_zp, s_in, out, s_out):
    q_max, zp = out
    ratio = f32(s_in / s_out)
    return [act_code(fma(F(q - in_zp), ratio, F(zp)), q_max) for q in range(256)]


def out_size(size, kernel, stride, pad):
    return (size + 2 * pad - kernel) // stride + 1


def window(win, oy, ox):
    """(y, x, tap row, tap column) of the part of a window inside the image."""
    for ky in range(win["k"]):
        for kx in range(win["k"]):
            y = oy * win["s"] - win["p"] + ky
            x = ox * win["s"] - win["p"] + kx
            if 0 <= y < win["h"] and 0 <= x < win["w"]:
                yield y, x, ky, kx


def outputs(win):
    for oy in range(out_size(win["h"], win["k"], win["s"], win["p"])):
        for ox in range(out_size(win["w"], win["k"], win["s"], win["p"])):
            yield oy, ox


def conv_sums(win, x, zp, weights):
    """acc [oh][ow][out] of codes x [h][w][c]; weights [out][in of group][k][k]."""
    n_out = len(weights)
    n_in = win["c"] // win["g"]
    acc = []
    for oy, ox in outputs(win):
        for o in range(n_out):
            first = o // (n_out // win["g"]) * n_in
            total = 0
            for y, xx, ky, kx in window(win, oy, ox):
                for i in range(n_in):
                    q = x[(y * win["w"] + xx) * win["c"] + first + i]
                    total += (q - zp) * weights[o][i][ky][kx]
            acc.append(total)
    return acc


def epilogue(acc, m, b, res=None, r=None, zero=None):
    """What is added is added to 8 bits with a sign, of the sum's step."""
    v = []
    for i, a in enumerate(acc):
        c = i % len(m)
        v.append(fma(f32(F(a)), m[c], b[c]))
        if res:
            part = rint(clamp(v[i], -128, 127))
            v[i] = fma(F(res[i]), r, f32(part + zero))
    return v


def maxpool(win, x):
    return [max(x[(y * win["w"] + xx) * win["c"] + c] for y, xx, _, _ in window(win, oy, ox))
            for oy, ox in outputs(win) for c in range(win["c"])]


def avgpool_sums(win, x, zp):
    return [sum(x[(y * win["w"] + xx) * win["c"] + c] - zp for y, xx, _, _ in window(win, oy, ox))
            for oy, ox in outputs(win) for c in range(win["c"])]


# ---- text ----


def hexf(x):
    mantissa, exponent = float(x).hex().split("p")
    return mantissa.rstrip("0").rstrip(".") + "p" + exponent if "." in mantissa else "0x0p+0"


def ints(values):
    return " ".join(str(v) for v in values)


def floats(values):
    return " ".join(hexf(v) for v in values)


class Writer:
    def __init__(self, path):
        self.f = open(path, "w", encoding="ascii", newline="\n")
        self.f.write("# written by scripts/gen-golden.py; do not edit\n")

    def case(self, kind, pairs=(), **lines):
        self.f.write("case %s\n" % kind)
        for key, value in list(lines.items()) + list(pairs):
            if isinstance(value, (int, str)):
                text = str(value)
            elif isinstance(value, F):
                text = hexf(value)
            else:
                text = floats(value) if isinstance(value[0], F) else ints(value)
            self.f.write("%s %s\n" % (key, text))
        self.f.write("end\n")


def real(rng, lo, hi):
    return f32(F(rng.uniform(lo, hi)))


def dyadic(rng, lo, hi, bits=4):
    """A multiple of 2^-bits: sums and products of these meet rounding ties."""
    return F(rng.randint(lo << bits, hi << bits), 1 << bits)


# ---- cases ----


def gen_weights(out, rng):
    """Grids: random weights, and every cell's edges, ends and middles."""
    for kind in ("auto", "midrise", "symmetric"):
        for w in range(1, 9):
            step = real(rng, 0.02, 0.2)
            reach = 2 ** (w - 1) + 1
            values = [real(rng, -1, 1) * reach * step for _ in range(24)]
            values = [f32(v) for v in values]
            out.case("weights", grid=kind, bits=w, step=step, w=values,
                     unit=weight_unit(kind, w, step),
                     k=[weight_code(kind, w, v, step) for v in values])
            step = F(1, 4) # exact quotients: ties of rint, edges of floor
            edges = [i for i in range(-2 * reach, 2 * reach + 1) if abs(i) < 12 or i % 16 == 1 or
                     abs(i) > 2 * reach - 8]
            values = [F(i, 8) for i in edges]
            out.case("weights", grid=kind, bits=w, step=step, w=values,
                     unit=weight_unit(kind, w, step),
                     k=[weight_code(kind, w, v, step) for v in values])


def gen_fold(out, rng):
    """Batch norm with gamma zero and negative, bias alone, nothing; residuals."""
    c = 6
    for i in range(24):
        unit = [real(rng, 0.001, 0.1) for _ in range(c if i % 2 else 1)]
        norm = {}
        if i % 3 != 2:
            norm = {"gamma": [real(rng, -2, 2) for _ in range(c)],
                    "beta": [real(rng, -2, 2) for _ in range(c)],
                    "mean": [real(rng, -3, 3) for _ in range(c)],
                    "var": [real(rng, 0.0001, 4) for _ in range(c)]}
            norm["gamma"][1] = F(0)
            norm["var"][2] = F(0)
        elif i % 2:
            norm = {"beta": [real(rng, -2, 2) for _ in range(c)]}
        has_res = i % 4 >= 2
        a = dict(s_in=real(rng, 0.001, 0.2), s_out=real(rng, 0.001, 0.2) if i % 5 else F(1),
                 zp_out=rng.choice((0, 0, 2, 128)) if i % 5 else 0,
                 s_res=real(rng, 0.001, 0.2) if has_res else F(0),
                 zp_res=rng.choice((0, 128)) if has_res else 0,
                 parts=(0, 1, 18, 42, 127)[i % 5])
        m, b = fold(c, unit, a["s_in"], norm, a["parts"], a["s_out"],
                    0 if has_res else a["zp_out"])
        r, zero = fold_residual(a["s_res"], a["zp_res"], a["s_out"], a["zp_out"])
        out.case("fold", unit=unit, **a, **norm, m=m, b=b, r=r, zero=zero)
    for count in (1, 4, 9, 49, 64):
        a = dict(s_in=real(rng, 0.001, 0.2), count=count, s_out=real(rng, 0.001, 0.2),
                 zp_out=rng.choice((0, 128)))
        m, b = fold_pool(**a)
        out.case("foldpool", **a, m=m, b=b)


def gen_requant(out, rng):
    for bits in range(1, 9):
        for signed in (0, 1):
            in_q, in_zp = act_of(8, signed)
            act = act_of(bits, signed)
            for exact in (0, 1): # a ratio that is a power of two meets every tie
                s_in = F(1, 64) if exact else real(rng, 0.01, 0.02)
                factor = F(2 ** (9 - bits)) if exact else real(rng, 1.5, 300 / 2 ** bits)
                s_out = f32(s_in * factor)
                out.case("requant", signed=signed, bits=bits, s_in=s_in, s_out=s_out,
                         table=requant(in_zp, s_in, act, s_out))
    # tables that show whether (q - zp) * ratio is rounded before zp is added
    act = act_of(8, True)
    for a, b in (("0x1.98b67p-7", "0x1.ae82cp-6"), ("0x1.601bep-7", "0x1.baf9c2p-6")):
        s_in, s_out = F(float.fromhex(a)), F(float.fromhex(b))
        table, ratio = requant(128, s_in, act, s_out), f32(s_in / s_out)
        assert table != [act_code(f32(f32((q - 128) * ratio) + 128), 255) for q in range(256)]
        out.case("requant", signed=1, bits=8, s_in=s_in, s_out=s_out, table=table)


SHAPES = [ # h w c out kernel stride pad groups
    (4, 5, 3, 4, 3, 1, 1, 1), (5, 4, 2, 4, 3, 2, 1, 2), (3, 3, 4, 4, 1, 1, 0, 1),
    (6, 6, 4, 4, 2, 2, 0, 4), (5, 5, 1, 3, 5, 1, 2, 1), (4, 4, 6, 4, 3, 2, 0, 2),
]


def conv_case(out, rng, i, kind, w, a, ties):
    h, wd, c, n_out, k, s, p, g = SHAPES[i % len(SHAPES)]
    linear = i % 7 == 6
    if linear: # a window over the whole image
        h, wd, c, n_out, k, s, p, g = 3, 3, 5, 4, 3, 1, 0, 1
    win = dict(h=h, w=wd, c=c, k=k, s=s, p=p, g=g)
    signed_in = i % 4 == 3
    in_q, in_zp = act_of(a, signed_in)
    relu = i % 3 != 1
    real_out = i % 11 == 10
    out_q, out_zp = (0, 0) if real_out else act_of(rng.choice((a, 8)), not relu)
    x = [rng.randint(0, in_q) for _ in range(h * wd * c)]
    step = F(1, 8) if ties else real(rng, 0.02, 0.1)
    reach = float(step) * 2 ** (w - 1) * 1.1
    master = [[[[real(rng, -reach, reach) for _ in range(k)] for _ in range(k)]
               for _ in range(c // g)] for _ in range(n_out)]
    codes = [[[[weight_code(kind, w, t, step) for t in row] for row in plane] for plane in o]
             for o in master]
    unit = [weight_unit(kind, w, step)]
    n = c // g * k * k
    spread = float(unit[0]) * weight_top(kind, w) * max(in_q - in_zp, in_zp) * n ** 0.5 / 3
    norm = {"beta": [dyadic(rng, -2, 2) for _ in range(n_out)]}
    if i % 2:
        norm = {"gamma": [real(rng, -2, 2) for _ in range(n_out)],
                "beta": [real(rng, -1, 1) for _ in range(n_out)],
                "mean": [real(rng, -1, 1) for _ in range(n_out)],
                "var": [real(rng, 0.01, 2) for _ in range(n_out)]}
        norm["gamma"][0] = F(0)
        norm["gamma"][1] = -abs(norm["gamma"][1])
    s_in = F(1, 4) if ties else real(rng, 0.01, 0.1)
    s_out = F(1) if real_out else (F(2) ** rng.randint(0, 3) if ties else
                                   f32(F(spread * float(s_in) / (out_q / 2.0)) + F(1, 1000)))
    has_res = i % 5 == 2 and not real_out
    res_signed = i % 2
    _, res_zp = act_of(8, res_signed)
    m = len(list(outputs(win))) * n_out
    res = [rng.randint(0, 255) for _ in range(m)] if has_res else None
    s_res = (F(1, 2) if ties else f32(s_out * real(rng, 0.1, 1))) if has_res else F(0)
    zp_res = res_zp if has_res else 0
    em, eb = fold(n_out, unit, s_in, norm, 0, s_out, 0 if has_res else out_zp)
    er, ez = fold_residual(s_res, zp_res, s_out, out_zp)
    v = epilogue(conv_sums(win, x, in_zp, codes), em, eb, res, er, ez)
    lines = dict(grid=kind, wbits=w, abits=a, signed=int(signed_in), h=h, w=wd, c=c, out=n_out,
                 kernel=k, stride=s, pad=p, groups=g, step=step, s_in=s_in, s_out=s_out,
                 q_max=out_q, zp_out=out_zp, s_res=s_res, zp_res=zp_res, parts=0, **norm,
                 weight=[t for o in master for pl in o for row in pl for t in row], x=x)
    if has_res:
        lines["res"] = res
    if real_out:
        lines["logits"] = v
    else:
        lines["q"] = [act_code(t, out_q) for t in v]
    out.case("conv", **lines)


def gen_conv(out, rng):
    """Every width of weights and of activations, both grids, all shapes."""
    i = 0
    for w in range(1, 9):
        for a in range(1, 9):
            conv_case(out, rng, i, "auto", w, a, i % 3 == 0)
            i += 1
    for kind in ("midrise", "symmetric"):
        for w in range(1, 9):
            conv_case(out, rng, i, kind, w, 1 + i % 8, i % 2)
            i += 1


def gen_pool(out, rng):
    shapes = [(4, 5, 3, 2, 2, 0), (5, 5, 2, 3, 2, 1), (4, 4, 3, 4, 1, 0), (5, 3, 1, 3, 1, 1),
              (7, 7, 2, 7, 1, 0)]
    for i, (h, w, c, k, s, p) in enumerate(shapes):
        win = dict(h=h, w=w, c=c, k=k, s=s, p=p)
        for bits in range(1, 9):
            signed = (i + bits) % 2
            in_q, in_zp = act_of(bits, signed)
            x = [rng.randint(0, in_q) for _ in range(h * w * c)]
            shape = dict(h=h, w=w, c=c, kernel=k, stride=s, pad=p)
            out.case("maxpool", **shape, x=x, q=maxpool(win, x))
            act = act_of(rng.randint(1, 8), signed)
            tie = bits % 2
            s_in = F(1, 4) if tie else real(rng, 0.01, 0.1)
            s_out = F(1, 8) if tie else f32(s_in * real(rng, 0.2, 2))
            m, b = fold_pool(s_in, k * k, s_out, act[1])
            v = [fma(f32(F(t)), m, b) for t in avgpool_sums(win, x, in_zp)]
            out.case("avgpool", **shape, zp_in=in_zp, s_in=s_in, s_out=s_out, q_max=act[0],
                     zp_out=act[1], x=x, q=[act_code(t, act[0]) for t in v])


class Net:
    """A small residual network at one precision, the stream at 8 bits:

    conv1 bn1 relu1 [a abn arelu b bbn add brelu] pool c(groups 2) crelu avg flatten fc
    """

    def __init__(self, rng, w, a):
        self.rng, self.w, self.a = rng, w, a
        self.lines = []

    def param(self, name, values):
        self.lines.append(("param", name + " " + floats(values)))
        return values

    def site(self, name, step):
        return self.param(name + ".step", [step])[0]

    def layer(self, name, bn, bits, x, win, n_out, s_in, zp_in, s_out, act, res=None, s_res=F(0)):
        """One fused unit: codes out, or reals if act is None."""
        rng, k, n_in = self.rng, win["k"], win["c"] // win["g"]
        n = n_in * k * k
        step = self.param(name + ".step", [f32(real(rng, 1.6, 2.4) * F(2) ** -bits)])[0]
        master = [[[[real(rng, -1, 1) for _ in range(k)] for _ in range(k)]
                   for _ in range(n_in)] for _ in range(n_out)]
        self.param(name + ".weight", [t for o in master for pl in o for row in pl for t in row])
        codes = [[[[weight_code("auto", bits, t, step) for t in row] for row in pl] for pl in o]
                 for o in master]
        if bn:
            norm = {"gamma": [real(rng, 0.4, 1.6) for _ in range(n_out)],
                    "beta": [real(rng, -0.5, 1) for _ in range(n_out)],
                    "mean": [real(rng, -0.5, 0.5) for _ in range(n_out)],
                    "var": [real(rng, 0.2, 0.1 * n + 1) for _ in range(n_out)]}
            norm["gamma"][-1] = -norm["gamma"][-1]
            for key, suffix in (("gamma", "weight"), ("beta", "bias"), ("mean", "running_mean"),
                                ("var", "running_var")):
                self.param(bn + "." + suffix, norm[key])
        else:
            norm = {"beta": self.param(name + ".bias", [real(rng, -1, 1) for _ in range(n_out)])}
        zp_out = act[1] if act else 0
        unit = [weight_unit("auto", bits, step)]
        x_max = 255 if name in ("conv1", "fc") else act_of(self.a, False)[0]
        parts = bias_parts(weight_top("auto", bits), x_max, n)
        m, b = fold(n_out, unit, s_in, norm, parts, s_out, 0 if res else zp_out)
        r, zero = fold_residual(s_res, 0, s_out, zp_out)
        v = epilogue(conv_sums(win, x, zp_in, codes), m, b, res, r, zero)
        return [act_code(t, act[0]) for t in v] if act else v

    def codes(self, unit, q):
        self.lines.append(("codes", unit + " " + ints(q)))
        return q

    def run(self, out):
        rng, a = self.rng, act_of(self.a, False)
        stream = act_of(8, False)
        small = F(1, 2 ** self.a) * 3
        x = [rng.randint(0, 255) for _ in range(6 * 6 * 2)]
        s_x = f32(F(1, 60))

        win = dict(h=6, w=6, c=2, k=3, s=1, p=1, g=1)
        s1 = self.site("relu1.out", real(rng, 0.01, 0.02))
        t1 = self.codes("relu1", self.layer("conv1", "bn1", 8, x, win, 4, s_x, 128, s1, stream))
        win = dict(win, c=4)
        sa = self.site("a.in", f32(real(rng, 0.8, 1.2) * small))
        table = requant(0, s1, a, sa)
        ta = self.codes("a.in", [table[q] for q in t1])
        sb = self.site("b.in", f32(real(rng, 0.6, 1) * small))
        tb = self.codes("arelu", self.layer("a", "abn", self.w, ta, win, 4, sa, 0, sb, a))
        s2 = self.site("brelu.out", real(rng, 0.01, 0.03))
        t2 = self.codes("brelu", self.layer("b", "bbn", self.w, tb, win, 4, sb, 0, s2, stream, t1,
                                            s1))
        sc = self.site("c.in", f32(real(rng, 0.8, 1.2) * small))
        table = requant(0, s2, a, sc)
        tc = self.codes("pool.in", [table[q] for q in t2])
        tp = self.codes("pool", maxpool(dict(win, k=2, s=2, p=0), tc))
        win = dict(h=3, w=3, c=4, k=3, s=1, p=1, g=2)
        so = self.site("crelu.out", real(rng, 0.01, 0.02))
        to = self.codes("crelu", self.layer("c", None, self.w, tp, win, 6, sc, 0, so, stream))
        sf = self.site("fc.in", real(rng, 0.006, 0.015))
        m, b = fold_pool(so, 4, sf, 0)
        win = dict(h=3, w=3, c=6, k=2, s=1, p=0)
        tf = self.codes("avg", [act_code(fma(f32(F(t)), m, b), 255)
                                for t in avgpool_sums(win, to, 0)])
        win = dict(h=2, w=2, c=6, k=2, s=1, p=0, g=1)
        logits = self.layer("fc", None, 8, tf, win, 3, sf, 0, F(1), None)
        out.case("net", self.lines, w=self.w, a=self.a, s_x=s_x, x=x, logits=logits)


def gen_net(out, rng):
    for w in range(1, 9):
        Net(rng, w, w).run(out)
        Net(rng, w, 9 - w).run(out)


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: gen-golden.py FOLDER")
    for name, generate in (("weights", gen_weights), ("fold", gen_fold), ("requant", gen_requant),
                           ("conv", gen_conv), ("pool", gen_pool),
                           ("net", gen_net)):
        out = Writer(os.path.join(sys.argv[1], name + ".txt"))
        generate(out, Repeatable(name))
        out.f.close()


class Repeatable:
    """Only random() is promised to repeat in every version of Python."""

    def __init__(self, name):
        self.rng = random.Random(sum(ord(c) << 8 * (i % 4) for i, c in enumerate(name)))

    def randint(self, lo, hi):
        return lo + int(self.rng.random() * (hi - lo + 1))

    def uniform(self, lo, hi):
        return lo + (hi - lo) * self.rng.random()

    def choice(self, items):
        return items[self.randint(0, len(items) - 1)]


if __name__ == "__main__":
    main()
