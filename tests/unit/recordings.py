# SPDX-License-Identifier: Apache-2.0
"""WHAT DID THE REAL API ANSWER? And does a stand-in answer alike?

The recordings are made by ``tests/cloud/record.py``: each is a file, named
after what was asked, with the request, the status and the answer.
"""

import json
import pathlib
import re

FOLDER = pathlib.Path(__file__).parent / 'recorded'

# Whoever uses these chooses the keys.
_FREE = {'extra_specs', 'metadata', 'os:scheduler_hints', 'scheduler_hints'}
_ID = re.compile('[0-9a-f-]{36}')


def read(name):
    """Return a recording.

    :returns: with ``method``, ``path``, ``microversion``, ``request``,
        ``status``, ``content_type`` and ``answer``
    """
    return json.loads((FOLDER / f'{name}.json').read_text())


def differences(real, other, where=''):
    """Yield in words where an answer has not the form of a real one.

    The keys and the types are the form. What either does not know, as it is
    null or the list is empty, is of any form.
    """
    if real is None or other is None:
        return
    if type(real) is not type(other):
        yield f'{where}: {type(other).__name__}, not {type(real).__name__}'
    elif isinstance(real, dict):
        if where.rpartition('.')[2] in _FREE:
            return
        if all(map(_ID.fullmatch, real.keys() | other.keys())):
            real, other = list(real.values()), list(other.values())
            yield from differences(real, other, where)
            return
        for key in sorted(real.keys() ^ other.keys()):
            yield f'{where}.{key}: only {"real" if key in real else "fake"}'
        for key in real.keys() & other.keys():
            yield from differences(real[key], other[key], f'{where}.{key}')
    elif isinstance(real, list):
        for item in other if real else ():
            each = [list(differences(it, item, f'{where}[]')) for it in real]
            yield from min(each, key=len)
