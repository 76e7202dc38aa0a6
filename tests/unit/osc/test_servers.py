# SPDX-License-Identifier: Apache-2.0

import urllib.parse

import hypothesis
from hypothesis import strategies as st
from nova import objects
from nova.scheduler import utils
from osc_lib import exceptions

from edge_filters import cloud
from edge_filters.osc import servers
from tests.unit import base as unit_base
from tests.unit import recordings
from tests.unit.osc import base

_AMOUNTS = st.integers(0, 9).map(str)
_CLASSES = st.sampled_from(
    ('VCPU', 'PCPU', 'MEMORY_MB', 'DISK_GB', 'CUSTOM_A')
)
_TRAITS = st.sampled_from(('HW_CPU_X86_AVX', 'CUSTOM_B'))
_SUFFIXES = st.sampled_from(('', '1', '_NIC'))


def _keys(prefix, names):
    return st.builds(f'{prefix}{{}}:{{}}'.format, _SUFFIXES, names)


EXTRA_SPECS = st.dictionaries(
    _keys('resources', _CLASSES), _AMOUNTS, max_size=4
).flatmap(
    lambda resources: st.fixed_dictionaries(
        {key: st.just(amount) for key, amount in resources.items()},
        optional={
            'trait:CUSTOM_B': st.sampled_from(('required', 'forbidden')),
            'trait1:HW_CPU_X86_AVX': st.just('required'),
            # Nova refuses that beside one of the two.
            'hw:cpu_policy': st.sampled_from(
                ('shared',)
                if any(key.endswith('CPU') for key in resources)
                else ('shared', 'dedicated')
            ),
            'edge:max_rtt_ms': st.just('9'),
            'group_policy': st.sampled_from(('none', 'isolate')),
        },
    )
)


def _asked(query):
    """Return what a query asks of Placement, whatever the order."""
    return {
        key: frozenset(value.split(','))
        for key, value in urllib.parse.parse_qsl(query)
    }


class FlavorTest(unit_base.TestCase):
    def setUp(self):
        super().setUp()
        objects.register_all()

    @hypothesis.given(
        st.integers(1, 64),
        st.integers(1, 9999),
        st.integers(0, 99),
        st.integers(0, 9),
        st.integers(0, 4096),
        EXTRA_SPECS,
        st.booleans(),
    )
    def test_as_nova(
        self, vcpus, ram, disk, ephemeral, swap, extra_specs, is_from_volume
    ):
        """Placement is asked for what Nova's scheduler asks it for."""
        spec = objects.RequestSpec(
            flavor=objects.Flavor(
                vcpus=vcpus,
                memory_mb=ram,
                root_gb=disk,
                ephemeral_gb=ephemeral,
                swap=swap,
                extra_specs=extra_specs,
            ),
            is_bfv=is_from_volume,
            image=objects.ImageMeta(properties=objects.ImageMetaProps()),
            requested_resources=[],
            request_level_params=objects.RequestLevelParams(),
        )
        request = utils.ResourceRequest.from_request_spec(spec)
        expected = _asked(request.to_querystring())
        # How many answers it wants, and what every host of Nova has.
        expected.pop('limit', None)
        expected.pop('root_required', None)
        content = recordings.read('servers')['answer']['servers'][0]
        content['flavor'] |= {
            'vcpus': vcpus,
            'ram': ram,
            'disk': disk,
            'ephemeral': ephemeral,
            'swap': swap,
            'extra_specs': extra_specs,
        }
        content['image'] = '' if is_from_volume else content['image']
        self.assertEqual(expected, _asked(servers.read(content).flavor.query))


class FindTest(base.CommandTestCase):
    def setUp(self):
        super().setUp()
        self.nova.flavor('m1.small', vcpus=2)
        self.number = self.nova.server('web-1', 'par-1', 'm1.small')
        self.nova.server('web-10', 'par-1', 'm1.small')
        self.cloud = cloud.Cloud(self.nova.connect())

    def test_find(self):
        """A server is found by its ID, or by its whole name."""
        for name in (self.number, 'web-1'):
            self.assertEqual(self.number, servers.find(self.cloud, name).id)

    def test_unknown(self):
        """Who is not there is said not to be; who is there twice, so too."""
        other = self.nova.server('web-2', 'par-1', 'm1.small')
        self.nova.servers[other]['name'] = 'web-1'
        missing = '6a1f9f0e-0000-4000-8000-000000000000'
        for name, why in (
            ('web', "no server 'web'. All are listed by: openstack server"),
            ('web.1', "no server 'web.1'."),
            (missing, f"no server '{missing}'."),
            ('web-1', '2 servers are named'),
        ):
            error = self.assertRaises(
                exceptions.CommandError, servers.find, self.cloud, name
            )
            self.assertIn(why, str(error))

    def test_refused(self):
        """A policy that is missing is named."""
        self.nova.forbidden = {'get_all_tenants', 'show'}
        for name in (self.number, 'web-1'):
            error = self.assertRaises(
                cloud.CloudError, servers.find, self.cloud, name
            )
            self.assertIn('the policy os_compute_api:servers:', str(error))

    def test_flavor(self):
        """A flavor is found by its name or ID, or is said not to be there."""
        number = self.nova.flavors['m1.small']['id']
        for name in ('m1.small', number):
            flavor = servers.find_flavor(self.cloud, name)
            self.assertEqual('m1.small', flavor.name)
        error = self.assertRaises(
            exceptions.CommandError, servers.find_flavor, self.cloud, 'm2'
        )
        self.assertIn("no flavor 'm2'. All are listed by", str(error))
