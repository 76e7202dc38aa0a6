# SPDX-License-Identifier: Apache-2.0
"""WHAT HAPPENS IN AN HOUR? Servers come, move and go; figures change.

A quarter of an hour has the work of an hour: 600 servers that boot and are
deleted, 120 that move meanwhile, and 7,500 updates of aggregates, which is a
little more than one agent may write with its two calls a second.

Some of it is bad on purpose, and all the time: metadata, hints, flavors and
map files, so that whatever has a warning gives it.
"""

import collections
import concurrent.futures
import contextlib
import datetime
import itertools
import json
import random
import threading
import time

# A minute of it.
BOOTS = 40
MOVES = 8
UPDATES = 500
# What there has to be of it, and of samples; a machine with other work does
# less. Servers that we refuse are not moved.
LEAST = {'boot': 32, 'move': 5, 'update': 400, 'sample': 1}
_MOVES = ('live migrate', 'migrate', 'resize', 'shelve')
# What came of what was done as it should be.
_DONE = ('done', 'refused by us', 200)

PREFIX = 'soak-'
_THREADS = 32
_UPDATERS = 4
_DWELL_S = 8
_LIST_S = 1
# What takes longer is counted as lost: whoever deletes a server while it is
# built makes Nova shun the host.
_PATIENCE_S = 300
_SEED = 1968
CITIES = ('city-1', 'city-2', 'city-3')
# Whose figures are still while somebody looks.
SEEN = ('soak-seen-1', 'soak-seen-2', 'soak-seen-3')
# In the map file, and in no aggregate.
MAPPED = 'soak-mapped'
# What matters to all origins.
_OF_ALL = ('edge:status', 'edge:prefixes', 'edge:rtt_default')
_STALE_S = 7200
_MAP_S = 12

TINY, SMALL, BAD = 'm1.tiny', 'm1.small', f'{PREFIX}bad'


class Tally:
    """Counts what was done, by kind and outcome."""

    def __init__(self):
        self._lock = threading.Lock()
        self.counts = collections.defaultdict(collections.Counter)

    def add(self, kind, outcome):
        with self._lock:
            self.counts[kind][outcome] += 1

    def done(self):
        """Return how much was done as it should be, by kind."""
        done = collections.Counter()
        for kind, outcomes in self.counts.items():
            name = 'move' if kind in _MOVES else kind.partition(',')[0]
            done[name] += sum(outcomes[it] for it in _DONE)
        return done


class Servers:
    """What the API says of all servers, asked for all who wait at once."""

    def __init__(self, cloud):
        self._cloud = cloud
        self._changed = threading.Condition()
        self._listed_s = 0.0
        self._servers = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(
            target=self._run, name='servers', daemon=True
        )
        self._thread.start()

    def _run(self):
        while not self._ended.wait(_LIST_S):
            began_s = time.monotonic()
            try:
                servers = {it['id']: it for it in self._cloud.servers()}
            except OSError:
                # Those who wait have patience.
                continue
            with self._changed:
                self._listed_s, self._servers = began_s, servers
                self._changed.notify_all()

    def wait(self, server, is_so):
        """Wait until something is so of a server; return it, as it is then.

        :param is_so: what has to be so, given the server; None: it is gone
        :raises TimeoutError: if it takes too long
        """
        asked_s = time.monotonic()
        with self._changed:
            if not self._changed.wait_for(
                lambda: (
                    self._listed_s > asked_s
                    and is_so(self._servers.get(server))
                ),
                _PATIENCE_S,
            ):
                raise TimeoutError(self._servers.get(server))
            return self._servers.get(server)

    def wait_booted(self, server):
        return self.wait(
            server, lambda it: it is not None and it['status'] != 'BUILD'
        )

    def wait_idle(self, server):
        """Wait until nothing is done to a server any more."""
        return self.wait(
            server,
            lambda it: it is None or it['OS-EXT-STS:task_state'] is None,
        )

    def stop(self):
        self._ended.set()
        self._thread.join()


