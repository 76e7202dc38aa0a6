# SPDX-License-Identifier: Apache-2.0
"""WHAT HAPPENS IN A TRIAL? Boots and updates, a fault, and its mending.

Time runs from the first boot on: a third of the boots, the fault, the mending
a few seconds later, the rest of the boots, and then as long as it takes until
no server is in BUILD, but not much longer than Nova needs to give up a lost
call.
"""

import collections
import concurrent.futures
import contextlib
import random
import threading
import time

from tests.trials import breakages
from tests.trials import census
from tests.trials import figures
from tests.trials import ground
from tests.trials import load
from tests.trials import scheduler_logs

BOOT_S = 11.0
BREAK_AT_S = 3.7
# How long after the last server that came to an end another one may.
SETTLE_S = ground.RPC_TIMEOUT_S + 10.0
_MAX_SETTLE_S = 90.0
UPDATES_PER_MINUTE = 500
_ORIGINS = ('trial-1', 'trial-2', 'trial-3')
_RTTS_MS = (4.0, 8.0, 16.0, 24.0, None)
# Where all is well again a server goes to the site that suffered.
_CHECK, _CHECK_MS = 'check', 2.0
_QUIET, _QUIET_MS, _QUIET_BUDGET_MS = 'quiet', 5.0, 20.0
_QUIET_CHANGED_MS = 40.0
_QUIET_BOOTS = 8
_FAULT_BUDGET_MS = 10.0
_RECOVERY_S = 60.0
_CLEAN_S = 60.0
_LEAVING_S = 10.0
_AGAIN_S = 15.0
_POLL_S = 0.7
# How often it is looked whether a server is up before another is asked for.
_CHECKS = 25
# Of ten boots: origin and budget in ms. No site meets 1 ms.
_MIX = (
    ('trial-1', 20.0),
    ('trial-2', 10.0),
    ('trial-3', 20.0),
    (None, None),
    (breakages.MAPPED, 10.0),
    ('trial-2', 20.0),
    (ground.MEASURED, 50.0),
    ('trial-1', 10.0),
    ('trial-3', None),
    ('trial-2', 1.0),
)


