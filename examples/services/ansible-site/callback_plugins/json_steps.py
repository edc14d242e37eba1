"""An Ansible stdout callback that reports each task as a step, one JSON line each."""

import json
import sys

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
    name: json_steps
    type: stdout
    short_description: Reports tasks as JSON lines
    description:
      - Prints a JSON object when a task starts, and one when it has ended on all hosts.
    requirements:
      - Set as the stdout callback in the configuration.
"""


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "json_steps"

    def __init__(self):
        super().__init__()
        self._task = None  # name of the task under way
        self._notes = []  # what became of it: "changed on localhost"
        self._errors = []

    def _print(self, text):
        sys.stdout.write(text + "\n")
        sys.stdout.flush()

    def _report(self, name, state, **more):
        self._print(json.dumps({"name": name, "state": state, **more}))

    # A task may run on many hosts, so it has ended when the next one starts
    # or when the playbook has.

    def _start(self, task):
        self._end()
        self._task = task.get_name()
        self._report(self._task, "running")

    def _end(self):
        if self._task is None:
            return
        if self._errors:
            self._report(self._task, "failure", error_message="; ".join(self._errors))
        else:
            self._report(self._task, "success", message=", ".join(self._notes) or "no hosts")
        self._task, self._notes, self._errors = None, [], []

    def _note(self, result, what):
        self._notes.append("%s on %s" % (what, result._host.get_name()))

    def _error(self, result, default):
        # Of a task with no_log, Ansible has already taken the message out.
        message = str(result._result.get("msg") or default)
        stderr = str(result._result.get("stderr") or "").strip()
        if stderr:
            self._print(stderr)
        self._errors.append("%s: %s" % (result._host.get_name(), message))

    # -- what Ansible calls ----------------------------------------------

    def v2_playbook_on_play_start(self, play):
        self._end()
        self._print("play: %s" % (play.get_name() or "unnamed"))

    def v2_playbook_on_task_start(self, task, is_conditional):
        self._start(task)

    def v2_playbook_on_handler_task_start(self, task):
        self._start(task)

    def v2_runner_on_ok(self, result):
        self._note(result, "changed" if result._result.get("changed") else "ok")

    def v2_runner_on_skipped(self, result):
        self._note(result, "skipped")

    def v2_runner_on_failed(self, result, ignore_errors=False):
        if ignore_errors:
            self._note(result, "failed, ignored,")
        else:
            self._error(result, "the task failed")

    def v2_runner_on_unreachable(self, result):
        self._error(result, "the host cannot be reached")

    def v2_playbook_on_stats(self, stats):
        self._end()
        for host in sorted(stats.processed):
            counts = stats.summarize(host)
            self._print("%s: %s" % (host, ", ".join("%s %d" % pair for pair in sorted(counts.items()))))
