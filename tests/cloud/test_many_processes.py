# SPDX-License-Identifier: Apache-2.0

import os
import signal
import time
import uuid

from nova import config as nova_config
from nova import context as nova_context
from nova import objects
from nova import rpc
from nova.scheduler import rpcapi

from tests.cloud import base

UPDATES = 200
# Two schedulers of two workers each.
WORKERS = 4
SITE, OTHER = 'site-1', 'site-2'
ORIGIN = 'many-processes'
NEAR_MS, OTHER_MS, FAR_MS = '5', '20', '50'
# How old a change may be that a worker does not know yet.
SEEN_WITHIN_S = 1.0
# A worker that does not answer at all.
PATIENCE_S = 60


def _request():
    """A request as Nova's conductor makes it for a boot."""
    return objects.RequestSpec.from_components(
        nova_context.RequestContext('user', 'project'),
        instance_uuid=str(uuid.uuid4()),
        image=objects.ImageMeta(properties=objects.ImageMetaProps()),
        flavor=objects.Flavor(
            vcpus=1,
            memory_mb=64,
            root_gb=1,
            ephemeral_gb=0,
            swap=0,
            extra_specs={},
        ),
        numa_topology=None,
        pci_requests=None,
        filter_properties={'scheduler_hints': {'edge:origin': [ORIGIN]}},
        instance_group=None,
        availability_zone=None,
    )


class ManyProcessesTest(base.TestCase):
    """Every worker of every scheduler, asked over the real message bus.

    Nothing is claimed: the question is the one a boot asks, without a server.
    """

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        nova_config.parse_args(
            ['tests', '--config-file', str(base.FOLDER / 'etc' / 'nova.conf')],
            default_config_files=[],
        )
        objects.register_all()
        rpc.init(nova_config.CONF)
        cls.addClassCleanup(rpc.cleanup)

    def setUp(self):
        super().setUp()
        self.scheduler = rpcapi.SchedulerAPI()
        self.sites = {
            host: aggregate.metadata['edge:site']
            for aggregate in self.openstack.compute.aggregates()
            for host in aggregate.hosts
        }
        for site, rtt_ms in ((SITE, NEAR_MS), (OTHER, OTHER_MS)):
            self._set_rtt(site, rtt_ms)
            self.addCleanup(self._set_rtt, site, None)

    def _set_rtt(self, site, rtt_ms):
        """Change one aggregate; return when Nova had done so."""
        self.set_metadata(site, **{f'rtt:{ORIGIN}': rtt_ms})
        return time.monotonic()

    def _decide(self):
        """Return a server, and the site one of the workers chose for it."""
        request = _request()
        ((selection,),) = self.scheduler.select_destinations(
            nova_context.get_admin_context(),
            request,
            instance_uuids=None,
            return_objects=True,
            return_alternates=False,
        )
        return request.instance_uuid, self.sites[selection.service_host]

    def _ask(self, changed):
        """Ask until as many workers have answered as there are.

        :returns: {worker: [(seconds from the change on, site), ...]}
        """
        asked = []
        answers = {}
        deadline = time.monotonic() + PATIENCE_S
        while len(answers) < WORKERS:
            self.assertLess(time.monotonic(), deadline, f'only {answers}')
            for _ in range(WORKERS):
                since_s = time.monotonic() - changed
                asked.append((since_s, *self._decide()))
            decided = base.workers_by_server()
            answers = {}
            for since_s, server, site in asked:
                answers.setdefault(decided[server], []).append((since_s, site))
        return answers

    def _ask_until_agreed(self, changed, nearest):
        """Ask until all workers are right, which takes them a second at most.

        :returns: who they are
        """
        right = set()
        while len(right) < WORKERS:
            for worker, given in self._ask(changed).items():
                for since_s, site in given:
                    if site == nearest:
                        right.add(worker)
                    else:
                        self.assertLess(since_s, SEEN_WITHIN_S, worker)
                        self.assertNotIn(worker, right)
        return right

    def test_every_worker_follows(self):
        """Within a second every worker decides by the figure as it is.

        So all of them agree, 200 times.
        """
        for number in range(UPDATES):
            rtt_ms, nearest = ((FAR_MS, OTHER), (NEAR_MS, SITE))[number % 2]
            workers = self._ask_until_agreed(
                self._set_rtt(SITE, rtt_ms), nearest
            )
            self.assertEqual(2, len({scheduler for scheduler, _ in workers}))

    def test_worker_that_is_replaced(self):
        """A worker that takes the place of one that died knows all changes."""
        before = self._ask_until_agreed(self._set_rtt(SITE, FAR_MS), OTHER)
        scheduler, pid = max(before)
        os.kill(pid, signal.SIGKILL)
        new = set()
        deadline = time.monotonic() + PATIENCE_S
        while not new:
            self.assertLess(time.monotonic(), deadline, 'nobody came')
            answers = self._ask(time.monotonic())
            for worker, given in answers.items():
                self.assertEqual({OTHER}, {site for _, site in given}, worker)
            new = answers.keys() - before
        self.assertEqual({scheduler}, {name for name, _ in new})
