"""Prints results as a table for each number of threads: a row for each workload, `min / median` for each system.

Of several rounds it keeps the least minimum and the median of the medians. `table.py FILE`, with lines of JSON.
"""

import json
import statistics
import sys
from collections import defaultdict

UNITS = [(1e6, "s"), (1e3, "ms"), (0, "us")]


def shown(minimum, median):
    size, unit = next(pair for pair in UNITS if median >= pair[0])
    number = lambda us: f"{us / (size or 1):.3g}" if us / (size or 1) < 1000 else f"{us / (size or 1):.0f}"
    return f"{number(minimum)} / {number(median)} {unit}"


def main(path):
    with open(path) as file:
        lines = [json.loads(line) for line in file]
    rounds = defaultdict(list)
    for line in lines:
        rounds[line["threads"], line["workload"], line["system"]].append(line)
    unique = lambda key: list(dict.fromkeys(line[key] for line in lines))
    for threads in sorted(unique("threads")):
        here = {key[1:]: found for key, found in rounds.items() if key[0] == threads}
        systems = [s for s in unique("system") if any(system == s for _, system in here)]
        workloads = [w for w in unique("workload") if any(workload == w for workload, _ in here)]
        print(f"{threads} thread{'s' * (threads > 1)}, minimum / median:\n")
        print(f"| workload | {' | '.join(systems)} |")
        print(f"| --- |{' --- |' * len(systems)}")
        for workload in workloads:
            cells = []
            for system in systems:
                found = here.get((workload, system))
                minimum = found and min(line["min_us"] for line in found)
                median = found and statistics.median(line["median_us"] for line in found)
                cells.append(shown(minimum, median) if found else "")
            print(f"| `{workload}` | {' | '.join(cells)} |")
        print()


main(sys.argv[1])
