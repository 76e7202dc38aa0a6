# SPDX-License-Identifier: Apache-2.0
"""WHERE DO THE SERVERS GO? The same boots in two clouds at once.

One cloud has stock Nova, the other edge-filters. Each has a process of its
own, as a process can have one cloud only.
"""

import contextlib
import dataclasses
import datetime
import multiprocessing
from multiprocessing import connection
import os
import pathlib
import sys
import tempfile

import tqdm

from sandbox import world as worlds

STOCK, STEERED = 'stock Nova', 'edge-filters'

# Sites this much farther than the nearest are as good: they tie with it.
RTT_BAND_MS = 2.0

# A cloud that does nothing for so long is stuck.
PATIENCE_S = 120


class BootsFailed(Exception):
    """A cloud could not boot all servers; the message says why."""


def play(world: worlds.World) -> dict[str, list[worlds.Placed]]:
    """Boot every server in both clouds, and show the progress meanwhile.

    :returns: where the servers are, in boot order, by name of the cloud
    :raises BootsFailed: if a server or a whole cloud failed
    """
    now = datetime.datetime.now(datetime.UTC)
    steps = 1 + len(world.sites) + len(world.places)
    with contextlib.ExitStack() as stack:
        logs = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
        clouds = [
            stack.enter_context(_Child(name, world, now, logs))
            for name in (STOCK, STEERED)
        ]
        bar = stack.enter_context(
            tqdm.tqdm(total=steps * len(clouds), desc='starting', unit='step')
        )
        running: dict[object, _Child] = {
            cloud.reports: cloud for cloud in clouds
        }
        while running:
            ready = connection.wait(
                [cloud.reports for cloud in running.values()],
                timeout=PATIENCE_S,
            )
            if not ready:
                stuck = next(iter(running.values()))
                raise stuck.failed(f'did nothing for {PATIENCE_S} s')
            for reports in ready:
                running[reports].listen()
                bar.set_description(_counts(clouds, world), refresh=False)
                bar.update()
                if running[reports].done:
                    del running[reports]
    return {cloud.name: cloud.boots for cloud in clouds}


def _counts(clouds: list['_Child'], world: worlds.World) -> str:
    return ', '.join(
        f'{cloud.name} {len(cloud.boots)}/{len(world.places)}'
        for cloud in clouds
    )


@dataclasses.dataclass(frozen=True)
class _Refused:
    """A server that ended in ERROR."""

    place: str
    fault: str


class _Child:
    """A cloud in a child process, as its parent sees it."""

    def __init__(
        self,
        name: str,
        world: worlds.World,
        now: datetime.datetime,
        logs: pathlib.Path,
    ) -> None:
        self.name = name
        self.boots: list[worlds.Placed] = []
        self._world = world
        self._log = logs / name
        self._log.touch()
        # NOTE: spawned, as a fork would inherit the threads of the bar.
        context = multiprocessing.get_context('spawn')
        self.reports, reports = context.Pipe(duplex=False)
        self._process = context.Process(
            target=_boot_all,
            args=(world, name == STEERED, now, self._log, reports),
            daemon=True,
        )
        self._process.start()
        # The child has the only other end now: when it dies, we see it.
        reports.close()

    def __enter__(self) -> '_Child':
        return self

    def __exit__(self, *_exc_info: object) -> None:
        self._process.terminate()
        self._process.join(timeout=5)
        self._process.kill()
        self._process.join()

    @property
    def done(self) -> bool:
        return len(self.boots) == len(self._world.places)

    def listen(self) -> None:
        """Take one report."""
        try:
            report = self.reports.recv()
        except EOFError:
            self._process.join(timeout=5)
            raise self.failed(
                f'died with exit status {self._process.exitcode}'
            ) from None
        if isinstance(report, _Refused):
            raise self.failed(
                f'could not boot the server for {report.place}, which is in '
                f'ERROR: {report.fault.rstrip(".")}'
            )
        if isinstance(report, worlds.Placed):
            self.boots.append(report)

    def failed(self, why: str) -> BootsFailed:
        tail = self._log.read_text(errors='replace').splitlines()[-20:]
        return BootsFailed(
            '\n'.join(
                [f'The cloud with {self.name} {why}. Its log ends:', *tail]
            )
        )


def _boot_all(
    world: worlds.World,
    edge_filters: bool,
    now: datetime.datetime,
    log: pathlib.Path,
    reports: connection.Connection,
) -> None:
    """Run one cloud. Reports each step: a site, None; a server, Placed."""
    with open(log, 'a') as output:
        os.dup2(output.fileno(), sys.stdout.fileno())
        os.dup2(output.fileno(), sys.stderr.fileno())
    # The parent removes what a cloud leaves behind when it is terminated.
    tempfile.tempdir = str(log.parent)
    # NOTE: it takes over the whole process, which must not be the parent.
    from sandbox import cloud as clouds

    options: dict[str, dict[str, object]] = {
        'DEFAULT': {'cpu_allocation_ratio': 1.0, 'log_file': log}
    }
    if edge_filters:
        options['edge_filters'] = {'rtt_band_ms': RTT_BAND_MS}
    sites = {host: site for site in world.sites for host in world.hosts(site)}
    hosts = [clouds.Host(host, worlds.VCPUS_PER_HOST) for host in sites]
    with clouds.Cloud(
        hosts, edge_filters=edge_filters, options=options
    ) as cloud:
        reports.send(None)
        for site in world.sites:
            cloud.create_site(
                site, world.hosts(site), world.metadata(site, now)
            )
            reports.send(None)
        for host in world.hosts(worlds.DOWN_SITE):
            cloud.stop_host(host)
        flavor = cloud.flavor('one-vcpu', vcpus=1)
        for place in world.places:
            (server,) = cloud.boot(
                f'for-{place}', hints={'edge:origin': place}, flavor=flavor
            )
            if server.status != 'ACTIVE':
                fault = (server.fault or {}).get('message', 'no reason given')
                reports.send(_Refused(place, fault))
                return
            site = sites[cloud.host_of(server)]
            reports.send(world.placed(place, site))
