"""Prints what the engines did, side by side, and whether Eyrie's targets are met. The last line is JSON.

table.py FOLDER, where `run` left what each program said.
"""

import json
import re
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
RUNS_TARGET = 10
NOTES = """\
A step does nothing. Time runs from the first request to the last end. DBOS records a step once, when it has ended; duroxide when it is
asked for and when it has ended; Eyrie when it starts and when it has ended, with an event for each.
stock: the settings that an engine comes with. equal: Eyrie's durability, and the engine's own options where they make it faster.
device: pages a second that it made durable one after the other, just before. Where these differ much, other work ran on the machine."""


def version(peer, store):
    """What the lock file beside its program says."""

    def locked(name):
        return re.search(rf'name = "{name}"\nversion = "(.+)"', (HERE / peer / "Cargo.lock").read_text())[1]

    if peer == "eyrie":
        return re.search(r'(?m)^version = "(.+)"', (HERE / "../../Cargo.toml").read_text())[1]
    if peer == "dbos-python":
        return re.search(r"(?m)^dbos==(.+)$", (HERE / peer / "requirements.txt").read_text())[1]
    if peer == "dbos-rust":
        return locked("dbos")
    return locked("duroxide") + (f" (pg {locked('duroxide-pg')})" if store == "postgres" else "")


def is_durable(durability):
    """Whether each commit waited for the device, as Eyrie's does."""
    return "synchronous=full" in durability or "fsync=on synchronous_commit=on" in durability


def read(folder):
    """Eyrie's lines by store, the peers' by what they were asked, and what the device did before each."""
    eyrie, peers, devices = {}, {}, {}
    for file in sorted(folder.iterdir()):
        peer, store, profile, workload = file.name.split(".")
        line = json.loads(file.read_text())
        if workload == "device":
            devices[store, peer, profile] = line["syncs_per_s"]
        elif peer == "eyrie":
            eyrie[store] = line
        else:
            peers.setdefault((store, peer, profile), {})[workload] = line
    return eyrie, peers, devices


def rows(eyrie, peers, devices):
    """One for each engine, store and settings."""
    for store in sorted(eyrie, reverse=True):
        ours = eyrie[store]
        rates = {"sequential": ours["sequential_steps_per_s"], "parallel": ours["parallel_steps_per_s"]}
        yield {
            "engine": "eyrie",
            "version": version("eyrie", store),
            "store": store,
            "settings": "stock",
            "options": "256 runs at a time",
            "durability": f"synchronous={ours['synchronous']}",
            "durable": ours["synchronous"] in ("full", "on"),
            "syncs_per_s": devices[store, "eyrie", "stock"],
            **{name: {"steps_per_s": rate, "complete": True} for name, rate in rates.items()},
        }
        for (_, peer, profile), lines in sorted(item for item in peers.items() if item[0][0] == store):
            said = next(iter(lines.values()))
            row = {
                "engine": peer,
                "version": version(peer, store),
                "store": store,
                "settings": profile,
                "options": said["settings"],
                "durability": said["durability"],
                "durable": all(is_durable(line["durability"]) for line in lines.values()),
                "syncs_per_s": devices[store, peer, profile],
            }
            for name, line in lines.items():
                rate = line["steps"] / line["seconds"]
                row[name] = {
                    "steps_per_s": round(rate, 1),
                    "complete": line["complete"],
                    "reached": [line["steps"], line["of"]],
                    "eyrie_is_faster_by": round(rates[name] / rate, 2) if rate else None,
                }
            yield row


def target(name, store, rows, wanted):
    """Whether Eyrie is that much faster than the best engine of the same durability. Nothing where there is none."""
    same = [row for row in rows if row["store"] == store and row["durable"] and name in row]
    rates = {f"{row['engine']} {row['settings']}": row[name]["steps_per_s"] for row in same}
    ours = rates.pop("eyrie stock")
    best = max(rates, key=rates.get, default=None)
    if not best or not rates[best]:
        return None
    ratio = ours / rates[best]
    met = ratio >= wanted if wanted > 1 else ratio > wanted
    return {"store": store, "workload": name, "best": best, "ratio": round(ratio, 2), "wanted": wanted, "met": met}


def rate(row, name):
    if name not in row:
        return "failed"
    mark = "" if row[name]["complete"] else "*"
    return f"{row[name]['steps_per_s']:,.0f}{mark}" if row[name]["steps_per_s"] >= 100 else f"{row[name]['steps_per_s']:.1f}{mark}"


def ratio(row, name):
    faster = row.get(name, {}).get("eyrie_is_faster_by")
    return f"{faster:,.1f}x" if faster and faster >= 10 else f"{faster:.2f}x" if faster else ""


def say(table):
    widths = [max(len(line[column]) for line in table) for column in range(len(table[0]))]
    rule = ["-" * width for width in widths]
    for line in [table[0], rule, *table[1:]]:
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths)) + " |")


def main():
    eyrie, peers, devices = read(Path(sys.argv[1]))
    all_rows = list(rows(eyrie, peers, devices))
    counts = {name: line["of"] for lines in peers.values() for name, line in lines.items()}
    runs = counts.get("sequential", counts.get("parallel", 5000) // 5)
    one, many = f"1 x {runs}", f"{runs} x 5"
    head = ["engine", "version", "store", "settings", "options", "durability, read back", "device", f"{one} steps/s", f"{many} steps/s"]
    table = [head + [f"Eyrie / it, {one}", f"Eyrie / it, {many}"]]
    for row in all_rows:
        table.append(
            [row[column] for column in ("engine", "version", "store", "settings", "options", "durability")]
            + [f"{row['syncs_per_s']:,}", rate(row, "sequential"), rate(row, "parallel"), ratio(row, "sequential"), ratio(row, "parallel")]
        )
    say(table)
    print()
    print(NOTES)
    for row in all_rows:
        for name in ("sequential", "parallel"):
            if not row.get(name, {}).get("complete", True):
                reached, asked = row[name]["reached"]
                given_up = f"given up after {reached} of {asked} steps; extrapolated."
                print(f"* {row['engine']} on {row['store']}, {row['settings']}, {name}: {given_up}")
    if one != "1 x 1000":
        print("Eyrie ran 1 x 1000 and 1000 x 5.")
    print()
    targets = []
    for store, ours in sorted(eyrie.items(), reverse=True):
        print(f"{store}: one commit a step would be {ours['raw_single_commits_per_s']:,.0f} steps/s on this device")
        for name, label, wanted in (("parallel", many, RUNS_TARGET), ("sequential", one, 1)):
            found = target(name, store, all_rows, wanted)
            if found:
                targets.append(found)
                asked = f"at least {wanted}x" if wanted > 1 else "more than 1x"
                met = "met" if found["met"] else "MISSED"
                print(f"{store}, {label}: {found['ratio']}x the best of the same durability ({found['best']}); target {asked}: {met}")
    print(json.dumps({"rows": all_rows, "targets": targets}))


main()
