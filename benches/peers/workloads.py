"""What the Python contenders have in common: the data of the workloads, as benches/workloads/data.rs makes them, and the clock."""

import argparse
import json
import os
import time

import numpy as np

XOR_INPUTS = [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]
XOR_TARGETS = [[0.0], [1.0], [1.0], [0.0]]
XOR_SIZES = [2, 4, 1]
XOR_RATE = 1e-5
MNIST_SIZES = [784, 512, 512, 10]
MNIST_BATCH = 128
MNIST_RATE = 1e-3
A, B = 1.5, 0.25
ELEMENTS = 1 << 20
MATRIX = 1024
ITEMS, CLASSES = 64, 32_000
ROWS, FEATURES = 4096, 1024
EPSILON = 1e-5
CHAIN = 500
FACTOR, SUMMAND = 1.0001, 0.0001

AT_LEAST, REPETITIONS, AT_MOST, BATCH = 1.0, 30, 10.0, 200e-6


def scramble(count, seed):
    h = np.arange(count, dtype=np.uint32) * np.uint32(0x9E3779B9)
    h ^= np.uint32(seed * 0x85EBCA6B & 0xFFFFFFFF)
    h = (h ^ (h >> 16)) * np.uint32(0x7FEB352D)
    h = (h ^ (h >> 15)) * np.uint32(0x846CA68B)
    return h ^ (h >> 16)


def uniform(shape, seed, low, high):
    low, high = np.float32(low), np.float32(high)
    unit = (scramble(np.prod(shape), seed) >> 8).astype(np.float32) / np.float32(1 << 24)
    return (low + (high - low) * unit).reshape(shape)


def labels(count, seed, classes):
    return (scramble(count, seed) % np.uint32(classes)).astype(np.int64)


def layers(sizes):
    """Weight ([outputs, inputs]) and bias of each layer."""
    result = []
    for layer, (inputs, outputs) in enumerate(zip(sizes, sizes[1:])):
        bound = 1 / np.sqrt(np.float32(inputs))
        seed = 100 + 2 * layer
        weight = uniform([outputs, inputs], seed, -bound, bound)
        result.append((weight, uniform([outputs], seed + 1, -bound, bound)))
    return result


def threads():
    return int(os.environ.get("OMP_NUM_THREADS", os.cpu_count()))


def main(systems):
    """`systems` gives for each system its workloads: for each name a function that sets it up. What comes out are a function that
    runs once and gives the loss and the list of its gradients, all of it computed, and one that picks elements of gradients."""
    parser = argparse.ArgumentParser()
    parser.add_argument("system", choices=systems)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("workloads", nargs="*")
    arguments = parser.parse_intermixed_args()
    for workload, setup in systems[arguments.system].items():
        if arguments.workloads and workload not in arguments.workloads:
            continue
        line = {"system": arguments.system, "workload": workload}
        run, elements = setup()
        line |= show(run, elements) if arguments.check else measure(run)
        print(json.dumps(line), flush=True)


def show(run, elements):
    """What the fifth run gives: training steps depend on the gradients of the first four."""
    for _ in range(4):
        run()
    loss, gradients = run()
    return {"loss": float(loss), "gradient": [float(element) for element in elements(*gradients)]}


def nothing():
    """What a training step shows of its gradients."""
    return 0.0, 0.0, 0.0


def measure(run):
    shortest, runs, start = float("inf"), 0, time.perf_counter()
    while runs < 3 or time.perf_counter() - start < 0.2:
        before = time.perf_counter()
        run()
        shortest = min(shortest, time.perf_counter() - before)
        runs += 1
    batch = max(1, int(BATCH / shortest))
    times, start = [], time.perf_counter()
    while True:
        elapsed = time.perf_counter() - start
        if elapsed >= AT_MOST or elapsed >= AT_LEAST and len(times) >= REPETITIONS:
            break
        before = time.perf_counter()
        for _ in range(batch):
            run()
        times.append((time.perf_counter() - before) * 1e6 / batch)
    return {
        "threads": threads(),
        "median_us": round(float(np.median(times)), 3),
        "min_us": round(min(times), 3),
        "reps": len(times),
    }
