# SPDX-License-Identifier: Apache-2.0
"""Nova's own objects, and sites for them, without a database."""

import fixtures
from nova import objects
import nova.conf
from nova.scheduler import host_manager
from nova.scheduler import request_filter as nova_request_filter

from edge_filters import ratelimit
from edge_filters.origins import map_files
from edge_filters.scheduler import decision
from edge_filters.scheduler import known
from edge_filters.scheduler import nova_compat
from edge_filters.scheduler import request_filter
from tests.unit import base

nova.conf.CONF([], project='nova', default_config_files=[])
objects.register_all()

UUID = '5b7bd7d4-91a5-4dea-a7c4-7e06a1bd2e5b'


def aggregate_uuid(aggregate_id):
    return f'{aggregate_id:08}{UUID[8:]}'


def aggregate(aggregate_id, metadata, hosts):
    return objects.Aggregate(
        id=aggregate_id,
        uuid=aggregate_uuid(aggregate_id),
        metadata=metadata,
        hosts=hosts,
    )


def request_spec(hints=None, extra_specs=None, **fields):
    return objects.RequestSpec(
        instance_uuid=UUID,
        scheduler_hints=hints,
        flavor=objects.Flavor(
            vcpus=1,
            memory_mb=512,
            root_gb=1,
            ephemeral_gb=0,
            swap=0,
            extra_specs=extra_specs or {},
        ),
        **fields,
    )


def move_spec(hints=None, extra_specs=None, source=None, **fields):
    """The spec of a move, which alone names a cell.

    :param source: the host that Nova ignores, as the server comes from there
    """
    return request_spec(
        hints,
        extra_specs,
        requested_destination=objects.Destination(
            cell=objects.CellMapping(id=1)
        ),
        ignore_hosts=[source] if source else None,
        **fields,
    )


def host_states(*names):
    return [host_manager.HostState(name, name, UUID) for name in names]


class TestCase(base.TestCase):
    def setUp(self):
        super().setUp()
        self.watch = nova_compat.Watch()
        self.useFixture(
            fixtures.MonkeyPatch(
                'edge_filters.scheduler.nova_compat._WATCH', self.watch
            )
        )
        self.patch(known, '_maps', map_files.MapFiles(()))
        self.patch(known, '_known', known._known)
        self.patch(decision, '_WARNINGS', ratelimit.RateLimit())
        self.patch(request_filter, '_WARNINGS', ratelimit.RateLimit())
        # Undone after each test: it would go on to follow Nova's class.
        self.patch(nova_compat, 'follow_aggregates', lambda: None)
        # Where our classes put a request filter.
        of_nova = list(nova_request_filter.ALL_REQUEST_FILTERS)
        self.patch(nova_request_filter, 'ALL_REQUEST_FILTERS', of_nova)
        self.log = self.useFixture(fixtures.FakeLogger('edge_filters'))

    def set_options(self, group='edge_filters', **options):
        for name, value in options.items():
            nova.conf.CONF.set_override(name, value, group)
            self.addCleanup(nova.conf.CONF.clear_override, name, group)

    def set_sites(self, *aggregates):
        """Make aggregates of (metadata, hosts) the only ones there are."""
        known = {
            number: aggregate(number, *written)
            for number, written in enumerate(aggregates)
        }
        self.watch.update(lambda: known)
