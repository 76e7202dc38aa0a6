# SPDX-License-Identifier: Apache-2.0
"""HOW MUCH MEMORY IS IT? What the kernel says of this process."""

import pathlib


def used_mb(name: str) -> float:
    """Return memory in MB.

    :param name: ``VmRSS``, what is used now, or ``VmHWM``, the most so far;
        see proc(5)
    """
    for line in pathlib.Path('/proc/self/status').read_text().splitlines():
        if line.startswith(f'{name}:'):
            return int(line.split()[1]) / 1024
    raise AssertionError('This system does not tell how much memory is used')
