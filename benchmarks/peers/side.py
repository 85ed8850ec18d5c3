"""What a side of benchmarks/peers answers: run by the Python of its own environment, with nothing of this project.

in       on standard input, JSON: program, symbols, steps, rate, rounds, and what to answer (sequences, or x and y)
out      on standard output, JSON: layers, width, parameters, nonzeros, seconds, what it answers

Seconds are of CPU time; of a forward pass over all sequences, the least of the rounds after a first.
"""

import json
import sys
import time


def answer(build):
    """`build` makes of what is asked (weights: arrays; layers; width; forward: a function of nothing to an array)."""
    asked = json.load(sys.stdin)
    started = time.process_time()
    weights, layers, width, forward = build(asked)
    compiled = time.process_time() - started
    found = forward()
    seconds = []
    for _ in range(asked["rounds"]):
        started = time.process_time()
        forward()
        seconds.append(time.process_time() - started)
    json.dump(
        {
            "layers": layers,
            "width": width,
            "parameters": int(sum(w.size for w in weights)),
            "nonzeros": int(sum((w != 0).sum() for w in weights)),
            "compile_s": compiled,
            "forward_s": min(seconds),
            "found": found.tolist(),
        },
        sys.stdout,
    )
