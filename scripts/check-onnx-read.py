#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Checks that networks which PyTorch exports as ONNX compute the same in omq.

    check-onnx-read.py [FOLDER [NETWORK...]]

A ResNet, one with grouped bottlenecks, a MobileNetV2, a plain network without batch
norm and one for digits, whose pools come before ReLUs, are exported, batch norm as it
is and folded into the convolutions, with a fixed and a free number of images. omq-train
(from PATH) reads each, and the logits of its float precision must be PyTorch's for the
same images, as omq codes them. Then each trains a step at 8 and 2 bits, and is exported
again, but for the free number of images. Exit 77 without Debian's python3-torch and
python3-torchvision.
"""
import os
import struct
import subprocess
import sys
import tempfile
import warnings

try:
    import numpy as np
    import torch
    import torchvision
    from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet
except ImportError as e:
    print(f"skipped: {e}; needs python3-torch and python3-torchvision")
    sys.exit(77)

SIDE, CLASSES, TRAIN, TEST = 32, 10, 16, 8
MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
TOLERANCE = 1e-4  # of the largest logit
warnings.filterwarnings("ignore")


class Plain(torch.nn.Module):
    """No batch norm, a concatenation, a window that is flattened whole."""

    def __init__(self):
        super().__init__()
        self.a = torch.nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.b = torch.nn.Conv2d(8, 8, 1)
        self.c = torch.nn.Conv2d(8, 8, 3, padding=1, groups=2)
        self.pool = torch.nn.MaxPool2d(4)
        self.hidden = torch.nn.Linear(16 * 16, 24)
        self.drop = torch.nn.Dropout()
        self.last = torch.nn.Linear(24, CLASSES)

    def forward(self, x):
        x = torch.relu(self.a(x))
        x = torch.cat([torch.relu(self.b(x)), torch.relu(self.c(x))], 1)
        x = self.pool(x)
        x = torch.relu(self.hidden(x.view(x.size(0), -1)))
        return torch.nn.functional.log_softmax(self.last(self.drop(x)), 1)


class Digits(torch.nn.Module):
    """As many a first example."""

    def __init__(self):
        super().__init__()
        self.conv1 = torch.nn.Conv2d(3, 10, 5)
        self.conv2 = torch.nn.Conv2d(10, 20, 5)
        self.drop = torch.nn.Dropout2d()
        self.fc1 = torch.nn.Linear(20 * 5 * 5, 50)
        self.fc2 = torch.nn.Linear(50, CLASSES)

    def forward(self, x):
        f = torch.nn.functional
        x = f.relu(f.max_pool2d(self.conv1(x), 2))
        x = f.relu(f.max_pool2d(self.drop(self.conv2(x)), 2))
        x = f.relu(self.fc1(x.view(x.size(0), -1)))
        return self.fc2(f.dropout(x, training=self.training))


class Cifar(torch.nn.Module):
    """Two blocks as of akamaster's ResNets for CIFAR: the shortcut has no weights."""

    class Block(torch.nn.Module):
        def __init__(self, c, out, stride):
            super().__init__()
            self.conv1 = torch.nn.Conv2d(c, out, 3, stride, 1, bias=False)
            self.bn1 = torch.nn.BatchNorm2d(out)
            self.conv2 = torch.nn.Conv2d(out, out, 3, 1, 1, bias=False)
            self.bn2 = torch.nn.BatchNorm2d(out)
            self.grow = out - c

        def forward(self, x):
            y = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
            if self.grow:
                half = self.grow // 2
                x = torch.nn.functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, half, half))
            return torch.relu(y + x)

    def __init__(self):
        super().__init__()
        self.conv1 = torch.nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.bn1 = torch.nn.BatchNorm2d(8)
        self.layer1 = torch.nn.Sequential(self.Block(8, 8, 1), self.Block(8, 16, 2))
        self.linear = torch.nn.Linear(16, CLASSES)

    def forward(self, x):
        x = self.layer1(torch.relu(self.bn1(self.conv1(x))))
        x = torch.nn.functional.avg_pool2d(x, SIDE // 2)
        return self.linear(x.view(x.size(0), -1))


def resnet(block, **more):
    """Without the last two stages, which are as the second one with many more weights."""
    net = ResNet(block, [1, 1, 1, 1], CLASSES, **more)
    net.layer3 = net.layer4 = torch.nn.Sequential()
    net.fc = torch.nn.Linear(128 * block.expansion, CLASSES)
    return net


def networks():
    torch.manual_seed(1)
    return {
        "resnet": resnet(BasicBlock),
        "resnext": resnet(Bottleneck, groups=4, width_per_group=4),
        "mobilenet": torchvision.models.mobilenet_v2(num_classes=CLASSES, width_mult=0.25),
        "cifar": Cifar(),
        "plain": Plain(),
        "digits": Digits(),
    }


def randomize(net):
    for m in net.modules():
        if isinstance(m, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(m.weight, 0.5, 1.5)
            torch.nn.init.normal_(m.bias, 0, 0.2)
            m.running_mean.normal_(0, 0.2)
            m.running_var.uniform_(0.5, 1.5)
    return net.eval()


def export(net, name, path):
    keep = {"training": torch.onnx.TrainingMode.PRESERVE, "do_constant_folding": False}
    names = {"input_names": ["image"], "output_names": ["logits"]}
    free = {"dynamic_axes": {"image": {0: "n"}, "logits": {0: "n"}}}
    how = {"kept": keep, "folded": {}, "free": {**free, **names}}[name]
    torch.onnx.export(net, torch.randn(2, 3, SIDE, SIDE), path, **how)


def put_idx(path, a):
    with open(path, "wb") as f:
        f.write(struct.pack(f">I{a.ndim}I", 0x800 | a.ndim, *a.shape) + a.tobytes())


def put_images():
    """Smooth ones: of noise, averages are all the same."""
    os.makedirs("data", exist_ok=True)
    rng = np.random.RandomState(0)
    for prefix, n in ("train", TRAIN), ("t10k", TEST):
        small = torch.tensor(rng.rand(n, 3, 6, 6).astype("f"))
        large = torch.nn.functional.interpolate(small, size=(SIDE, SIDE), mode="bilinear")
        pixels = (large.numpy().transpose(0, 2, 3, 1) * 255).astype("u1")
        put_idx(f"data/{prefix}-images-idx3-ubyte", pixels)
        put_idx(f"data/{prefix}-labels-idx1-ubyte", (np.arange(n) % CLASSES).astype("u1"))
    return pixels


def coded(pixels):
    """What the network sees: codes of one step, as preprocessing in omq-format(5)."""
    step = np.float32(np.max(np.maximum(MEAN, 1 - MEAN) / STD) / 127)
    x = (pixels / 255.0 - MEAN) / STD
    codes = np.clip(np.rint(x / np.float64(step)) + 128, 0, 255) - 128
    return torch.tensor((codes * np.float64(step)).transpose(0, 3, 1, 2).astype("f"))


CONFIG = """\
output_dir: run
threads: 1
bits: [8, 2, 32]
data: {format: idx, root: data, mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225]}
train: {batch_size: 16, lr: 0.01, bn_batches: 0}
"""


def tool(*args):
    done = subprocess.run(args, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(args)}: {done.stdout}{done.stderr}")


def check(name, kind, net, pixels):
    path = f"{name}-{kind}.onnx"
    export(net, kind, path)
    with torch.no_grad():
        want = net(coded(pixels)).numpy()
    config = ["--set", f"model.onnx={path}", "config.yaml"]
    tool("omq-train", "-q", "-f", "--set", "train.epochs=0", "--set", "bits=[32]", *config)
    tool("omq-eval", "--bits", "32", "--logits", "logits.npy", "run/model.omq")
    got = np.load("logits.npy")
    if name == "plain":  # its softmax is left out
        got = torch.log_softmax(torch.tensor(got), 1).numpy()
    error = np.abs(got - want).max() / np.abs(want).max()
    ok = error <= TOLERANCE
    print(f"{path}: logits differ by {error:.1e} of the largest{'' if ok else ': too much'}")
    if kind == "free":
        return ok
    tool("omq-train", "-q", "-f", "--set", "train.epochs=1", *config)
    for bits in "8", "2":
        tool("omq-export", "--bits", bits, "--format", "onnx", "--style", "float", "-o", "out.onnx",
             "run/model.omq")
    return ok


def main():
    where = sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp()
    os.makedirs(where, exist_ok=True)
    os.chdir(where)
    torch.set_num_threads(1)
    pixels = put_images()
    with open("config.yaml", "w") as f:
        f.write(CONFIG)
    ok = True
    for name, net in networks().items():
        if sys.argv[2:] and name not in sys.argv[2:]:
            continue
        for kind in "kept", "folded", "free":
            ok &= check(name, kind, randomize(net), pixels)
    return not ok


if __name__ == "__main__":
    sys.exit(main())
