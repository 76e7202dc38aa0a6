# SPDX-License-Identifier: Apache-2.0

import re

from tests.unit import base
from tests.unit import nova_api
from tests.unit import recordings

# As tests/cloud/record.py called the real API, one after the other.
AGGREGATES = (
    'aggregate-create',
    'aggregate-create-409',
    'aggregate-create-403',
    'aggregate-set-metadata',
    'aggregate-set-metadata-400',
    'aggregate-set-metadata-404',
    'aggregate-set-metadata-403',
    'aggregate-add-host',
    'aggregate-add-host-again-409',
    'aggregate-add-host-404',
    'aggregate-add-host-zone-409',
    'aggregates',
    'aggregates-403',
    'aggregate-show',
    'aggregate-show-404',
    'aggregate-show-403',
    'aggregate-delete-400',
    'aggregate-remove-host',
    'aggregate-remove-host-404',
    'aggregate-delete',
    'aggregate-delete-404',
)
# What was called without being recorded, before some of these.
UNRECORDED = {
    'aggregate-add-host-zone-409': 'two zones',
    'aggregate-delete': 'an empty one',
}


class NovaApiTest(base.TestCase):
    """What unit tests take for Nova answers as Nova did."""

    def setUp(self):
        super().setUp()
        self.nova = self.useFixture(nova_api.NovaApi())
        self.compute = self.nova.connect().compute
        for site in ('par', 'lyo', 'far'):
            hosts = [f'{site}-{number}' for number in (1, 2)]
            self.nova.aggregate(f'{site}-01', hosts, edge__site=f'{site}-01')
            for host in hosts:
                self.nova.hypervisor(host)
        self.nova.hypervisor('new-1')

    def check(self, name):
        """Send what was sent to Nova; compare what comes back."""
        recording = recordings.read(name)
        refusal = re.search(
            r'os_compute_api:(\S+) to be', str(recording['answer'])
        )
        self.nova.forbidden = (
            {refusal[1].rpartition(':')[2]} if refusal else set()
        )
        request = recording['request']
        answer = self.compute.request(
            recording['path'],
            recording['method'],
            microversion=recording['microversion'],
            raise_exc=False,
            **({'json': request} if request else {}),
        )
        self.assertEqual(recording['status'], answer.status_code, name)
        content = answer.json() if answer.text not in ('', 'null') else None
        if answer.ok:
            differences = recordings.differences(
                recording['answer'], content, name
            )
            self.assertEqual([], list(differences))
        else:
            self.assertEqual(recording['answer'], content)
            self.assertEqual(
                recording['content_type'], answer.headers['content-type']
            )

    def test_aggregates(self):
        """Aggregates change, and changes are refused, as in Nova."""
        for name in AGGREGATES:
            match UNRECORDED.get(name):
                case 'two zones':
                    zone = {nova_api.ZONE: 'recorded-zone'}
                    self.nova.aggregates[4]['metadata'] |= zone
                    self.nova.aggregates[4] |= zone
                    self.nova.aggregate(
                        'recorded-02', availability_zone='recorded-other'
                    )
                case 'an empty one':
                    self.nova.aggregate('recorded-03')
            self.check(name)

    def test_others(self):
        """What else is asked for is answered as Nova does."""
        for name in (
            'version',
            'hypervisors',
            'hypervisors-403',
            'servers-403',
        ):
            self.check(name)


class DifferencesTest(base.TestCase):
    def test_differences(self):
        """A key too many, one too few and another type are told."""
        real = {'hosts': [{'id': 1, 'name': 'a', 'at': None}], 'n': 1}
        other = {'hosts': [{'id': '1', 'at': 'now', 'more': 2}], 'n': 1}
        self.assertEqual(
            [
                '.hosts[].id: str, not int',
                '.hosts[].more: only fake',
                '.hosts[].name: only real',
            ],
            sorted(recordings.differences(real, other)),
        )
        self.assertEqual([], list(recordings.differences(real, real)))

    def test_free(self):
        """Keys that users choose are not compared."""
        real, other = ({'metadata': {key: ''}} for key in 'ab')
        self.assertEqual([], list(recordings.differences(real, other)))

    def test_ids(self):
        """Where IDs are the keys, only what they stand for is compared."""
        ids = ('00000000-0000-4000-8000-00000000000' + it for it in '12')
        real, other = ({id: {'n': 1}} for id in ids)
        self.assertEqual([], list(recordings.differences(real, other)))
        other['00000000-0000-4000-8000-000000000003'] = {}
        self.assertEqual(
            ['[].n: only real'], list(recordings.differences(real, other))
        )
