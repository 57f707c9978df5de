#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""ort_int8.py MODEL BATCH THREADS SECONDS SIDE: the time of a batch in ONNX Runtime, by its
Python package, as a line of JSON. Images are BATCH x 3 x SIDE x SIDE."""
import json
import statistics
import sys
import time

import numpy
import onnxruntime


def main():
    model, batch, threads, seconds, side = sys.argv[1], *map(int, sys.argv[2:])
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    images = numpy.random.default_rng(1).standard_normal((batch, 3, side, side), "float32")
    feed = {session.get_inputs()[0].name: images}
    for _ in range(5):
        session.run(None, feed)
    times = []
    end = time.perf_counter() + seconds
    while len(times) < 5 or time.perf_counter() < end:
        begin = time.perf_counter()
        session.run(None, feed)
        times.append(1000 * (time.perf_counter() - begin))
    print(json.dumps({"median_ms": round(statistics.median(times), 4), "runs": len(times),
                      "onnxruntime": onnxruntime.__version__}))


main()
