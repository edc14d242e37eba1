#!/usr/bin/env python3
"""Removes old files from a scratch folder and reports disk use.

    housekeeping.py --config FILE

The folder is context env SCRATCH, else target/scratch of this repository.
Files unchanged for more than `max_age_days` (config.json; context env
MAX_AGE_DAYS overrides it) are removed, and then the folders this leaves empty.

A script that deletes must be sure of where it is: it only works in a folder
that it has marked as its own, and it only marks one that is new or empty.
Symlinks are never followed; an old one is removed, its target is not.
"""

import argparse
import contextlib
import json
import math
import os
import shutil
import stat
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
MARKER = ".eyrie-scratch"


class Failure(Exception):
    """Something the reader of the run can act on."""


def report(name, state, **more):
    print(json.dumps({"name": name, "state": state, **more}), flush=True)


@contextlib.contextmanager
def step(name):
    report(name, "running")
    outcome = {}
    try:
        yield outcome
    except (Failure, OSError) as error:
        report(name, "failure", error_message=str(error))
        sys.exit(1)
    report(name, "success", **outcome)


def claim(folder):
    """Makes sure that the folder exists and is this script's own."""
    folder.mkdir(parents=True, exist_ok=True)
    marker = folder / MARKER
    if not marker.exists():
        if any(folder.iterdir()):
            raise Failure(
                "%s holds files and no %s: it is not this service's own. "
                "Create that file in it if everything there may be removed." % (folder, MARKER)
            )
        marker.write_text("Old files in this folder are removed by the housekeeping service.\n", "utf-8")


def walk(folder):
    """Every file and symlink below the folder, with what lstat says of it."""
    for parent, folders, files in os.walk(folder):
        for name in folders + files:
            path = os.path.join(parent, name)
            if path == str(folder / MARKER):
                continue
            try:
                found = os.lstat(path)
            except FileNotFoundError:  # whoever uses the folder may delete too
                continue
            if not stat.S_ISDIR(found.st_mode):
                yield path, found


def remove(paths, cutoff):
    """Removes those of the files that are still old; gives count and bytes."""
    count = size = 0
    for path in paths:
        try:
            found = os.lstat(path)
            if found.st_mtime >= cutoff:
                print("kept, changed just now: %s" % path, flush=True)
                continue
            os.unlink(path)
        except FileNotFoundError:
            continue
        print("removed: %s" % path, flush=True)
        count += 1
        size += found.st_size
    return count, size


def remove_empty_folders(folder, paths):
    """Removes the folders that held the removed files, where now empty."""
    for parent in sorted({os.path.dirname(path) for path in paths}, key=len, reverse=True):
        while parent != str(folder):
            try:
                os.rmdir(parent)
            except OSError:  # not empty, or gone already
                break
            parent = os.path.dirname(parent)


def human(size):
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return "%.0f %s" % (size, unit) if unit == "B" else "%.1f %s" % (size, unit)
        size /= 1024
    return "%.1f TiB" % size


def main():
    parser = argparse.ArgumentParser(description="Removes old files from a scratch folder.")
    parser.add_argument("--config", required=True, metavar="FILE")
    arguments = parser.parse_args()
    with open(arguments.config, encoding="utf-8") as opened:
        given = json.load(opened)
    env = (given.get("context") or {}).get("env") or {}
    config = given.get("config") or {}
    folder = (HERE / (env.get("SCRATCH") or "../../../target/scratch")).resolve()
    try:
        days = float(env.get("MAX_AGE_DAYS") or config.get("max_age_days", 7))
    except (TypeError, ValueError):
        days = math.nan
    if not 0 <= days < math.inf:
        print("housekeeping.py: the age in days must be a number, 0 or more", file=sys.stderr)
        sys.exit(2)
    cutoff = time.time() - days * 86400

    with step("Find old files") as outcome:
        claim(folder)
        old = [path for path, found in walk(folder) if found.st_mtime < cutoff]
        outcome["message"] = "%d files older than %g days in %s" % (len(old), days, folder)

    with step("Remove old files") as outcome:
        count, size = remove(old, cutoff)
        remove_empty_folders(folder, old)
        outcome["message"] = "removed %d files, %s" % (count, human(size))

    with step("Report disk use") as outcome:
        left = [found.st_size for _, found in walk(folder)]
        disk = shutil.disk_usage(folder)
        outcome["message"] = "scratch: %d files, %s; disk: %s of %s used (%.0f%%)" % (
            len(left),
            human(sum(left)),
            human(disk.used),
            human(disk.total),
            100 * disk.used / disk.total if disk.total else 0,
        )


if __name__ == "__main__":
    main()
