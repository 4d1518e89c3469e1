#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Draws tests/golden/demo/cases.jsonl, the conversations that tests/e2e/demo_tasks.c plays with the demonstration model.

    make_demo_cases.py TASKS.py OUT.jsonl [SEED]

TASKS.py: the file that the model's skills are drawn from (its functions sample and right). One JSON object a line:
name (kind, for "needle" with the number of lines), messages, tools where there are any, thinking_mode, and the right
`answer` or `calls`. Lines go round the kinds, so that the first lines hold some of each. Never run by the tests.
"""
import importlib.util
import json
import sys

import numpy as np

COUNT = 48
LONG = 40
KINDS = (("hello", {}, COUNT), ("capital", {}, COUNT), ("add", {}, COUNT), ("count", {}, COUNT), ("repeat", {}, COUNT),
         ("needle", {}, COUNT), ("needle", {"lines": 40}, LONG), ("needle", {"lines": 150}, LONG), ("tool_call", {}, COUNT),
         ("tool_answer", {}, COUNT))


def main():
    spec = importlib.util.spec_from_file_location("tasks", sys.argv[1])
    tasks = importlib.util.module_from_spec(spec)
    sys.modules["tasks"] = tasks
    spec.loader.exec_module(tasks)
    rng = np.random.RandomState(int(sys.argv[3]) if len(sys.argv) > 3 else 20260)
    with open(sys.argv[2], "w", encoding="utf-8") as out:
        for i in range(COUNT):
            for kind, size, count in KINDS:
                if i >= count:
                    continue
                if kind == "needle" and not size:  # 4 to 60 lines, evenly on a logarithmic scale
                    drawn = {"lines": int(np.exp(rng.uniform(np.log(4), np.log(61))))}
                else:
                    drawn = size
                s = tasks.sample(kind, rng, **drawn)
                modes = ("enabled", "adaptive") if kind == "add" else ("enabled", "adaptive", "disabled")
                case = {"name": kind + (f"_{size['lines']}" if size else ""), "messages": s.messages}
                if s.tools:
                    case["tools"] = s.tools
                case["thinking_mode"] = modes[rng.randint(len(modes))]
                if kind == "tool_call":
                    case["calls"] = s.calls
                else:
                    case["answer"] = s.answer
                out.write(json.dumps(case, ensure_ascii=False) + "\n")


main()
