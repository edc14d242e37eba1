"""The two workloads on DBOS Transact for Python, on SQLite and PostgreSQL.

bench.py DATABASE stock|equal sequential|parallel COUNT SECONDS
"""

import itertools
import json
import os
import sys
import threading
import time
from typing import Any

import sqlalchemy as sa
from dbos import DBOS, DBOSConfig

STEPS = 5
# How many runs are driven at the same time with settings of ours. It comes without a bound.
THREADS = {"sqlite": 1, "postgresql": 16}

begun = itertools.count()


@DBOS.step()
def no_op() -> None:
    next(begun)


@DBOS.workflow()
def chain(steps: int) -> None:
    for _ in range(steps):
        no_op()


def run_all(runs: int, steps: int) -> None:
    handles = [DBOS.start_workflow(chain, steps) for _ in range(runs)]
    for handle in handles:
        handle.get_result()


def wait_for_the_device(connection: Any, _: Any) -> None:
    """What Eyrie tells its own connections to a file."""
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")


def durability(engine: sa.Engine) -> str:
    """What a connection of DBOS's own says."""

    def say(name: str, question: str, names: Any = None) -> str:
        answer = connection.exec_driver_sql(question).scalar()
        return f"{name}={names[answer] if names else answer}"

    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            levels = ["off", "normal", "full", "extra"]
            return say("journal_mode", "PRAGMA journal_mode") + " " + say("synchronous", "PRAGMA synchronous", levels)
        return say("fsync", "SHOW fsync") + " " + say("synchronous_commit", "SHOW synchronous_commit")


def main() -> None:
    database, profile, workload, count, limit = sys.argv[1:]
    runs, steps = {"sequential": (1, int(count)), "parallel": (int(count), STEPS)}[workload]
    store = database.partition(":")[0]
    config: DBOSConfig = {"name": "bench", "system_database_url": database, "log_level": "WARNING"}
    settings = "a thread a run"
    if profile == "equal":
        config["max_executor_threads"] = THREADS[store]
        settings = f"threads: {THREADS[store]}"
        if store == "sqlite":
            sa.event.listen(sa.Engine, "connect", wait_for_the_device)
    dbos = DBOS(config=config)
    DBOS.launch()
    line = {"workload": workload, "settings": settings, "durability": durability(dbos._sys_db.engine)}

    # In a thread of its own, so that work which takes longer than it may is given up.
    failures: list[BaseException] = []

    def work() -> None:
        try:
            run_all(runs, steps)
        except BaseException as failure:
            failures.append(failure)

    thread = threading.Thread(target=work, daemon=True)
    since = time.perf_counter()
    thread.start()
    thread.join(float(limit))
    took = time.perf_counter() - since
    complete = not thread.is_alive()
    done = next(begun)
    if failures:
        raise failures[0]
    if complete and done < runs * steps:
        raise RuntimeError(f"it says that it ended, but {done} of {runs * steps} steps began")
    line |= {"steps": min(done, runs * steps), "of": runs * steps, "complete": complete, "seconds": took}
    print(json.dumps(line), flush=True)
    os._exit(0)


main()
