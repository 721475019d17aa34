# SPDX-License-Identifier: MIT
"""kernel_log - what no boot's kernel may say, wherever it runs."""
import re

ALARMING = re.compile(r'WARNING:|\bBUG\b|\bstall|lockup|\bOops\b|Call Trace|blocked for more than|'
                      r'Unable to handle|rcu:.*detected|clocksource: .*unstable|failed to come online|'
                      r'stale (?:translation|code):')


def complaints(log):
    return [line for line in log.splitlines() if ALARMING.search(line)]
