# SPDX-License-Identifier: Apache-2.0
"""``edge-latency-agent``"""

import sys


def main() -> int:
    """Run the agent by the arguments of the process."""
    try:
        from edge_filters.agent import service
    except ImportError as error:
        print(
            f'edge-latency-agent: {error}; pip install edge-filters[agent] '
            'has what it needs',
            file=sys.stderr,
        )
        return 2
    return service.main(sys.argv[1:])
