#!/usr/bin/python3
# SPDX-License-Identifier: MIT
# check-ncnn.py FILE.param FILE.bin <PIXELS >ANSWERS: what ncnn computes with the
# layers that omq-export writes, for images [height][width][channels] of bytes. Prints
# class and probability of each. Every blob has one reader, every byte a layer.
import math, sys
import numpy as np

lines = open(sys.argv[1]).read().splitlines()
data, at = open(sys.argv[2], "rb").read(), 0
assert lines[0] == "7767517"
n_layers, n_blobs = map(int, lines[1].split())
blobs, made = {}, 0


def number(text):
    assert len(text) < 16
    return float(text) if set(text) & set(".e") else int(text)


def floats(n):
    global at
    at += 4 * n
    return np.frombuffer(data, "<f4", n, at - 4 * n)


def weights(n):
    global at
    tag = int.from_bytes(data[at:at + 4], "little")
    at += 4
    if tag == 0:
        return floats(n)
    assert tag == 0x000D4B38
    at += n + -n % 4
    return np.frombuffer(data, "i1", n, at - n - -n % 4).astype("f8")


def windows(x, p, pads, fill):
    x = np.pad(x, ((0, 0), (0, 0), (pads[0],) * 2, (pads[1],) * 2), constant_values=fill)
    strides = p.get(13 if p["conv"] else 12, 1), p.get(3 if p["conv"] else 2, 1)
    w = np.lib.stride_tricks.sliding_window_view(x, (p[11], p[1]), (2, 3))
    return w[:, :, ::strides[0], ::strides[1]]


def to_int8(x, scale):
    x = x * scale
    return np.clip(np.sign(x) * np.floor(np.abs(x) + 0.5), -127, 127).astype("i1")


def matrix(x, p, linear):
    count, out = (2 if linear else 6), p[0]
    w, bias = weights(p[count]), floats(out)
    if p.get(8):
        scale = floats(out) # of groups, which are as many as outputs or one
        in_scale, out_scale = floats(1), floats(1) if p[8] > 100 else None
        if x.dtype != np.int8:
            x = to_int8(x, in_scale)
        factor = np.divide(1, in_scale * scale, where=scale != 0, out=np.zeros(out, "f4"))
    else:
        factor = np.ones(out, "f4")
    x = x.astype("f8")
    if linear:
        y = x.reshape(len(x), -1) @ w.reshape(out, -1).T
    else:
        rows = windows(x, p, (p.get(14, 0), p.get(4, 0)), 0)
        rows = rows.reshape(*rows.shape[:4], p[11], p[1])
        group = p.get(7, 1)
        assert group in (1, out)
        if group == 1:
            y = np.einsum("nchwij,ocij->nohw", rows, w.reshape(out, -1, p[11], p[1]))
        else:
            y = np.einsum("nchwij,cij->nchw", rows, w.reshape(out, p[11], p[1]))
    shape = (1, -1) + (1,) * (y.ndim - 2)
    y = y.astype("f4") * factor.reshape(shape) + bias.reshape(shape)
    y = np.clip(y, *p[-23310][1:]) if p.get(9) == 3 else y
    return to_int8(y, out_scale) if p.get(8, 0) > 100 else y


def run(kind, x, p):
    p["conv"] = kind.startswith("Convolution")
    if kind == "Scale":
        return x * floats(p[0]).reshape(1, -1, 1, 1) + floats(p[0]).reshape(1, -1, 1, 1)
    if p["conv"] or kind == "InnerProduct":
        return matrix(x, p, not p["conv"])
    if kind == "Pooling":
        assert p[5] == 1
        pads = p.get(13, 0), p.get(3, 0)
        w = windows(x, p, pads, 0 if p[0] else -np.inf)
        return w.mean((4, 5), "f4") if p[0] else w.max((4, 5))
    if kind == "UnaryOp":
        assert p[0] == 18
        return np.rint(x)
    if kind == "Clip":
        return np.clip(x, np.float32(p[0]), np.float32(p[1]))
    if kind == "Padding":
        assert p[4] == 0
        return np.pad(x, ((0, 0), (p[7], p[8]), (0, 0), (0, 0)), constant_values=p[5])
    assert kind == "BinaryOp" and p[0] == 2 and p[1] == 1, kind
    return x * np.float32(p[2])


for line in lines[2:]:
    kind, name, n_in, n_out, *words = line.split()
    ins, words = words[:int(n_in)], words[int(n_in):]
    outs, words = words[:int(n_out)], words[int(n_out):]
    p = {}
    for key, values in (word.split("=") for word in words):
        values = [number(v) for v in values.split(",")]
        p[int(key)] = values if int(key) < 0 else values[0]
    values = [blobs.pop(blob) for blob in ins]
    if kind == "Input":
        x = np.frombuffer(sys.stdin.buffer.read(), "u1").reshape(-1, p[1], p[0], p[2])
        values = [x.transpose(0, 3, 1, 2).astype("f4")]
    elif kind == "BinaryOp" and len(ins) == 2:
        assert p[0] == 0
        values = [values[0] + values[1]]
    elif kind == "Concat":
        assert p[0] == 0
        values = [np.concatenate(values, 1)]
    elif kind != "Split":
        values = [run(kind, values[0], p)]
    for blob in outs:
        assert blob not in blobs
        blobs[blob] = values[0]
    made += len(outs)
assert len(lines) - 2 == n_layers and made == n_blobs and list(blobs) == ["logits"]
assert at == len(data), "bytes behind the last layer"
for logits in blobs["logits"]:
    best = int(logits.argmax())
    print(best, "%.4f" % (1 / sum(math.exp(v - logits[best]) for v in logits)), sep="\t")
