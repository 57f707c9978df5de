#!/usr/bin/python3
# SPDX-License-Identifier: MIT
# check-archs.py OMQ-TRAIN [WEIGHTS.safetensors]: that networks have the parameters, by
# name, shape and order, that torchvision's have, and resnet20 with shortcuts A those of a
# file of weights. Exits with 77 if torchvision is not installed.
import json, struct, subprocess, sys, tempfile

try:
    import torch
    import torchvision
except ImportError:
    print("python3-torchvision is not installed")
    sys.exit(77)

# Shapes are all that is asked of torchvision's networks: no random values.
for init in "kaiming_normal_", "kaiming_uniform_", "normal_", "uniform_", "trunc_normal_":
    setattr(torch.nn.init, init, lambda tensor, *_, **__: tensor)

CONFIG = """output_dir: never
bits: [8]
data: {format: synthetic, mean: [0.5], std: [0.25],
       synthetic: {height: SIDE, width: SIDE, classes: CLASSES, train: 2, test: 2}}
train: {batch_size: 1}
model: {MODEL}
"""


def layers(model, side, classes):
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as f:
        f.write(CONFIG.replace("SIDE", str(side)).replace("CLASSES", str(classes))
                .replace("MODEL", model))
        f.flush()
        out = subprocess.run([sys.argv[1], "--dry-run", "--json", f.name], check=True,
                             stdout=subprocess.PIPE).stdout
    return json.loads(out)["layers"]


def state(model, side, classes):
    """What the network would have as a state_dict, biases left out where there are none."""
    found = {}
    for l in layers(model, side, classes):
        out, linear = l["weights"][0], l["bias"]
        found[l["name"] + ".weight"] = tuple(l["weights"][:2] if linear else l["weights"])
        if l["bias"]:
            found[l["name"] + ".bias"] = (out,)
        for part in ("weight", "bias", "running_mean", "running_var") if l["norm"] else ():
            found[l["norm"] + "." + part] = (out,)
    return found


def compare(what, found, want):
    assert sorted(found) == sorted(want), (what, sorted(set(found) ^ set(want)))
    for name in want:
        assert found[name] == want[name], (what, name, found[name], want[name])
    print(f"{what}: {len(want)} tensors")


def torchs(name, **options):
    model = getattr(torchvision.models, name)(**options)
    return {k: tuple(v.shape) for k, v in model.state_dict().items()
            if not k.endswith("num_batches_tracked")}


for name in "resnet18", "resnet34", "resnet50", "mobilenet_v2":
    compare(name, state(f"arch: {name}", 224, 1000), torchs(name))
for width in 0.35, 1.4:
    compare(f"mobilenet_v2 of width {width}",
            state(f"arch: mobilenet_v2, width: {width}", 96, 1000),
            torchs("mobilenet_v2", width_mult=width))
for name in "vgg11", "vgg16":
    want = torchs(name + "_bn")
    norms = {k.rsplit(".", 1)[0] for k in want if k.endswith("running_mean")}
    # without what the batch norms replace, and one linear layer in place of three
    want = {k: v for k, v in want.items() if k.startswith("features.") and
            (not k.endswith(".bias") or k.rsplit(".", 1)[0] in norms)}
    want |= {"classifier.weight": (10, 512), "classifier.bias": (10,)}
    compare(name, state(f"arch: {name}", 32, 10), want)
if len(sys.argv) > 2:
    with open(sys.argv[2], "rb") as f:
        header = json.loads(f.read(struct.unpack("<Q", f.read(8))[0]))
    header.pop("__metadata__", None)
    compare("resnet20", state("arch: resnet20, shortcut: A", 32, 10),
            {k: tuple(v["shape"]) for k, v in header.items()
             if not k.endswith("num_batches_tracked")})
