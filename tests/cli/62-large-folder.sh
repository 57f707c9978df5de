# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# A folder of 1,000 classes opens in bounded time and memory. LARGE_FOLDER is its
# number of training pictures, links to five; ImageNet has 1280000.
need python3
n=${LARGE_FOLDER:-100000}
for i in 0 1 2 3 4; do
    make_png $i.png 8 8 3 $i
done
python3 - "$n" <<'END'
import os, sys

for split, each in (("train", int(sys.argv[1]) // 1000), ("val", 1)):
    for c in range(1000):
        folder = f"data/{split}/n{c:08d}"
        os.makedirs(folder)
        for i in range(each):
            os.symlink(f"../../../{i % 5}.png", f"{folder}/n{c:08d}_{i}.JPEG")
END
cat >any.yaml <<'END'
output_dir: run
bits: [8]
data: {format: folder, root: data, size: 8, mean: [0.5], std: [0.25]}
model: {arch: resnet8, width: 0.25}
END
python3 - <<'END'
import os, resource, subprocess, sys, time

start = time.monotonic()
subprocess.run(["omq-train", "-n", "any.yaml"], stdout=open("out", "w"), check=True)
seconds = time.monotonic() - start
mib = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
print(f"{seconds:.1f} s, {mib:.0f} MiB")
assert seconds < 20, "too slow"
assert mib < 300 or os.environ.get("ASAN_OPTIONS") or os.environ.get("TSAN_OPTIONS"), "too large"
END
has out "$n training images" "1000 to evaluate, 1000 classes"
