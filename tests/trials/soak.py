# SPDX-License-Identifier: Apache-2.0
"""HOW DOES IT BEAR A LONG DAY? An hour of work in a quarter of an hour.

On a cloud that ``tools/cloud up`` has started, with two schedulers of two
workers; ``tools/cloud up --stock`` is what to compare with::

    tox -e soak -- --minutes 15 --json FILE

``hour.py`` has what an hour of work is. It is held that

- our memory grows by less than 5 % after minute 5: that of
  ``edge-latency-agent``; and what of a worker of nova-scheduler is ours, which
  the first scheduler finds out with tracemalloc, by less than 0.2 MB;
- no worker that is not traced grows by 5 points more than that of stock Nova,
  if ``--stock`` has the figures that ``--json`` wrote of it;
- no warning of ours is repeated by a process within 600 seconds;
- a decision is logged once;
- ``openstack edge explain`` and Nova agree on a server, asked again 15 seconds
  after each answer;
- there was as much to do, to see and to compare as there has to be.

Of stock Nova the same is printed, and nothing is held. The schedulers and
nova-api are restarted first, so that they begin alike.
"""

import argparse
import collections
import contextlib
import dataclasses
import itertools
import json
import pathlib
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time

# The tool is no package that anybody installs: it runs on a bare machine.
sys.path.append(str(pathlib.Path(__file__).parents[2] / 'tools'))

from edge_filters.api import directory
from sandbox import report
from smallcloud import layout
from smallcloud import processes
from tests.cloud import base
from tests.trials import agreement
from tests.trials import ground
from tests.trials import growth
from tests.trials import hour
from tests.trials import load
from tests.trials import repeats

SETTLED_MINUTES = 5
MAX_GROWTH_PCT = 5.0
# What is ours of a worker is some 0.1 MB, and more while it decides.
MAX_OURS_MB = 0.2
# From the end of one to the next.
SAMPLE_S = 15
# Until all workers know of the last change.
_SEEN_S = 1
# Until nova-api knows of the last prefix, too.
_PREFIXES_SEEN_S = directory.POLL_INTERVAL_S + 1
_COMMAND_S = 60
# On a busy machine.
_START_S = 240
SCHEDULERS = ('nova-scheduler-1', 'nova-scheduler-2')
TRACED = SCHEDULERS[0]
SERVICES = (*SCHEDULERS, 'nova-api')
_NOVA_CONF = base.FOLDER / 'etc' / 'nova.conf'
_AGENT = pathlib.Path(sys.executable).with_name('edge-latency-agent')
_TRACING = pathlib.Path(__file__).with_name('tracing')
AGENT = 'agent'
_OURS = ', ours'
_AGENT_ORIGINS = 50
_AGENT_SITE = 'site-3'
_AGENT_INTERVAL_S = 5

_NEAR = {'edge:origin': hour.SEEN[0]}
# What is sampled by turns: hints, flavor, and whether it is of a move.
_SAMPLES = (
    ({**_NEAR, 'edge:max_rtt_ms': '30'}, hour.TINY, False),
    ({'edge:origin': hour.SEEN[1]}, hour.TINY, False),
    ({**_NEAR, 'edge:max_rtt_ms': '0.01'}, hour.TINY, False),
    ({'edge:origin': hour.SEEN[2]}, hour.TINY, True),
    ({'edge:client_ip': '198.18.1.7'}, hour.TINY, False),
    (_NEAR, hour.BAD, False),
    ({'edge:origin': hour.MAPPED}, hour.TINY, False),
    ({**_NEAR, 'edge:max_rtt_ms': '30'}, hour.TINY, True),
    ({**_NEAR, 'edge:avoid_site': 'site-1'}, hour.TINY, False),
    ({'edge:origin': 'soak-nobody'}, hour.TINY, False),
)


