#!/usr/bin/python3
# SPDX-License-Identifier: MIT
# check-arrays.py FILE.npz FILE.safetensors FILE.json: the arrays of a model as NumPy
# reads them. Both files hold the same ones, all the bytes are accounted for, and the
# weights made from codes are the float weights, quantized, where no view changes those.
import json, re, sys
import numpy as np

TYPES = {"F32": "<f4", "I8": "|i1", "U8": "|u1"}
npz, data = np.load(sys.argv[1]), open(sys.argv[2], "rb").read()
about = json.load(open(sys.argv[3]))
size = int.from_bytes(data[:8], "little")
head, body = json.loads(data[8:8 + size]), data[8 + size:]
meta, end, arrays = head.pop("__metadata__"), 0, {}
assert size % 8 == 0 and meta["format"] == "pt" and all(type(v) is str for v in meta.values())
for name, a in sorted(head.items(), key=lambda item: item[1]["data_offsets"]):
    start, stop = a["data_offsets"]
    assert start == end and start % np.dtype(TYPES[a["dtype"]]).itemsize == 0, name
    arrays[name] = np.frombuffer(body[start:stop], TYPES[a["dtype"]]).reshape(a["shape"])
    end = stop
assert end == len(body), "bytes behind the last array"
assert sorted(arrays) == sorted(npz.files)
for name, a in arrays.items():
    assert npz[name].dtype == a.dtype and np.array_equal(npz[name], a), name

grid, config, checked = meta["omq.weight_grid"], meta["omq.config"], 0
view = 0 if "view: off\n" in config else int(re.search(r"view_max_bits: (\d)", config)[1]) or 8
for p in about["precisions"]:
    tag = re.sub(r"^\.w(\d+)a\1$", r"\1", "." + p["name"])
    assert tag.strip(".") in meta["omq.bits"].split(",")
    for layer, (bits, a_bits) in p["layer_bits"].items():
        w, k = arrays[f"{layer}.weight"], arrays[f"{layer}.weight.q{tag}"]
        scale = arrays[f"{layer}.weight.q{tag}.scale"].reshape([-1] + [1] * (w.ndim - 1))
        assert k.dtype == np.int8 and k.shape == w.shape and scale.size == len(w)
        if f"{layer}.in.a{tag}.max" in arrays:
            assert arrays[f"{layer}.in.a{tag}.max"] == 2 ** a_bits - 1, (layer, tag)
        if bits == 1 or bits < 8 and (grid == "midrise" or grid == "auto" and bits < 4):
            j = np.clip(np.floor(w / (2 * scale)) + 2 ** (bits - 1), 0, 2 ** bits - 1)
            want, reach = 2 * j - (2 ** bits - 1), 2 ** bits - 1
        else:
            reach = 2 ** (bits - 1) - 1
            want = np.clip(np.rint(w / scale), -reach, reach)
        assert np.abs(k).max() <= reach, (layer, tag)
        if bits > view or layer in (about["layers"][0]["name"], about["layers"][-1]["name"]):
            assert np.array_equal(k * scale, want.astype("<f4") * scale), (layer, tag)
            checked += 1
print(len(arrays), "arrays,", checked, "of them codes of unchanged weights")
