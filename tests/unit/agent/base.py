# SPDX-License-Identifier: Apache-2.0
"""What the tests of the agent share."""

import pathlib
import threading
import time
import typing

import fixtures
from oslo_config import cfg

from edge_filters.agent import probe
from edge_filters.agent import reading
from edge_filters.conf import agent as agent_conf

SITE = {'site': 'par', 'name': 'here', 'origin': ['paris 192.0.2.1']}


def settings(**options):
    """Return settings of an agent at the site ``par``, but for options."""
    lines = []
    for name, value in {**SITE, **options}.items():
        for it in value if isinstance(value, list) else [value]:
            if it is not None:
                lines.append(f'{name} = {it}\n')
    with fixtures.TempDir() as folder:
        path = pathlib.Path(folder.join('agent.conf'))
        path.write_text('[edge_latency_agent]\n' + ''.join(lines))
        config = cfg.ConfigOpts()
        agent_conf.register_opts(config)
        config(['--config-file', str(path)], project='edge-filters')
        return agent_conf.read(config)


class Driver(probe.Probe):
    """A driver that sees what it is told to see, by beacon."""

    seen: typing.ClassVar = {}

    def measure(self, spread_s, stop):
        for beacon in self.beacons:
            seen = self.seen[beacon.host]
            if isinstance(seen, Exception):
                raise seen
            rtts_ms = tuple(it for it in seen if it is not None)
            yield (
                beacon.path,
                reading.Echoes(rtts_ms, len(seen), time.time(), beacon.host),
            )


def never():
    """Return an event that nobody sets."""
    return threading.Event()