@dataclasses.dataclass(frozen=True)
class Sample:
    """What was said of a server, and what became of it.

    :ivar asked: of what
    :ivar shown: what the command wrote
    :ivar explained: what that means; None: nothing
    """

    asked: str
    shown: str
    explained: agreement.Explanation | None
    seen: agreement.Outcome

    @property
    def is_agreed(self):
        return self.explained is not None and agreement.agrees(
            self.explained, self.seen
        )


class Sampler:
    """Asks ``openstack edge explain``, and Nova, the same.

    :param work: the Hour
    :param options: more for the command
    :ivar samples: what came of it
    :ivar lost: how often nothing came of it in time
    """

    def __init__(self, work, options):
        self._work = work
        self._options = options
        self._sites = {
            host: site
            for site, hosts in work.cloud.hosts.items()
            for host in hosts
        }
        self._kinds = itertools.cycle(_SAMPLES)
        self.samples = []
        self.lost = 0

    def sample(self):
        hints, flavor, is_move = next(self._kinds)
        sample = self._sample_move if is_move else self._sample_boot
        try:
            self.samples.append(sample(hints, flavor))
        except (OSError, subprocess.TimeoutExpired):
            self.lost += 1

    def _sample_boot(self, hints, flavor):
        asked = [*_options(hints), f'--flavor={flavor}']
        with self._work.still:
            has_address = 'edge:client_ip' in hints
            time.sleep(_PREFIXES_SEEN_S if has_address else _SEEN_S)
            with self._explain(asked) as explaining:
                call = self._work.boot('sample', hints, flavor)
                seen = agreement.Outcome(None, str(call.body))
                if call.is_done:
                    server = call.body['server']['id']
                    seen = self._outcome(server)
                shown = _communicate(explaining)
        if call.is_done:
            self._work.delete(server)
        return Sample(' '.join(asked), *shown, seen)

    def _outcome(self, server):
        it = self._work.servers.wait_booted(server)
        if it['status'] != 'ACTIVE':
            return agreement.Outcome(None, hour.fault(it))
        return agreement.Outcome(self._site(it))

    def _sample_move(self, hints, flavor):
        servers = self._work.servers
        call = load.done(self._work.boot('sample', hints, flavor))
        server = call.body['server']['id']
        try:
            before = servers.wait_booted(server)
            if before['status'] != 'ACTIVE':
                raise TimeoutError('There is nothing to move')
            asked = [f'--server={server}']
            with self._work.still:
                time.sleep(_SEEN_S)
                with self._explain(asked) as explaining:
                    shown = _communicate(explaining)
                self._work.migrate(server)
                after = servers.wait_idle(server)
            site = self._site(after)
            if after['status'] != 'VERIFY_RESIZE':
                site = None
            else:
                self._work.act(server, 'confirmResize')
                servers.wait(server, lambda it: it['status'] == 'ACTIVE')
            what = f'{hints} on {self._site(before)}'
            return Sample(what, *shown, agreement.Outcome(site, None))
        finally:
            self._work.delete(server)

    def _site(self, server):
        host = server['OS-EXT-SRV-ATTR:host']
        return self._sites.get(host, '')

    def _explain(self, asked):
        environment = base.environment()
        return subprocess.Popen(
            [
                shutil.which('openstack', path=environment['PATH']),
                *('edge', 'explain', '-f', 'json'),
                *self._options,
                *asked,
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            start_new_session=True,
            text=True,
        )


def _options(hints):
    """Return hints as options of the command."""
    return [
        f'--{name.removeprefix("edge:").replace("_", "-")}={value}'
        for name, value in hints.items()
    ]


def _communicate(explaining):
    """Return what the command writes, and what that means."""
    try:
        written, said = explaining.communicate(timeout=_COMMAND_S)
    except subprocess.TimeoutExpired:
        explaining.kill()
        raise
    shown = f'{written}{said}'
    if explaining.returncode == 0:
        sites = agreement.nearest(json.loads(written))
        return shown, agreement.Explanation(sites)
    why = agreement.refusal(said)
    return shown, why and agreement.Explanation(refusal=why)


def _wait_for_workers(running, name):
    """Return the workers of a service once there are two of them."""
    deadline = time.monotonic() + _START_S
    while len(found := growth.workers(running.pid(name))) < 2:
        if time.monotonic() > deadline:
            raise TimeoutError(f'{name} has no two workers')
        time.sleep(0.5)
    return found


def _traced(service, folder):
    """Return a service that writes down what of its memory is ours."""
    env = {'PYTHONPATH': str(_TRACING), 'SOAK_TRACES': str(folder)}
    return dataclasses.replace(service, env=service.env | env)


@contextlib.contextmanager
def _fresh_services(map_file):
    """Have services that begin now, and read a map file.

    :param map_file: its path; None: as it is, and nothing is ours
    """
    running = processes.Processes(layout.Layout())
    services = {name: running.service(name) for name in SERVICES}
    was = _NOVA_CONF.read_text()
    try:
        fresh = dict(services)
        if map_file is not None:
            _NOVA_CONF.write_text(
                f'{was}\n[edge_filters]\nmap_files = {map_file}\n'
            )
            fresh[TRACED] = _traced(services[TRACED], map_file.parent)
        for it in fresh.values():
            running.replace(it)
        yield {
            f'{name} {number}': pid
            for name in SERVICES
            for number, pid in enumerate(_wait_for_workers(running, name), 1)
        }
    finally:
        if map_file is not None:
            _NOVA_CONF.write_text(was)
            for it in services.values():
                running.replace(it)


@contextlib.contextmanager
def _agent(cloud, folder):
    """Have an agent measure loopback all the time; yield it and its log."""
    config, log = folder / 'agent.conf', folder / 'agent.log'
    origins = ''.join(
        f'origin = soak-agent-{number} 127.0.1.{number}\n'
        for number in range(1, _AGENT_ORIGINS + 1)
    )
    auth = cloud.openstack.config.get_auth_args()
    options = ''.join(f'{name} = {value}\n' for name, value in auth.items())
    config.touch(mode=0o600)
    config.write_text(
        '[edge_latency_agent]\n'
        f'name = {hour.PREFIX}agent\n'
        f'site = {_AGENT_SITE}\n'
        f'aggregate = {cloud.sites[_AGENT_SITE]}\n'
        f'interval = {_AGENT_INTERVAL_S}\n'
        'hysteresis_ms = 0\n'
        'hysteresis_pct = 0\n'
        'metrics_port = 0\n'
        f'{origins}'
        '[nova]\n'
        f'auth_type = password\n{options}'
    )
    with log.open('wb') as output:
        process = subprocess.Popen(
            [_AGENT, '--config-file', config],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        yield process, log
    finally:
        process.terminate()
        process.wait()


def _said(logs):
    """Return the lines of ours in logs, from an offset on, in order.

    :param logs: offsets by path
    """
    said = []
    for path, offset in logs.items():
        with path.open('rb') as log:
            log.seek(offset)
            said += repeats.lines(log.read().decode(errors='replace'))
    return said


@dataclasses.dataclass(frozen=True)
class Result:
    """What was seen.

    :ivar minutes: how long it was
    :ivar is_stock: whether it was Nova alone
    :ivar ours: what of the memory of workers is ours, as the meter has it
    """

    minutes: float
    is_stock: bool
    tally: hour.Tally
    meter: growth.Meter
    ours: dict[str, list]
    gone: list[str]
    said: list[repeats.Line]
    sampler: Sampler

    @property
    def settled_s(self):
        """When memory counts, in seconds; earlier in a short look."""
        return 60 * min(SETTLED_MINUTES, self.minutes / 3)

    def growths(self):
        points = {**self.meter.points, **self.ours}
        return {
            name: growth.growth(its, self.settled_s)
            for name, its in points.items()
        }

    def broken(self, stock_pct):
        """Return the rules that are broken, in sentences.

        :param stock_pct: by how much stock Nova grew, by service
        """
        if self.is_stock:
            return []
        grown = {name: it for name, it in self.growths().items() if it}
        return [
            *self._missing(grown),
            *(f'{name} has ended' for name in self.gone),
            *(
                f'{name} grew by {it.pct:.1f} %'
                for name, it in grown.items()
                if name == AGENT and it.pct >= MAX_GROWTH_PCT
            ),
            *(
                f'{name} grew by {it.last_mb - it.first_mb:.2f} MB'
                for name, it in grown.items()
                if name in self.ours
                and it.last_mb - it.first_mb >= MAX_OURS_MB
            ),
            *(
                f'{name} grew by {it.pct:.1f} %, stock Nova by {limit:.1f} %'
                for name, it in grown.items()
                if not name.startswith(TRACED)
                and (limit := stock_pct.get(_service(name))) is not None
                and it.pct >= limit + MAX_GROWTH_PCT
            ),
            *(
                f'after {it.after_s:.0f} s process {it.line.pid} said again: '
                f'{it.line.text}'
                for it in repeats.repeats(self.said)
            ),
            *(
                f'{what} was decided {count} times'
                for what, count in repeats.decisions(self.said).items()
                if count > 1
            ),
            *(
                f'explained otherwise: {it.asked}\n{it.shown}\n{it.seen}'
                for it in self.sampler.samples
                if not it.is_agreed
            ),
        ]

    def _missing(self, grown):
        """Yield what there was too little of to hold anything."""
        if self.minutes >= growth.LEAST_MINUTES + self.settled_s / 60:
            for name in self.growths().keys() - grown.keys():
                yield f'nobody knows by how much {name} grew'
        if not repeats.decisions(self.said):
            yield 'no decision was logged'
        done = self.tally.done()
        done['sample'] = len(self.sampler.samples)
        for kind, a_minute in hour.LEAST.items():
            if done[kind] < (least := a_minute * self.minutes):
                yield f'{kind}: {done[kind]} in place of {least:.0f} or more'


def run(minutes):
    """Have the work done for a time, or until somebody interrupts it.

    :returns: Result
    """
    is_stock = not ground.knows_budgets()
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(
            stack.enter_context(tempfile.TemporaryDirectory())
        )
        map_file = None if is_stock else folder / 'map.json'
        logs = {
            path: path.stat().st_size
            for name in SERVICES
            for path in [base.LOGS / f'{name}.log']
        }
        workers = stack.enter_context(_fresh_services(map_file))
        cloud = load.Cloud()
        stack.callback(cloud.close)
        servers = hour.Servers(cloud)
        stack.callback(servers.stop)
        work = stack.enter_context(hour.Hour(cloud, servers, map_file))
        agent, log = stack.enter_context(_agent(cloud, folder))
        logs[log] = 0
        options = [f'--project={cloud.openstack.current_project_id}']
        if not is_stock:
            options.append(f'--config-file={_NOVA_CONF}')
        reference = folder / 'reference.json'
        reference.write_text(hour.good_map(cloud.openstack.current_project_id))
        options.append(f'--map-file={reference}')
        sampler = Sampler(work, options)
        meter = growth.Meter({**workers, AGENT: agent.pid})
        began_s = time.monotonic()
        end_s = began_s + 60 * minutes
        meter.start()
        work.start()
        due_s = began_s
        while not ended.wait(
            max(0.0, min(due_s, end_s) - time.monotonic())
        ) and (time.monotonic() < end_s):
            sampler.sample()
            due_s = time.monotonic() + SAMPLE_S
        lasted = (time.monotonic() - began_s) / 60
        work.stop()
        meter.stop()
        return Result(
            lasted,
            is_stock,
            work.tally,
            meter,
            {
                f'{name}{_OURS}': growth.traced(folder, pid, meter.began_s)
                for name, pid in workers.items()
                if name.startswith(TRACED) and not is_stock
            },
            meter.gone,
            _said(logs),
            sampler,
        )


def table(result):
    """Return what was reached and seen, as the lines of a table."""
    what = 'stock Nova' if result.is_stock else 'with edge-filters'
    yield f'{what}, {result.minutes:.1f} minutes'
    yield ''
    for kind, counts in sorted(result.tally.counts.items()):
        total = sum(counts.values())
        text = ', '.join(f'{it}: {n}' for it, n in counts.most_common())
        yield f'{kind:20} {total:6,}  {text}'
    yield ''
    yield f'{"memory of its own":24} {"first":>9} {"last":>9} {"growth":>8}'
    for name, it in result.growths().items():
        if it is None:
            yield f'{name:24} too short'
            continue
        yield (
            f'{name:24} {it.first_mb:6.2f} MB {it.last_mb:6.2f} MB '
            f'{it.pct:6.1f} % {it.slope_kb:8.1f} kB a minute'
        )
    yield ''
    decided = repeats.decisions(result.said)
    loud = repeats.warnings(result.said)
    subjects = {(it.pid, it.logger, repeats.subject(it)) for it in loud}
    yield f'decisions logged     {len(decided):6,}'
    yield f'lines of ours        {len(result.said):6,}'
    for (logger, level), count in sorted(
        collections.Counter(
            (it.logger, it.level) for it in result.said
        ).items()
    ):
        yield f'  {level:8} {count:6,}  {logger}'
    yield f'warnings             {len(loud):6,} of {len(subjects):,} subjects'
    yield f'said again too soon  {len(repeats.repeats(result.said)):6,}'
    yield ''
    samples = result.sampler.samples
    agreed = sum(it.is_agreed for it in samples)
    yield f'samples explained    {len(samples):6,}, {agreed} as Nova did'
    yield f'samples lost         {result.sampler.lost:6,}'


def _service(name):
    """Return the service that a worker is of."""
    return name.rpartition(' ')[0].rstrip('-12')


def _stock_pct(path):
    """Return by how much services of stock Nova grew, in percent."""
    found = collections.defaultdict(list)
    if path is not None:
        stock = json.loads(path.read_text())
        if not stock['stock'] or None in stock['growth'].values():
            raise SystemExit(f'{path} is no whole run of stock Nova')
        for name, it in stock['growth'].items():
            found[_service(name)].append(it['pct'])
    return {name: statistics.fmean(its) for name, its in found.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    parser.add_argument('--minutes', type=float, default=15.0)
    parser.add_argument(
        '--stock',
        metavar='FILE',
        type=pathlib.Path,
        help='the figures of stock Nova, as --json has written them',
    )
    report.add_option(parser)
    asked = parser.parse_args()
    stock_pct = _stock_pct(asked.stock)
    result = run(asked.minutes)
    print('\n'.join(table(result)))
    broken = result.broken(stock_pct)
    if result.minutes < 0.99 * asked.minutes:
        broken.append(f'it ended after {result.minutes:.1f} minutes')
    for it in broken:
        print(f'\nbroken: {it}')
    report.write(
        {
            'minutes': result.minutes,
            'stock': result.is_stock,
            'done': result.tally.counts,
            'memory_kb': {**result.meter.points, **result.ours},
            'growth': {
                name: it and dataclasses.asdict(it)
                for name, it in result.growths().items()
            },
            'warnings': [
                dataclasses.asdict(it) for it in repeats.warnings(result.said)
            ],
            'samples': [
                [it.asked, str(it.explained), str(it.seen), it.is_agreed]
                for it in result.sampler.samples
            ],
            'broken': broken,
        },
        asked.json,
    )
    return 1 if broken else 0


if __name__ == '__main__':
    sys.exit(main())
