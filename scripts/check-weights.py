#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compares a float ResNet-20 of PyTorch with the same weights in omq, logit by logit.

    check-weights.py WEIGHTS.safetensors IMAGES [FOLDER] [LIMIT]
    check-weights.py --random [FOLDER]

WEIGHTS are those of akamaster's ResNet-20 for CIFAR-10, IMAGES a folder with
{train,test}/CLASS/*.jpg of it. omq-train and omq-eval (from PATH) read both;
PyTorch is given (a) normalized pixels and (b) the same as codes of omq, which has one step
for all channels: what omq computes must be (b) to 1e-4 of the largest logit, and what
(a) loses by it is printed. With --random, weights and images are made up. Also compared are
the ways in: npz, compressed npz, and names behind "module.". Exit 77 without Debian's
python3-torch and python3-pil.
"""
import json
import os
import struct
import subprocess
import sys
import tempfile

try:
    import numpy as np
    import torch
    from PIL import Image
    from torch.nn import functional as F
except ImportError as e:
    print(f"skipped: {e}; needs python3-torch and python3-pil")
    sys.exit(77)

MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
TOLERANCE = 1e-4  # of the largest logit


def read_safetensors(path):
    with open(path, "rb") as f:
        data = f.read()
    n = int.from_bytes(data[:8], "little")
    head = json.loads(data[8:8 + n])
    head.pop("__metadata__", None)
    out = {}
    for name, a in head.items():
        begin, end = a["data_offsets"]
        assert a["dtype"] == "F32", name
        out[name] = np.frombuffer(data[8 + n + begin:8 + n + end], "<f4").reshape(a["shape"])
    return out


def write_safetensors(path, arrays):
    head, at = {}, 0
    for name, a in arrays.items():
        head[name] = {"dtype": "F32", "shape": list(a.shape), "data_offsets": [at, at + a.nbytes]}
        at += a.nbytes
    text = json.dumps(head).encode()
    with open(path, "wb") as f:
        f.write(len(text).to_bytes(8, "little") + text)
        for a in arrays.values():
            f.write(a.tobytes())


def forward(w, x):
    """akamaster's network, with shortcuts of option A, on one batch."""
    def conv(x, name, stride=1):
        return F.conv2d(x, w[name + ".weight"], stride=stride, padding=1)

    def norm(x, name):
        return F.batch_norm(x, *(w[f"{name}.{part}"] for part in
                                 ("running_mean", "running_var", "weight", "bias")))

    x = torch.relu(norm(conv(x, "conv1"), "bn1"))
    for stage in range(1, 4):
        for i in range(3):
            name = f"layer{stage}.{i}"
            stride = 2 if stage > 1 and i == 0 else 1
            y = torch.relu(norm(conv(x, name + ".conv1", stride), name + ".bn1"))
            y = norm(conv(y, name + ".conv2"), name + ".bn2")
            if stride == 2:
                quarter = y.shape[1] // 4
                x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, quarter, quarter))
            x = torch.relu(y + x)
    return F.linear(x.mean((2, 3)), w["linear.weight"], w["linear.bias"])


def read_images(root, limit):
    """In the order of omq's format folder, by class, then by name; a part is spread evenly."""
    files = [(label, os.path.join(root, cls, name))
             for label, cls in enumerate(sorted(os.listdir(root)))
             for name in sorted(os.listdir(os.path.join(root, cls)))]
    n = min(limit or len(files), len(files))
    files = [files[i * len(files) // n] for i in range(n)]
    pixels = [np.array(Image.open(name).convert("RGB")) for _, name in files]
    return np.stack(pixels), np.array([label for label, _ in files])


def coded(x):
    """Normalized pixels as omq's input: codes of one step, see preprocess in omq-format(5)."""
    step = np.float64(np.float32(np.max(np.maximum(MEAN, 1 - MEAN) / STD) / 127))
    return (np.clip(np.rint(x / step) + 128, 0, 255) - 128) * step


def logits_of(weights, x):
    with torch.no_grad():
        parts = [forward(weights, torch.tensor(x[i:i + 250].transpose(0, 3, 1, 2).astype("f")))
                 for i in range(0, len(x), 250)]
    return torch.cat(parts).numpy()


def omq_logits(init, data, limit):
    with open("config.yaml", "w") as f:
        json.dump({"output_dir": "run", "bits": [32], "init": init,
                   "data": {"mean": list(MEAN), "std": list(STD), **data},
                   "model": {"arch": "resnet20", "shortcut": "A"},
                   "train": {"epochs": 0, "batch_size": 40}}, f)
    subprocess.run(["omq-train", "-q", "-f", "config.yaml"], check=True)
    subprocess.run(["omq-eval", "-q", "--logits", "logits.npy"] +
                   (["--limit", str(limit)] if limit else []) + ["run/model.omq"], check=True)
    return np.load("logits.npy")


def make_random():
    """Weights and 40 images, also as idx files, whose labels mean nothing."""
    torch.manual_seed(1)
    shapes = {"conv1.weight": (16, 3, 3, 3), "linear.weight": (10, 64), "linear.bias": (10,)}
    norms, c = {"bn1": 16}, 16
    for stage in range(1, 4):
        for i in range(3):
            name, out = f"layer{stage}.{i}", 8 << stage
            shapes[name + ".conv1.weight"] = (out, c, 3, 3)
            shapes[name + ".conv2.weight"] = (out, out, 3, 3)
            norms[name + ".bn1"] = norms[name + ".bn2"] = c = out
    w = {n: torch.randn(s) / (s[1] * 9 if len(s) == 4 else 8) ** 0.5 for n, s in shapes.items()}
    for name, n in norms.items():
        w[name + ".weight"], w[name + ".bias"] = torch.rand(n) + 0.5, torch.randn(n) / 5
        w[name + ".running_mean"] = torch.randn(n) / 5
        w[name + ".running_var"] = torch.rand(n) + 0.5
    small = torch.rand(40, 3, 6, 6)
    large = F.interpolate(small, size=(32, 32), mode="bilinear").numpy()
    pixels = (large.transpose(0, 2, 3, 1) * 255).astype("u1")
    labels = np.arange(len(pixels)) % 10
    os.makedirs("images", exist_ok=True)
    for prefix in "train", "t10k":
        for kind, a in ("images-idx3", pixels), ("labels-idx1", labels.astype("u1")):
            with open(f"images/{prefix}-{kind}-ubyte", "wb") as f:
                f.write(struct.pack(f">I{a.ndim}I", 0x800 | a.ndim, *a.shape) + a.tobytes())
    write_safetensors("random.safetensors", {n: a.numpy() for n, a in w.items()})
    return pixels, labels


def accuracy(logits, labels):
    return 100 * (logits.argmax(1) == labels).mean()


def main():
    args = sys.argv[1:]
    random = args[0] == "--random"
    weights, root = args.pop(0), "" if random else os.path.abspath(args.pop(0))
    weights = os.path.abspath("" if random else weights)
    where = args.pop(0) if args else tempfile.mkdtemp()
    limit = int(args.pop(0)) if args else 0
    os.makedirs(where, exist_ok=True)
    os.chdir(where)
    if random:
        pixels, labels = make_random()
        weights, data = "random.safetensors", {"format": "idx", "root": "images"}
    else:
        pixels, labels = read_images(os.path.join(root, "test"), limit)
        data = {"format": "folder", "root": root, "size": [32], "train_limit": 500}
    arrays = read_safetensors(weights)
    tensors = {name: torch.tensor(a) for name, a in arrays.items()}
    x = (pixels / 255.0 - MEAN) / STD
    plain, codes = logits_of(tensors, x), logits_of(tensors, coded(x))
    got = omq_logits(weights, data, limit)
    top = np.abs(codes).max()
    error = np.abs(got - codes).max() / top
    print(f"{len(labels)} images, largest logit {top:.3f}")
    print(f"top-1: PyTorch {accuracy(plain, labels):.2f}, PyTorch on omq's codes "
          f"{accuracy(codes, labels):.2f}, omq {accuracy(got, labels):.2f}")
    print(f"omq differs from PyTorch on the same codes by {np.abs(got - codes).max():.2e} at most, "
          f"{error:.1e} of the largest logit")
    print(f"the codes of the input change a logit by {np.abs(plain - codes).max():.3f} at most, "
          f"{np.abs(plain - codes).mean():.4f} on average")
    ok = error <= TOLERANCE and abs(accuracy(plain, labels) - accuracy(got, labels)) <= 0.1
    np.savez("w.npz", **arrays)
    np.savez_compressed("packed.npz", **arrays)
    write_safetensors("module.safetensors", {"module." + n: a for n, a in arrays.items()})
    few = min(limit or 100, len(labels), 100)
    want = omq_logits(weights, data, few)
    for name in "w.npz", "packed.npz", "module.safetensors", "run/model.omq":
        same = np.array_equal(omq_logits(name, data, few), want)
        print(f"{name}: {'the same' if same else 'OTHER LOGITS'}")
        ok &= same
    return not ok


if __name__ == "__main__":
    sys.exit(main())
