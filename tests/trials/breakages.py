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
    """Nothing breaks: what the others are compared with.

    :ivar down_s: how long it is broken
    :ivar origin: whose users every other boot is for; None: of any
    """

    name = 'none'
    down_s = 4.0
    origin = None

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
            if trial.services.pid(f'nova-{host}') is None:
                trial.services.restart(f'nova-{host}')
        self._force_down(trial, False)

    def _force_down(self, trial, is_down):
        call = trial.cloud.call(
            'GET', 'compute', '/os-services?binary=nova-compute'
        )
        calls = [
            trial.cloud.call(
                'PUT',
                'compute',
                f'/os-services/{service["id"]}',
                {'forced_down': is_down},
            )
            for service in load.done(call).body['services']
            if service['host'] in trial.cloud.hosts[SITE]
            and service['forced_down'] != is_down
        ]
        # One that fails leaves no other host as it was.
        for call in calls:
            load.done(call)


class AggregateGone(Fault):
    """A site's aggregate is deleted, and made again later."""

    name = 'aggregate'
    # What it had: whoever is interrupted mends it next time.
    _kept = base.FOLDER / 'state' / 'trials-aggregate.json'

    def break_(self, trial):
        cloud = trial.cloud
        with trial.locks[SITE]:
            path = f'/os-aggregates/{cloud.sites[SITE]}'
            sent = time.time()
            shown = load.done(cloud.call('GET', 'compute', path))
            kept = json.dumps(shown.body['aggregate'])
            _replace(self._kept, kept.encode())
            for host in cloud.hosts[SITE]:
                _act(cloud, path, {'remove_host': {'host': host}})
            load.done(cloud.call('DELETE', 'compute', path))
            trial.record.remove_site(SITE, sent, time.time())

    def mend(self, trial):
        if not self._kept.exists():
            return
        cloud = trial.cloud
        was = json.loads(self._kept.read_text())
        with trial.locks[SITE]:
            sent = time.time()
            found = _aggregate(cloud)
            path = f'/os-aggregates/{found["id"]}'
            cloud.sites[SITE] = found['id']
            cloud.hosts[SITE] = was['hosts']
            _act(cloud, path, {'set_metadata': {'metadata': was['metadata']}})
            for host in set(was['hosts']) - set(found['hosts'] or ()):
                _act(cloud, path, {'add_host': {'host': host}})
            for key, rtt_ms in was['metadata'].items():
                if key.startswith('edge:rtt:'):
                    trial.record.add(
                        SITE,
                        key.removeprefix('edge:rtt:'),
                        figures.Write(
                            float(rtt_ms.split()[0]), sent, time.time()
                        ),
                    )
        self._kept.unlink()


class Rubbish(Fault):
    """The map file is overwritten, or replaced, by what is no map.

    By turns, and other rubbish in each run, until the last boot. The
    schedulers look at it every five seconds.
    """

    name = 'map-file'
    down_s = 8.0
    origin = MAPPED
    kinds = (
        b'\x00\xff\xfe\x80' * 1000,
        b'',
        b'[{"meta": {"cost-type": ',
        b'[1' + b'0' * 5000 + b']',
        b'[' * 100_000,
        b'"a map"',
    )

    def break_(self, trial):
        rubbish = self.kinds[trial.run % len(self.kinds)]
        if trial.run % 2:
            _replace(MAP, rubbish)
        else:
            MAP.write_bytes(rubbish)

    def mend(self, trial):
        write_map()


def write_map():
    """Write the map file as it should be."""
    cost_map = {MAPPED: {MAP_SITE: MAPPED_MS * 1000}}
    _replace(
        MAP,
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
        ).encode(),
    )


def _replace(path, content):
    new = path.with_suffix('.new')
    new.write_bytes(content)
    os.replace(new, path)


def _aggregate(cloud):
    """Return the aggregate of the site that suffers; make it if need be."""
    known = load.done(cloud.call('GET', 'compute', '/os-aggregates'))
    for it in known.body['aggregates']:
        if it['name'] == SITE:
            return it
    body = {'aggregate': {'name': SITE}}
    made = load.done(cloud.call('POST', 'compute', '/os-aggregates', body))
    return made.body['aggregate'] | {'hosts': []}


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
    """Start whatever is down, and bring back what is missing.

    Whoever was interrupted may have left any of it.
    """
    for name in trial.services.names():
        if trial.services.pid(name) is None:
            trial.services.restart(name)
    write_map()
    for fault in ('aggregate', 'computes'):
        with contextlib.suppress(OSError):
            FAULTS[fault].mend(trial)
