# SPDX-License-Identifier: Apache-2.0
"""HOW MUCH OF IT IS OURS? Written down by a worker about itself.

Python imports a module of this name when it begins. From when a worker is
forked each piece of memory is kept with the calls that asked for it; it is
ours if the innermost of them that is not of the standard library is in
edge_filters. What is there before, code above all, does not grow.
"""

import collections
import gc
import json
import os
import pathlib
import sysconfig
import threading
import time
import tracemalloc

_INTERVAL_S = 60
_CALLS = 8
_LARGEST = 5
_OURS = f'{os.sep}edge_filters{os.sep}'
_PACKAGES = f'{os.sep}site-packages{os.sep}'
_STANDARD = sysconfig.get_path('stdlib') + os.sep


def _is_standard(name):
    return name.startswith(('<', _STANDARD)) and _PACKAGES not in name


def _line_of_ours(traceback):
    """Return where we asked for it; None: it was somebody else.

    :param traceback: names of files and numbers of lines, innermost first
    """
    for name, line in traceback:
        if _OURS in name:
            return f'{name.rpartition(_OURS)[2]}:{line}'
        if not _is_standard(name):
            return None
    return None


def _look():
    # What refers to itself waits for it, and is nobody's any more.
    gc.collect()
    lines = collections.Counter()
    # Many have the same calls, as one and the same object. Only as they are
    # inside can they be looked through in a second.
    known = {}
    traces = tracemalloc.take_snapshot().traces._traces
    for _, size, traceback, *_ in traces:
        if id(traceback) not in known:
            known[id(traceback)] = _line_of_ours(traceback)
        line = known[id(traceback)]
        if line:
            lines[line] += size
    return {
        'at_s': time.monotonic(),
        'kb': lines.total() / 1024,
        'largest': dict(lines.most_common(_LARGEST)),
    }


def _run(path):
    while True:
        seen = json.dumps(_look())
        with path.open('a') as file:
            file.write(f'{seen}\n')
        time.sleep(_INTERVAL_S)


def _start():
    tracemalloc.start(_CALLS)
    path = pathlib.Path(os.environ['SOAK_TRACES'], f'{os.getpid()}.json')
    threading.Thread(target=_run, args=(path,), daemon=True).start()


if 'SOAK_TRACES' in os.environ:
    os.register_at_fork(after_in_child=_start)