class Trial:
    """One fault, on a cloud that is well.

    :param run: its number, from 0 on
    :param boots: how many servers are asked for
    """

    def __init__(self, cloud, services, fault, run, boots):
        self._cloud = cloud
        self._fault = fault
        self._boots = boots
        self._random = random.Random(f'{run} {fault.name}')
        self._sites = sorted(set(cloud.sites) - {ground.SPARE})
        self._record = figures.Record([ground.MEASURED])
        self._locks = collections.defaultdict(threading.Lock)
        self._ended = threading.Event()
        self._counting = threading.Lock()
        self._updates = collections.Counter()
        self._prefix = f'trial-{run}-{fault.name}'
        self._knows_budgets = ground.knows_budgets()
        self._suffering = breakages.Trial(
            cloud, services, self._record, self._locks, run
        )

    def __call__(self):
        """Do it, clean up, and return counts by name."""
        began = time.monotonic()
        self._write_figures()
        said = scheduler_logs.ends()
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            began_updating = time.monotonic()
            updates = [pool.submit(self._update, it) for it in self._sites]
            try:
                counts = self._suffer(pool, said)
            finally:
                self._ended.set()
                concurrent.futures.wait(updates)
        lasted_s = time.monotonic() - began_updating
        done, refused = self._updates[True], self._updates[False]
        counts |= {
            'updates': done,
            'updates_refused': refused,
            'per_minute': round(60 * done / lasted_s),
        }
        counts['unlearned'] = self._count_unlearned()
        self._note_complaints(counts, said)
        counts |= self._clean_up()
        counts['seconds'] = round(time.monotonic() - began, 1)
        return counts

    def abandon(self):
        """Leave a cloud that is well, whatever has failed."""
        with contextlib.suppress(OSError):
            self._clean_up()

    def _suffer(self, pool, said):
        start_s = time.monotonic() + 1
        fault = pool.submit(self._break_and_mend, pool, start_s)
        pace = load.Pace(8)
        asked = pace.start(
            start_s,
            BOOT_S / self._boots,
            [
                lambda number=number: self._boot(number)
                for number in range(self._boots)
            ],
        )
        done = [it.result() for it in asked]
        pace.close()
        recovery_s = fault.result()
        servers = self._settle(self._prefix)
        return self._count(done, servers, said) | {'recovery_s': recovery_s}

    # What goes on

    def _write_figures(self):
        for number, site in enumerate(self._sites):
            rtts_ms = {
                origin: self._random.choice(_RTTS_MS) for origin in _ORIGINS
            }
            rtts_ms[_CHECK] = _CHECK_MS + 28 * number
            load.done(self._write(site, rtts_ms))
        load.done(
            self._cloud.set_metadata(
                ground.SPARE, **{f'rtt:{_QUIET}': str(_QUIET_MS)}
            )
        )
        for site, origin, rtts_ms in (
            (breakages.MAP_SITE, breakages.MAPPED, breakages.MAPPED_MS),
            # Loopback; the scheduler says how far it was each time.
            (breakages.SITE, ground.MEASURED, 1.0),
        ):
            self._record.add(site, origin, figures.Write(rtts_ms, 0, 0))
        time.sleep(figures.SEEN_WITHIN_S)

    def _write(self, site, rtts_ms):
        with self._locks[site]:
            call = self._cloud.set_metadata(
                site,
                **{
                    f'rtt:{origin}': None if it is None else str(it)
                    for origin, it in rtts_ms.items()
                },
            )
            for origin, rtt_ms in rtts_ms.items():
                self._record.add(
                    site,
                    origin,
                    figures.Write(
                        rtt_ms, call.sent, call.replied, call.status
                    ),
                )
        return call

    def _update(self, site):
        """Change a figure of a site again and again, until all is over."""
        chance = random.Random(f'{self._prefix} {site}')
        interval_s = 60 * len(self._sites) / UPDATES_PER_MINUTE
        next_s = time.monotonic()
        while not self._ended.wait(max(0.0, next_s - time.monotonic())):
            next_s += interval_s
            rtts_ms = {chance.choice(_ORIGINS): chance.choice(_RTTS_MS)}
            call = self._write(site, rtts_ms)
            with self._counting:
                self._updates[call.is_done] += 1

    def _boot(self, number):
        origin, max_rtt_ms = _MIX[number % len(_MIX)]
        if self._fault.origin is not None and number % 2:
            origin, max_rtt_ms = self._fault.origin, _FAULT_BUDGET_MS
        name = f'{self._prefix}-{number}'
        call = self._cloud.boot(name, _hints(origin, max_rtt_ms))
        return census.Boot(name, origin, max_rtt_ms, call.sent, call.status)

    def _break_and_mend(self, pool, start_s):
        """Return how long a good boot took when it was mended."""
        load.sleep_until(start_s + BREAK_AT_S)
        self._fault.break_(self._suffering)
        self._changed = pool.submit(self._change_once)
        load.sleep_until(start_s + BREAK_AT_S + self._fault.down_s)
        self._fault.mend(self._suffering)
        return self._recover(time.monotonic())

    def _change_once(self):
        """Change, while it is broken, a figure that nobody changes again."""
        time.sleep(self._fault.down_s / 2)
        return self._cloud.set_metadata(
            ground.SPARE, **{f'rtt:{_QUIET}': str(_QUIET_CHANGED_MS)}
        )

    def _recover(self, mended_s):
        """Boot until one server comes up where it should.

        :returns: after how many seconds; None: none did
        """
        number = 0
        while time.monotonic() < mended_s + _RECOVERY_S:
            number += 1
            call = self._cloud.boot(
                f'check-{self._prefix}-{number}', _hints(_CHECK, 10.0)
            )
            if call.is_done and self._comes_up(call.body['server']['id']):
                return round(time.monotonic() - mended_s, 1)
            time.sleep(0.5)
        return None

    def _comes_up(self, server):
        for _ in range(_CHECKS):
            time.sleep(_POLL_S)
            call = self._cloud.call('GET', 'compute', f'/servers/{server}')
            if not call.is_done:
                continue
            found = call.body['server']
            if found['status'] != 'BUILD':
                host = census.host_of(found)
                return found['status'] == 'ACTIVE' and (
                    not self._knows_budgets
                    or host in self._cloud.hosts[breakages.SITE]
                )
        return False

    # What came of it

    def _settle(self, prefix):
        """Return all servers, once no boot is under way any more.

        Or once none of them has come to an end for so long that none will.
        """
        began_s = changed_s = time.monotonic()
        unfinished = None
        while True:
            now_s = time.monotonic()
            is_late = (
                now_s > changed_s + SETTLE_S or now_s > began_s + _MAX_SETTLE_S
            )
            try:
                found = {
                    server
                    for server, name in self._cloud.names('BUILD').items()
                    if name.startswith(f'{prefix}-')
                }
                if not found or (is_late and found == unfinished):
                    return self._cloud.servers()
            except OSError:
                if is_late:
                    raise
            else:
                if found != unfinished:
                    unfinished, changed_s = found, now_s
            time.sleep(_POLL_S)

    def _count(self, boots, servers, said):
        decisions = scheduler_logs.read(said).decisions
        site_of = {
            host: site
            for site, hosts in self._cloud.hosts.items()
            for host in hosts
        }
        counts = census.count(
            boots,
            servers,
            self._allocations(),
            decisions if self._knows_budgets else None,
            self._record,
            site_of,
        )
        counts['unmapped'] = census.reasons(
            [it for it in boots if it.origin == breakages.MAPPED], servers
        ).get(census.NO_SITE, 0)
        # To be looked up in the logs.
        counts['unfinished'] = [
            {
                'name': it['name'],
                'id': it['id'],
                'host': census.host_of(it),
                'task': it.get('OS-EXT-STS:task_state'),
            }
            for it in servers
            if it['status'] == 'BUILD'
        ]
        counts['reasons'] = census.reasons(boots, servers)
        counts['statuses'] = dict(
            collections.Counter(str(it.status) for it in boots)
        )
        return counts

    def _allocations(self):
        """Return the consumers that Placement has, by host."""
        return {
            provider['name']: list(
                self._placement(
                    f'/resource_providers/{provider["uuid"]}/allocations'
                )['allocations']
            )
            for provider in self._placement('/resource_providers')[
                'resource_providers'
            ]
        }

    def _placement(self, path):
        call = self._cloud.call('GET', 'placement', path)
        if not call.is_done:
            raise OSError(f'Placement: {call.status} {call.body}')
        return call.body

    def _count_unlearned(self):
        """Count boots that are decided by what was changed long ago.

        The only site that ever met their budget does not any more, and Nova
        told the schedulers so while something was broken.

        :returns: None: the change itself was refused, or nobody knows budgets
        """
        if not self._knows_budgets or not self._changed.result().is_done:
            return None
        time.sleep(figures.SEEN_WITHIN_S)
        name = f'quiet-{self._prefix}'
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            list(
                pool.map(
                    lambda number: self._cloud.boot(
                        f'{name}-{number}', _hints(_QUIET, _QUIET_BUDGET_MS)
                    ),
                    range(_QUIET_BOOTS),
                )
            )
        return census.unlearned(
            self._settle(name), name, _QUIET_BOOTS, _QUIET_CHANGED_MS
        )

    def _note_complaints(self, counts, since):
        said = scheduler_logs.read(since)
        counts['complaints'] = len(said.complaints)
        counts['failures'] = len(said.failures)
        counts['said'] = [*said.complaints, *said.failures][:20]

    # What is left behind

    def _clean_up(self):
        """Delete everything; return what remained though nobody has it."""
        breakages.mend_all(self._suffering)
        deadline_s = time.monotonic() + _CLEAN_S
        asked = {}
        while time.monotonic() < deadline_s:
            with contextlib.suppress(OSError):
                left = self._cloud.names()
                if not left:
                    break
                # What was lost on its way has to be asked for again.
                now_s = time.monotonic()
                again = [
                    it
                    for it in left
                    if it not in asked or now_s > asked[it] + _AGAIN_S
                ]
                asked |= dict.fromkeys(again, now_s)
                with concurrent.futures.ThreadPoolExecutor(6) as pool:
                    list(pool.map(self._cloud.delete, again))
            time.sleep(_POLL_S)
        return {
            'undeletable': len(self._cloud.names()),
            'left_over': self._free_allocations(),
        }

    def _free_allocations(self):
        """Return how many allocations stay though all servers are gone."""
        # A server is gone a moment before what it had.
        deadline_s = time.monotonic() + _LEAVING_S
        while consumers := {
            consumer
            for its_consumers in self._allocations().values()
            for consumer in its_consumers
        }:
            if time.monotonic() > deadline_s:
                break
            time.sleep(_POLL_S)
        for consumer in consumers:
            self._cloud.call('DELETE', 'placement', f'/allocations/{consumer}')
        return len(consumers)


def _hints(origin, max_rtt_ms):
    hints = {}
    if origin is not None:
        hints['edge:origin'] = origin
    if max_rtt_ms is not None:
        hints['edge:max_rtt_ms'] = str(max_rtt_ms)
    return hints
