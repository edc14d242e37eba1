"""Puts ids of things that exist into generated requests, so that they get further than `not found`.

`EYRIE_FUZZ_IDS` names a JSON file: lists of ids by the first segment of the path (`projects`, `runs` …), some of them of things
that the caller may not see; and under `kept` what must not be changed, since the caller would be gone with it.
"""

import json
import os
import random

import schemathesis
from schemathesis.core.parameters import ParameterLocation

with open(os.environ["EYRIE_FUZZ_IDS"], encoding="utf-8") as file:
    IDS = json.load(file)

# How often a generated id is exchanged; less often where what it names would be gone afterwards.
OFTEN = 0.85
SELDOM = 0.05
NOBODY = "01234567-89ab-7cde-8f01-23456789abcd"


def kind_of(field):
    """The list that the ids of a parameter or field such as `deployment` or `branch_id` are in."""
    name = field.removesuffix("_id")
    for candidate in (name + "s", name.removesuffix("y") + "ies", name + "es", "datasources" if name.endswith("datasource_id") else ""):
        if candidate in IDS:
            return candidate
    return None


def is_positive(case, location):
    """Whether this part of the request is meant to fit the document."""
    meta = getattr(case, "meta", None)
    if meta is None:
        return True
    part = meta.components.get(location)
    return part is None or part.mode.is_positive


def some(kind):
    return random.choice(IDS[kind])


@schemathesis.hook
def before_call(context, case, kwargs):
    chance = SELDOM if case.method == "DELETE" else OFTEN
    if case.path_parameters and is_positive(case, ParameterLocation.PATH):
        segments = case.operation.path.strip("/").split("/")
        for before, segment in zip(segments, segments[1:]):
            name = segment.strip("{}")
            if segment.startswith("{") and name in case.path_parameters and random.random() < chance:
                kind = before if name == "id" else kind_of(name)
                if kind in IDS:
                    case.path_parameters[name] = some(kind)
                elif name == "step":
                    case.path_parameters[name] = "0"
            if case.method != "GET" and case.path_parameters.get(name) in IDS["kept"]:
                case.path_parameters[name] = NOBODY
    if case.headers and "If-Match" in case.headers and random.random() < OFTEN:
        # Most things are of their first version, or were changed a few times.
        case.headers["If-Match"] = f'"{random.choice((1, 1, 1, 2, 3))}"'
    if case.query and is_positive(case, ParameterLocation.QUERY):
        for name in case.query:
            kind = kind_of(name)
            if kind and random.random() < OFTEN:
                case.query[name] = some(kind)
    if isinstance(case.body, dict) and is_positive(case, ParameterLocation.BODY):
        for name, value in case.body.items():
            kind = kind_of(name) if name.endswith("_id") else None
            if kind and isinstance(value, str) and random.random() < OFTEN:
                case.body[name] = some(kind)
