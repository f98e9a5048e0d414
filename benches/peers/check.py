"""Whether all systems computed the same: compares what `--check` printed. `check.py FILE`, with lines of JSON.

A sum of a million numbers of 32 bits depends on its order, in one system in the fourth digit.
"""

import json
import math
import sys
from collections import defaultdict


def main(path):
    with open(path) as file:
        lines = [json.loads(line) for line in file]
    found = defaultdict(dict)
    for line in lines:
        found[line["workload"]][line["system"]] = [line["loss"], *line["gradient"]]
    wrong = 0
    for workload, systems in found.items():
        first, expected = next(iter(systems.items()))
        for system, numbers in systems.items():
            same = lambda a, b: math.isclose(a, b, rel_tol=1e-3, abs_tol=1e-9)
            if not all(map(same, numbers, expected)):
                print(f"{workload}: {system} {numbers}, {first} {expected}")
                wrong += 1
    print(f"{len(lines)} results of {len(found)} workloads, {wrong} differ")
    sys.exit(wrong > 0)


main(sys.argv[1])