class Hour:
    """The work, in threads of its own.

    :param cloud: load.Cloud
    :param servers: Servers
    :param map_file: the path of a map file that schedulers read; None: none
    :ivar tally: what was done
    :ivar still: whoever holds it sees nothing change of the origins SEEN, nor
        of what matters to all origins
    """

    def __init__(self, cloud, servers, map_file=None):
        self.cloud = cloud
        self.servers = servers
        self.tally = Tally()
        self.still = threading.Lock()
        self._map_file = map_file
        self._ended = threading.Event()
        self._random = random.Random(_SEED)
        self._numbers = itertools.count(1)
        self._moves = itertools.cycle(
            (self._migrate, self._live_migrate, self._resize, self._shelve)
        )
        self._pool = concurrent.futures.ThreadPoolExecutor(_THREADS)
        self._updaters = concurrent.futures.ThreadPoolExecutor(_UPDATERS)
        self._changes = _changes(random.Random(_SEED))
        self._choosing = threading.Lock()
        self._threads = []
        compute = cloud.openstack.compute
        self._flavors = {it.name: it.id for it in compute.flavors()}
        self._image = cloud.openstack.image.find_image('ubuntu').id
        self._was = {it.id: dict(it.metadata) for it in compute.aggregates()}
        self._project = cloud.openstack.current_project_id
        self._bad_flavor = None

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            stack.callback(self._restore)
            self._prepare()
            stack.pop_all()
        return self

    def __exit__(self, *_exc_info):
        self.stop()
        self._restore()

    def _prepare(self):
        compute = self.cloud.openstack.compute
        # Versions from 2.86 on would refuse what it says.
        flavor = compute.create_flavor(name=BAD, ram=512, vcpus=1, disk=1)
        self._bad_flavor = flavor.id
        compute.post(
            f'/flavors/{flavor.id}/os-extra_specs',
            json={'extra_specs': {'edge:max_rtt_ms': 'soon'}},
            microversion='2.61',
        ).raise_for_status()
        self._flavors[BAD] = flavor.id
        for number, site in enumerate(self.cloud.sites):
            self.cloud.set_metadata(
                site,
                prefixes=f'198.18.{number}.0/24,198.18.{number}.0/25',
                **{f'rtt:{origin}': str(4 + number) for origin in SEEN},
            )
        if self._map_file is not None:
            self._map_file.write_text(good_map(self._project))
        # A build that succeeds takes back that Nova shuns a host for those
        # that failed, be that in an earlier run.
        for service in compute.services(binary='nova-compute'):
            booted = self.boot('first', {}, host=service.host)
            server = booted.body['server']['id']
            self.servers.wait_booted(server)
            self.cloud.delete(server)

    def _restore(self):
        """Leave the cloud as it was."""
        for it in self._left():
            self.cloud.delete(it['id'])
        deadline = time.monotonic() + _PATIENCE_S
        while self._left() and time.monotonic() < deadline:
            time.sleep(_LIST_S)
        compute = self.cloud.openstack.compute
        if self._bad_flavor is not None:
            compute.delete_flavor(self._bad_flavor)
        for aggregate in compute.aggregates():
            was = self._was[aggregate.id]
            gone = dict.fromkeys(aggregate.metadata.keys() - was.keys())
            compute.set_aggregate_metadata(aggregate.id, {**was, **gone})
        if self._map_file is not None:
            self._map_file.unlink(missing_ok=True)

    def _left(self):
        return [
            it for it in self.cloud.servers() if it['name'].startswith(PREFIX)
        ]

    def start(self):
        """Begin all of it."""
        tasks = [
            (60 / BOOTS, lambda: self._pool.submit(self._live)),
            (60 / UPDATES, lambda: self._updaters.submit(self._update)),
        ]
        if self._map_file is not None:
            versions = itertools.cycle(maps(self._project))
            tasks.append(
                (_MAP_S, lambda: self._map_file.write_text(next(versions)))
            )
        for interval_s, task in tasks:
            thread = threading.Thread(
                target=self._repeat, args=(interval_s, task), daemon=True
            )
            self._threads.append(thread)
            thread.start()

    def stop(self):
        """Begin nothing more, and end what was begun."""
        self._ended.set()
        for thread in self._threads:
            thread.join()
        self._updaters.shutdown(cancel_futures=True)
        self._pool.shutdown(cancel_futures=True)

    def _repeat(self, interval_s, task):
        """Do it at set times; what was held up is done later."""
        due_s = time.monotonic()
        while not self._ended.wait(max(0.0, due_s - time.monotonic())):
            due_s += interval_s
            task()

    def boot(self, name, hints, flavor=TINY, **more):
        """Ask for a server; return the Call.

        :param more: what else is said of the server
        """
        return self.cloud.call(
            'POST',
            'compute',
            '/servers',
            {
                'server': {
                    'name': f'{PREFIX}{name}',
                    'flavorRef': self._flavors[flavor],
                    'imageRef': self._image,
                    'networks': 'none',
                    **more,
                },
                'OS-SCH-HNT:scheduler_hints': hints,
            },
        )

    def delete(self, server):
        """Delete a server, and count how that went."""
        call = self.cloud.delete(server)
        try:
            self.servers.wait(server, lambda it: it is None)
        except TimeoutError:
            self.tally.add('delete', 'lost')
            return
        self.tally.add('delete', 'done' if call.is_done else call.status)

    def _live(self):
        """The life of a server, from its boot to its end."""
        number = next(self._numbers)
        hints, flavor = _wish(self._random)
        booted = self.boot(number, hints, flavor)
        if not booted.is_done:
            self.tally.add('boot', outcome(booted.status, str(booted.body)))
            return
        server = booted.body['server']['id']
        try:
            is_up = self._see_boot(server)
            self._ended.wait(_DWELL_S)
            if is_up and number % (BOOTS // MOVES) == 0:
                self._move(server)
        except TimeoutError:
            self.tally.add('server', 'lost')
        self.delete(server)

    def _see_boot(self, server):
        seen = self.servers.wait_booted(server)
        if seen['status'] == 'ACTIVE':
            self.tally.add('boot', 'done')
            return True
        self.tally.add('boot', outcome(0, fault(seen)))
        return False

    def _move(self, server):
        before = self.servers.wait_idle(server)
        move = next(self._moves)
        kind = move.__name__.strip('_').replace('_', ' ')
        call = move(server)
        if not call.is_done:
            self.tally.add(kind, outcome(call.status, str(call.body)))
            return
        after = self.servers.wait_idle(server)
        if after['status'] == 'VERIFY_RESIZE':
            self.act(server, 'confirmResize')
            self.servers.wait(server, lambda it: it['status'] == 'ACTIVE')
        host = 'OS-EXT-SRV-ATTR:host'
        has_moved = kind == 'shelve' or after[host] != before[host]
        is_up = after['status'] in ('ACTIVE', 'VERIFY_RESIZE')
        self.tally.add(kind, 'done' if has_moved and is_up else 'refused')

    def act(self, server, action, **body):
        """Have something done to a server; return the Call."""
        return self.cloud.call(
            'POST',
            'compute',
            f'/servers/{server}/action',
            {action: body or None},
        )

    def migrate(self, server):
        """Have a server cold migrated; return the Call."""
        return self.act(server, 'migrate', host=None)

    _migrate = migrate

    def _live_migrate(self, server):
        return self.act(
            server, 'os-migrateLive', host=None, block_migration='auto'
        )

    def _resize(self, server):
        flavor = self._random.choice((SMALL, SMALL, BAD))
        return self.act(server, 'resize', flavorRef=self._flavors[flavor])

    def _shelve(self, server):
        shelved = self.act(server, 'shelve')
        if not shelved.is_done:
            return shelved
        self.servers.wait(
            server, lambda it: it['status'] == 'SHELVED_OFFLOADED'
        )
        return self.act(server, 'unshelve')

    def _next_change(self):
        with self._choosing:
            return next(self._changes)

    def _update(self):
        """Change an aggregate; while somebody looks, what does not matter."""
        kind, change = self._next_change()
        while _is_seen(change) and not self.still.acquire(blocking=False):
            kind, change = self._next_change()
        try:
            site = self._random.choice(list(self.cloud.sites))
            call = self.cloud.call(
                'POST',
                'compute',
                f'/os-aggregates/{self.cloud.sites[site]}/action',
                {'set_metadata': {'metadata': change}},
            )
        finally:
            if _is_seen(change):
                self.still.release()
        self.tally.add(f'update, {kind}', call.status)


def outcome(status, text):
    """Return an outcome in a word or two, of a call or a server."""
    if 'edge:' in text or 'edge site' in text:
        return 'refused by us'
    if 'No valid host' in text:
        return 'refused by Nova'
    return f'{status} {text[:100]}'


def fault(server):
    """Return why a server is in ERROR, as its user sees it."""
    return server.get('fault', {}).get('message', '')


def _wish(choice):
    """Return the hints and the flavor of a server."""
    city = choice.choice(CITIES)
    wishes = (
        (45, {'edge:origin': city, 'edge:max_rtt_ms': '60'}, TINY),
        (15, {'edge:origin': city}, TINY),
        (10, {}, TINY),
        (5, {'edge:origin': MAPPED}, TINY),
        (5, {'edge:origin': city, 'edge:avoid_site': 'site-1'}, TINY),
        (5, {'edge:client_ip': f'198.18.{choice.randrange(3)}.7'}, TINY),
        # Of these there will be no server.
        (5, {'edge:origin': city, 'edge:max_rtt_ms': '0.01'}, TINY),
        (5, {'edge:origin': city, 'edge:max_rtt_ms': 'soon'}, TINY),
        (5, {'edge:origin': city}, BAD),
    )
    weights = [it[0] for it in wishes]
    ((_, hints, flavor),) = choice.choices(wishes, weights)
    return hints, flavor


def _changes(choice):
    """Yield changes of metadata without end, each with what sort it is."""
    while True:
        rtt_ms = round(choice.uniform(1, 40), 1)
        city = choice.choice((*CITIES, choice.choice(SEEN)))
        kind = choice.choices(('plain', 'dated', 'old', 'bad'), (4, 4, 1, 1))
        if kind == ['plain']:
            change = {f'edge:rtt:{city}': str(rtt_ms)}
        elif kind == ['dated']:
            change = {f'edge:rtt:{city}': _dated(rtt_ms, time.time())}
        elif kind == ['old']:
            old = _dated(rtt_ms, time.time() - _STALE_S)
            change = {f'edge:rtt:{city}': old}
        else:
            change = _bad(choice)
        yield kind[0], change


def _is_seen(change):
    """Return whether metadata matters to those who look."""
    seen = {f'edge:rtt:{origin}' for origin in SEEN}
    return not seen.union(_OF_ALL).isdisjoint(change)


def _dated(rtt_ms, at_s):
    """Return a figure as the agent writes it."""
    at = datetime.datetime.fromtimestamp(at_s, datetime.UTC)
    return (
        f'{rtt_ms} jitter=0.8 loss=0 n=20 at={at:%Y-%m-%dT%H:%M:%SZ} by=icmp'
    )


def _bad(choice):
    """Return metadata that has something wrong, never quite the same."""
    value = f'bad-{choice.randrange(1000)}'
    return choice.choice(
        (
            {'edge:rtt:soak-odd': value},
            {'edge:rtt:soak-odd': 'nan'},
            {'edge:status': choice.choice((value, 'active', 'draining'))},
            {'edge:latitude': value},
            {'edge:rtt_default': value},
            {'edge:soak-key': value},
            {'edge:prefixes': f'198.18.{choice.randrange(3)}.0/24,{value}'},
            {'edge_latency_weight_multiplier': choice.choice(('nan', value))},
            # More than are told at once, and each time others.
            {
                f'edge:rtt:soak-{choice.randrange(40)}': value
                for _ in range(20)
            },
        )
    )


def good_map(project):
    """Return a map file with figures, and a project of unknown users."""
    return json.dumps(_map(project))


def _map(project):
    cost_type = {'cost-mode': 'numerical', 'cost-metric': 'delay-rt'}
    figures = {f'site-{it}': 4000 * it for it in (1, 2, 3)}
    return {
        'meta': {'cost-type': cost_type},
        'cost-map': {MAPPED: figures},
        'projects': {project: ['soak-nobody']},
    }


def maps(project):
    """Return what a map file says by turns.

    What of it can be read says the same each time.
    """
    odd = _map(project)
    odd['cost-map'][MAPPED]['site-9'] = -1
    good = good_map(project)
    return good, 'rubbish', good, good[:-20], json.dumps(odd), good[:-10]
