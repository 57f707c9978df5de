#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Small files of weights for tests/fuzz, good and bad, the same bytes each time.

    gen-weights.py FOLDER source      safetensors and npz
    gen-weights.py FOLDER onnx        ONNX models of 8x8 images and 5 classes
"""
import json
import os
import struct
import sys
import zlib

# ---- safetensors, npz ----


def values(n, seed=0):
    return struct.pack(f"<{n}f", *((1 + (i * 7 + seed) % 13) / 16 for i in range(n)))


def safetensors(arrays, tail=b"", header=None):
    """arrays: name -> (dtype, shape, bytes[, offsets])."""
    head, data = {"__metadata__": {"format": "pt"}}, b""
    for name, (dtype, shape, content, *offsets) in arrays.items():
        place = offsets[0] if offsets else [len(data), len(data) + len(content)]
        head[name] = {"dtype": dtype, "shape": shape, "data_offsets": place}
        data += content
    text = (json.dumps(head) if header is None else header).encode()
    return struct.pack("<Q", len(text)) + text + data + tail


def npy(descr, shape, content, order="False"):
    text = f"{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}"
    text += " " * (-(len(text) + 11) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode() + content


def deflate(content):
    """One block that is stored: the bytes do not depend on zlib."""
    return struct.pack("<BHH", 1, len(content), len(content) ^ 0xffff) + content


def zip_of(members, sizes={}):
    """members: name -> (bytes, whether deflated); sizes: what the directory says instead."""
    out, directory = b"", b""
    for name, (content, deflated) in members.items():
        packed = deflate(content) if deflated else content
        common = struct.pack("<HHHHHIIIHH", 20, 0, 8 if deflated else 0, 0, 33,
                             zlib.crc32(content), len(packed), sizes.get(name, len(content)),
                             len(name), 0)
        directory += (b"PK\1\2" + struct.pack("<H", 20) + common +
                      struct.pack("<HHHII", 0, 0, 0, 0, len(out)) + name.encode())
        out += b"PK\3\4" + common + name.encode() + packed
    return out + directory + b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, len(members), len(members),
                                                     len(directory), len(out), 0)


def source_files():
    one = {"conv1.weight": ("F32", [4, 3, 3, 3], values(108)),
           "bn1.weight": ("F16", [4], b"\x00\x3c" * 4), "bn1.bias": ("BF16", [4], b"\x80\x3f" * 4),
           "bn1.running_mean": ("F64", [4], struct.pack("<4d", 1, 2, 3, 4)),
           "bn1.running_var": ("F32", [4], values(4)),
           "bn1.num_batches_tracked": ("I64", [], bytes(8))}
    eight = bytes(8)
    member = npy("<f4", "(4, 3, 3, 3)", values(108))
    return {
        "good.safetensors": safetensors(one),
        "module.safetensors": safetensors({"module.model." + n: a for n, a in one.items()}),
        "infinite.safetensors": safetensors({"conv1.weight": ("F32", [4, 3, 3, 3],
                                                              b"\0\0\x80\x7f" * 108)}),
        "overlap.safetensors": safetensors({"a": ("F32", [2], eight, [0, 8]),
                                            "b": ("F32", [2], b"1234", [4, 12])}),
        "gap.safetensors": safetensors({"a": ("F32", [2], eight, [0, 8]),
                                        "b": ("F32", [1], eight, [12, 16])}),
        "behind.safetensors": safetensors({"a": ("F32", [2], eight)}, b"PK\5\6"),
        "moon.safetensors": safetensors({"a": ("F32", [1 << 62, 1 << 62, 4], b"")}),
        "type.safetensors": safetensors({"a": ("F3", [1], b"1")}),
        "twice.safetensors": safetensors({}, header='{"a": 1, "a": 2}'),
        "deep.safetensors": safetensors({}, header='{"a": ' + "[" * 3000 + "]" * 3000 + "}"),
        "long.safetensors": struct.pack("<Q", 1 << 63) + b"{}",
        "empty.safetensors": safetensors({}, header="{}"),
        "good.npz": zip_of({"conv1.weight.npy": (member, False),
                            "bn1.weight.npy": (npy("<f2", "(4,)", b"\x00\x3c" * 4), True),
                            "bn1.bias.npy": (npy("<f8", "(4,)", bytes(32)), True),
                            "note.txt": (b"hello", False)}),
        "fortran.npz": zip_of({"a.npy": (npy("<f4", "(2, 2)", values(4), "True"), True)}),
        "object.npz": zip_of({"a.npy": (npy("|O", "(1,)", eight), False)}),
        "shape.npz": zip_of({"a.npy": (npy("<f4", "(3, 3)", values(4)), False)}),
        "bomb.npz": zip_of({"a.npy": (npy("<f4", "(1000000000,)", values(4)), True)},
                           {"a.npy": 4000000128}),
        "pickle.npz": zip_of({"archive/data.pkl": (b"\x80\x02}q.", False)}),
        "cut.npz": zip_of({"a.npy": (member, False)})[:-40],
        "pickle": b"\x80\x02}q\x00.",
    }


# ---- ONNX ----


def varint(v):
    out = b""
    while v > 127:
        out += bytes([v & 127 | 128])
        v >>= 7
    return out + bytes([v])


def field(number, v):
    if isinstance(v, int):
        return varint(number << 3) + varint(v & (1 << 64) - 1)
    if isinstance(v, float):
        return varint(number << 3 | 5) + struct.pack("<f", v)
    v = v.encode() if isinstance(v, str) else v
    return varint(number << 3 | 2) + varint(len(v)) + v


def attribute(name, v):
    out = field(1, name)
    if isinstance(v, float):
        return out + field(2, v) + field(20, 1)
    if isinstance(v, int):
        return out + field(3, v) + field(20, 2)
    if isinstance(v, str):
        return out + field(4, v) + field(20, 3)
    if isinstance(v, bytes):
        return out + field(6, v) + field(20, 5)
    return out + b"".join(field(8, i) for i in v) + field(20, 7)


def node(op, inputs, output, name="", **attributes):
    outputs = [output] if isinstance(output, str) else output
    return field(1, b"".join(field(1, i) for i in inputs) +
                 b"".join(field(2, o) for o in outputs) + field(3, name) + field(4, op) +
                 b"".join(field(5, attribute(n, v)) for n, v in attributes.items()))


def tensor(name, *dims, content=None, kind=1):
    n = 1
    for d in dims:
        n *= d
    if content is None:
        content = values(n, len(name))
    return field(5, b"".join(field(1, d) for d in dims) + field(2, kind) + field(8, name) +
                 field(9, content))


def value(number, name, *dims):
    shape = b"".join(field(1, field(1, d) if d else field(2, "n")) for d in dims)
    return field(number, field(1, name) + field(2, field(1, field(1, 1) + field(2, shape))))


def model(*parts, opset=13):
    graph = b"".join(parts) + value(11, "image", 0, 3, 8, 8) + value(12, "logits", 0, 5)
    return field(1, 8) + field(2, "gen-weights.py") + field(8, field(1, "") + field(2, opset)) + \
        field(7, graph)


def conv(x, out, name, channels, reads, kernel=3, stride=1, bias=False, **more):
    weights = tensor(name + ".weight", channels, reads, kernel, kernel)
    names = [x, name + ".weight"] + ([name + ".bias"] if bias else [])
    return weights + (tensor(name + ".bias", channels) if bias else b"") + node(
        "Conv", names, out, f"/{name.replace('.', '/')}/Conv", kernel_shape=[kernel] * 2,
        strides=[stride] * 2, pads=[kernel // 2] * 4, dilations=[1, 1], **more)


def norm(x, out, name, channels):
    names = [f"{name}.{part}" for part in ("weight", "bias", "running_mean", "running_var")]
    return b"".join(tensor(n, channels) for n in names) + node(
        "BatchNormalization", [x] + names, out, epsilon=1e-5)


def head(x, channels):
    return (node("GlobalAveragePool", [x], "pooled") + node("Flatten", ["pooled"], "flat", axis=1) +
            tensor("fc.weight", 5, channels) + tensor("fc.bias", 5) +
            node("Gemm", ["flat", "fc.weight", "fc.bias"], "logits", alpha=1.0, beta=1.0, transB=1))


def nested(depth):
    graph = node("Identity", ["image"], "inner")
    for _ in range(depth):
        graph = node("If", ["image"], "a", then_branch=graph)
    return graph


def onnx_files():
    ints = lambda name, *v: tensor(name, len(v), content=struct.pack(f"<{len(v)}q", *v), kind=7)
    resnet = (conv("image", "a", "conv1", 4, 3) + norm("a", "b", "bn1", 4) +
              node("Relu", ["b"], "c") + conv("c", "d", "layer1.0.conv1", 6, 4, stride=2) +
              norm("d", "e", "layer1.0.bn1", 6) +
              conv("c", "f", "layer1.0.downsample.0", 6, 4, 1, 2, bias=True) +
              node("Add", ["e", "f"], "g") + node("Relu", ["g"], "h"))
    mobile = (conv("image", "a", "features.0.0", 4, 3, bias=True) +
              node("Clip", ["a"], "b", min=0.0, max=6.0) +
              conv("b", "c", "features.1.0", 4, 1, bias=True, group=4) +
              node("Clip", ["c"], "d", min=0.0, max=6.0) +
              conv("d", "e", "features.1.1", 4, 4, 1, bias=True) + node("Add", ["e", "b"], "f"))
    plain = (conv("image", "a", "conv", 4, 3, bias=True) + node("Relu", ["a"], "b") +
             node("MaxPool", ["b"], "p", kernel_shape=[2, 2], strides=[2, 2]) +
             node("Concat", ["p", "p"], "cat", axis=1) + ints("zero", 0) + ints("minus", -1) +
             node("Shape", ["cat"], "s") + node("Gather", ["s", "zero"], "n") +
             node("Unsqueeze", ["n", "zero"], "n1") +
             node("Concat", ["n1", "minus"], "to", axis=0) +
             node("Reshape", ["cat", "to"], "flat") + tensor("matrix", 128, 5) +
             node("MatMul", ["flat", "matrix"], "product") + tensor("add", 5) +
             node("Add", ["product", "add"], "sum") + node("LogSoftmax", ["sum"], "logits"))
    shortcut = (conv("image", "a", "c", 4, 3) + node("Relu", ["a"], "b") +
                conv("b", "e", "d", 8, 4, stride=2) + ints("zero", 0) + ints("far", 1 << 62) +
                ints("two", 2) + ints("three", 3) + ints("pads", 0, 2, 0, 0, 0, 2, 0, 0) +
                node("Slice", ["b", "zero", "far", "two", "two"], "s") +
                node("Slice", ["s", "zero", "far", "three", "two"], "t") +
                node("Pad", ["t", "pads"], "u") + node("Add", ["e", "u"], "v"))
    external = field(5, field(1, 4) + field(2, 1) + field(8, "x") + field(13, b"") + field(14, 1))
    huge = tensor("x", 1 << 62, 1 << 62, content=b"")
    return {
        "resnet.onnx": model(resnet, head("h", 6)),
        "mobile.onnx": model(mobile, head("f", 4), opset=9),
        "plain.onnx": model(plain),
        "shortcut.onnx": model(shortcut, head("v", 8)),
        "nested.onnx": model(nested(200), head("a", 3)),
        "cycle.onnx": model(node("Relu", ["b"], "a"), node("Relu", ["a"], "b"), head("b", 3)),
        "external.onnx": model(external, resnet, head("h", 6)),
        "huge.onnx": model(huge, resnet, head("h", 6)),
        "dilated.onnx": model(tensor("w", 4, 3, 3, 3), node("Conv", ["image", "w"], "a",
                                                            dilations=[2, 2]), head("a", 4)),
        "opset.onnx": model(resnet, head("h", 6), opset=200),
        "classes.onnx": model(conv("image", "a", "c", 4, 3), node("GlobalAveragePool", ["a"], "p"),
                              node("Flatten", ["p"], "f"), tensor("fc.weight", 7, 4),
                              node("Gemm", ["f", "fc.weight"], "logits", transB=1)),
        "unnamed.onnx": model(node("Flatten", ["image"], "f"), tensor("fc.weight", 5, 192),
                              node("Gemm", ["f", "fc.weight"], "g", transB=1),
                              node("Dropout", ["g"], ["", "logits"])),
    }


def main():
    files = {"source": source_files, "onnx": onnx_files}[sys.argv[2]]()
    os.makedirs(sys.argv[1], exist_ok=True)
    for name, content in files.items():
        with open(os.path.join(sys.argv[1], name), "wb") as f:
            f.write(content)


if __name__ == "__main__":
    main()
