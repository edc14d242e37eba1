#!/usr/bin/env python3
"""Prints very many log lines: context env LINES of them, else 100,000."""

import argparse
import json
import sys
import time

DEFAULT_LINES = 100_000
MOST_LINES = 10_000_000
BLOCK = 5_000  # lines per write: few system calls, little memory


def report(name, state, **more):
    print(json.dumps({"name": name, "state": state, **more}), flush=True)


def main():
    parser = argparse.ArgumentParser(description="Prints very many log lines.")
    parser.add_argument("--config", required=True, metavar="FILE")
    arguments = parser.parse_args()
    with open(arguments.config, encoding="utf-8") as opened:
        given = json.load(opened)
    wanted = ((given.get("context") or {}).get("env") or {}).get("LINES") or DEFAULT_LINES

    report("Print lines", "running")
    try:
        lines = int(wanted)
        if not 0 <= lines <= MOST_LINES:
            raise ValueError
    except ValueError:
        message = "LINES must be a whole number from 0 to %d, not %r" % (MOST_LINES, wanted)
        report("Print lines", "failure", error_message=message)
        sys.exit(2)

    began = time.monotonic()
    size = 0
    for start in range(1, lines + 1, BLOCK):
        end = min(start + BLOCK, lines + 1)
        block = "".join("line %07d of %d: all is well\n" % (n, lines) for n in range(start, end))
        sys.stdout.write(block)
        sys.stdout.flush()  # a block ends with a whole line, so none is ever cut
        size += len(block)
    seconds = time.monotonic() - began
    report("Print lines", "success", message="%d lines" % lines)

    report("Summarise", "running")
    report("Summarise", "success", message="%d lines, %d bytes in %.2f s" % (lines, size, seconds))


if __name__ == "__main__":
    main()
