# SPDX-License-Identifier: Apache-2.0
"""WHAT BREAKS? Each fault, and how it is mended."""

import contextlib
import dataclasses
import json
import os
import time
import typing

from smallcloud import processes
from tests.cloud import base
from tests.trials import figures
from tests.trials import load

SCHEDULER = 'nova-scheduler-1'
# The site that suffers, and the one that the map file has a figure of.
SITE = 'site-1'
MAP_SITE = 'site-2'
MAPPED = 'mapped'
MAPPED_MS = 3.0
MAP = base.FOLDER / 'state' / 'trials-map.json'
AGENT = 'edge-latency-agent'
_FORCE_DOWN_AFTER_S = 1.0


@dataclasses.dataclass
class Trial:
    """What a fault is done to.

    :ivar run: the number of the run, from 0 on
    :ivar locks: one for each site, for who changes its aggregate
    """

    cloud: load.Cloud
    services: processes.Processes
    record: figures.Record
    locks: dict[str, typing.Any]
    run: int


class Fault:
    """Nothing breaks: what the others are compared with."""

    name = 'none'

    def break_(self, trial):
        """Have it happen."""

    def mend(self, trial):
        """Have the supervisor, or the operator, put it right."""


class Crash(Fault):
    """A service and its workers get kill -9, and are started again."""

    def __init__(self, name, service):
        self.name = name
        self._service = service

    def break_(self, trial):
        trial.services.kill(self._service)

    def mend(self, trial):
        trial.services.restart(self._service)


class WorkerCrash(Fault):
    """A worker of a scheduler gets kill -9; the scheduler starts another."""

    name = 'worker'

    def break_(self, trial):
        trial.services.kill_worker(SCHEDULER)


class SiteDown(Fault):
    """All hosts of a site go down; a second later Nova is told."""

    name = 'computes'

    def break_(self, trial):
        for host in trial.cloud.hosts[SITE]:
            trial.services.kill(f'nova-{host}')
        time.sleep(_FORCE_DOWN_AFTER_S)
        self._force_down(trial, True)

    def mend(self, trial):
        for host in trial.cloud.hosts[SITE]:
            trial.services.restart(f'nova-{host}')
        self._force_down(trial, False)

    def _force_down(self, trial, is_down):
        call = trial.cloud.call(
            'GET', 'compute', '/os-services?binary=nova-compute'
        )
        for service in call.body['services']:
            if service['host'] in trial.cloud.hosts[SITE]:
                trial.cloud.call(
                    'PUT',
                    'compute',
                    f'/os-services/{service["id"]}',
                    {'forced_down': is_down},
                )


class AggregateGone(Fault):
    """A site's aggregate is deleted, and made again later."""

    name = 'aggregate'

    def break_(self, trial):
        cloud = trial.cloud
        with trial.locks[SITE]:
            path = f'/os-aggregates/{cloud.sites[SITE]}'
            sent = time.time()
            shown = load.done(cloud.call('GET', 'compute', path))
            self._metadata = shown.body['aggregate']['metadata']
            for host in cloud.hosts[SITE]:
                _act(cloud, path, {'remove_host': {'host': host}})
            load.done(cloud.call('DELETE', 'compute', path))
            trial.record.remove_site(SITE, sent, time.time())

    def mend(self, trial):
        cloud = trial.cloud
        with trial.locks[SITE]:
            sent = time.time()
            made = cloud.call(
                'POST',
                'compute',
                '/os-aggregates',
                {'aggregate': {'name': SITE}},
            )
            cloud.sites[SITE] = load.done(made).body['aggregate']['id']
            path = f'/os-aggregates/{cloud.sites[SITE]}'
            _act(cloud, path, {'set_metadata': {'metadata': self._metadata}})
            for host in cloud.hosts[SITE]:
                _act(cloud, path, {'add_host': {'host': host}})
            for key, rtt_ms in self._metadata.items():
                if key.startswith('edge:rtt:'):
                    trial.record.add(
                        SITE,
                        key.removeprefix('edge:rtt:'),
                        figures.Write(
                            float(rtt_ms.split()[0]), sent, time.time()
                        ),
                    )


class Rubbish(Fault):
    """The map file is overwritten, and then replaced, by what is no map.

    Other rubbish in each run. The schedulers look at it every five seconds.
    """

    name = 'map-file'
    kinds = (
        b'\x00\xff\xfe\x80' * 1000,
        b'',
        b'[{"meta": {"cost-type": ',
        b'[1' + b'0' * 5000 + b']',
        b'[' * 100_000,
        b'"a map"',
    )

    def break_(self, trial):
        first, second = (
            self.kinds[(2 * trial.run + number) % len(self.kinds)]
            for number in (0, 1)
        )
        MAP.write_bytes(first)
        time.sleep(2.5)
        _replace_map(second)

    def mend(self, trial):
        write_map()


def write_map():
    """Write the map file as it should be."""
    cost_map = {MAPPED: {MAP_SITE: MAPPED_MS * 1000}}
    _replace_map(
        json.dumps(
            [
                {
                    'meta': {
                        'cost-type': {
                            'cost-mode': 'numerical',
                            'cost-metric': 'delay-rt',
                        }
                    },
                    'cost-map': cost_map,
                }
            ]
        ).encode()
    )


def _replace_map(content):
    new = MAP.with_suffix('.new')
    new.write_bytes(content)
    os.replace(new, MAP)


def _act(cloud, path, action):
    return load.done(cloud.call('POST', 'compute', f'{path}/action', action))


FAULTS = {
    fault.name: fault
    for fault in (
        Fault(),
        Crash('scheduler', SCHEDULER),
        WorkerCrash(),
        Crash('broker', 'broker'),
        Crash('database', 'database'),
        Crash('placement', 'placement'),
        Crash('agent', AGENT),
        SiteDown(),
        AggregateGone(),
        Rubbish(),
    )
}


def mend_all(trial):
    """Start whatever is down, and bring back what is missing."""
    for name in trial.services.names():
        if trial.services.pid(name) is None:
            trial.services.restart(name)
    if not MAP.exists():
        write_map()
    with contextlib.suppress(OSError):
        known = trial.cloud.call('GET', 'compute', '/os-aggregates')
        names = {it['name'] for it in load.done(known).body['aggregates']}
        if SITE not in names:
            FAULTS['aggregate'].mend(trial)
