#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes the corpora of the readers of shards and of CIFAR's files:
seed.py SHARDS_FOLDER CIFAR_FOLDER."""
import io
import sys
import tarfile

shards, cifar = sys.argv[1:]
PICTURE = bytes.fromhex("ffd8ffe0") + b"no picture: nobody decodes it"


def shard(name, fmt, members):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=fmt) as t:
        for member, data, kind, own in members:
            info = tarfile.TarInfo(member)
            info.size, info.type = len(data), kind
            info.pax_headers = own
            info.linkname = "elsewhere" if kind in (tarfile.SYMTYPE, tarfile.LNKTYPE) else ""
            t.addfile(info, io.BytesIO(data))
    data = out.getvalue()
    end = len(data.rstrip(b"\0"))
    data = data[:(end + 511) // 512 * 512 + 1024]  # without padding to 10 KiB
    with open(f"{shards}/{name}.tar", "wb") as f:
        f.write(data)
    return data


def sample(stem, label):
    return [(stem + ".jpg", PICTURE, tarfile.REGTYPE, {}),
            (stem + ".cls", b"%d\n" % label, tarfile.REGTYPE, {})]


both = sample("a/0", 3) + sample("a/1", 0)
plain = shard("ustar", tarfile.USTAR_FORMAT, [("a", b"", tarfile.DIRTYPE, {})] + both)
shard("gnu-long", tarfile.GNU_FORMAT, sample("long/" + "n" * 120, 1))
shard("pax-long", tarfile.PAX_FORMAT, sample("long/" + "ü" * 90, 1))
shard("pax-size", tarfile.PAX_FORMAT,
      [("s.cls", b"1", tarfile.REGTYPE, {"size": "1"})] + sample("s", 1)[:1])
shard("prefix", tarfile.USTAR_FORMAT, sample("p" * 90 + "/" + "n" * 90, 1))
shard("link", tarfile.USTAR_FORMAT, [("a.jpg", b"", tarfile.SYMTYPE, {})])
shard("up", tarfile.USTAR_FORMAT, sample("../a", 1))
shard("absolute", tarfile.GNU_FORMAT, sample("/a", 1))
shard("no-class", tarfile.USTAR_FORMAT, both[:1])
shard("bad-class", tarfile.USTAR_FORMAT, [("a.cls", b"99999", tarfile.REGTYPE, {})])
for name, damaged in (("cut", plain[:2100]), ("twice", plain + plain), ("empty", b""),
                      ("gzip", b"\x1f\x8b" + bytes(600)), ("sum", b"b" + plain[1:])):
    with open(f"{shards}/{name}.tar", "wb") as f:
        f.write(damaged)

planes = bytes(i * 7 % 251 for i in range(3072))
for name, data in (("ten", b"\x09" + planes + b"\x00" + planes[::-1]),
                   ("hundred", b"\x13\x63" + planes), ("coarse", b"\x14\x63" + planes),
                   ("fine", b"\x13\x64" + planes), ("label", b"\x0a" + planes), ("empty", b""),
                   ("short", planes)):
    with open(f"{cifar}/{name}.bin", "wb") as f:
        f.write(data)
