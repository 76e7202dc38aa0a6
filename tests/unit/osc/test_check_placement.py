# SPDX-License-Identifier: Apache-2.0

from edge_filters import cloud
from edge_filters.osc import check_placement
from edge_filters.osc import placement
from tests.unit import nova_api
from tests.unit.osc import base


class PlacementTest(base.WorldTestCase):
    def setUp(self):
        super().setUp()
        self.par = self.site('par', ['par-1', 'Par-2'])
        self.lyo = self.site('lyo', ['lyo-1'])
        for host in ('par-1', 'Par-2', 'lyo-1'):
            self.nova.hypervisor(
                host, hypervisor_hostname=f'{host}.edge.example'
            )

    def mirror(self):
        """Return what Placement knows of the sites."""
        uuids = [self.par['uuid'], self.lyo['uuid']]
        return placement.read(cloud.Cloud(self.nova.connect()), uuids)

    def found(self):
        """Return what Placement does not know of the sites."""
        nodes = cloud.Cloud(self.nova.connect()).nodes()
        return list(
            check_placement.findings(self.world(), nodes, self.mirror())
        )

    def test_mirror(self):
        """What Placement knows is asked for once for each aggregate."""
        self.assertEqual(
            (
                {
                    self.par['uuid']: {
                        'par-1.edge.example',
                        'Par-2.edge.example',
                    },
                    self.lyo['uuid']: {'lyo-1.edge.example'},
                },
                {},
            ),
            self.mirror(),
        )
        self.assertEqual(3, len(self.nova.calls('GET')))

    def test_complete(self):
        """Of sites that Placement knows nothing is wrong."""
        self.assertEqual([], self.found())

    def test_incomplete(self):
        """Hosts that Nova did not mirror are told."""
        self.nova.unmirrored = {'Par-2', 'lyo-1'}
        lyo, par = sorted(self.found())
        self.assertEqual(('mirror-incomplete', 'lyo'), lyo[:2])
        self.assertIn('lacks 1 of 1 hosts', lyo.what)
        self.assertEqual(('mirror-incomplete', 'par'), par[:2])
        self.assertIn('finds par-2', par.what)

    def test_no_hypervisor(self):
        """Nothing is said of a host that Nova does not know."""
        self.nova.aggregate('nce', ['nce-1'], edge__site='nce')
        self.assertEqual([], self.found())

    def test_nodes(self):
        """A host of several nodes is there if all of them are."""
        self.nova.hypervisors['more'] = {
            **self.nova.hypervisors['lyo-1'],
            'hypervisor_hostname': 'lyo-1-b.edge.example',
        }
        self.assertEqual([], self.found())
        mirror = self.mirror()
        members = {
            uuid: names - {'lyo-1-b.edge.example'}
            for uuid, names in mirror.members.items()
        }
        nodes = cloud.Cloud(self.nova.connect()).nodes()
        (found,) = check_placement.findings(
            self.world(), nodes, placement.Mirror(members, {})
        )
        self.assertEqual(('mirror-incomplete', 'lyo'), found[:2])

    def test_shared(self):
        """What shares a disk with a site's hosts is in its aggregate."""
        storage, other = ('0b5d7c1e-' + '0' * 27 + it for it in '12')
        shares = ['MISC_SHARES_VIA_AGGREGATE']
        self.nova.extra_providers['par-1.edge.example'] = ([storage], [])
        self.nova.extra_providers['elsewhere'] = ([other], [])
        self.nova.extra_providers['nfs-2'] = ([other], shares)
        self.assertEqual([], self.found())
        self.nova.extra_providers['nfs-1'] = ([storage], shares)
        (found,) = self.found()
        self.assertEqual(('shared-storage-outside', 'par'), found[:2])
        self.assertIn('nfs-1', found.what)
        self.nova.extra_providers['nfs-1'] = (
            [storage, self.par['uuid']],
            shares,
        )
        self.assertEqual([], self.found())
        # Two sites, the providers that share, two of them, two aggregates.
        before = len(self.nova.calls('GET'))
        self.mirror()
        self.assertEqual(before + 7, len(self.nova.calls('GET')))

    def test_refused(self):
        """Who may not ask Placement is told which policy is missing."""
        shares = ['MISC_SHARES_VIA_AGGREGATE']
        self.nova.extra_providers['nfs'] = ([self.par['uuid']], shares)
        for policy in (
            'resource_providers:list',
            'resource_providers:aggregates:list',
        ):
            self.nova.forbidden = {policy}
            error = self.assertRaises(cloud.CloudError, self.mirror)
            self.assertIn(
                f'the policy placement:{policy} does not allow it', str(error)
            )

    def test_strange(self):
        """What does not answer as Placement does is one sentence."""
        for answer in (
            {'json': []},
            {'text': '<html>', 'status_code': 502},
            {'text': 'hello'},
        ):
            self.nova.mock.get(
                nova_api.PLACEMENT_URL + '/resource_providers', **answer
            )
            error = self.assertRaises(cloud.CloudError, self.mirror)
            self.assertIn('lacement', str(error))
            self.assertNotIn('\n', str(error))
