# SPDX-License-Identifier: Apache-2.0

from tests.trials import census
from tests.trials import figures
from tests.trials import scheduler_logs
from tests.unit import base

SITE_OF = {'compute-1-1': 'site-1', 'compute-2-1': 'site-2'}
HOST, OTHER_HOST = SITE_OF


def boot(name='a', max_rtt_ms=20.0, status=202):
    origin = None if max_rtt_ms is None else 'paris'
    return census.Boot(name, origin, max_rtt_ms, 10.0, status)


def server(name='a', status='ACTIVE', host=HOST, fault=None):
    known = {'fault': {'code': 500, 'message': fault}} if fault else {}
    return {
        'id': f'id-{name}',
        'name': name,
        'status': status,
        'OS-EXT-SRV-ATTR:host': host,
    } | known


class CensusTestCase(base.TestCase):
    def setUp(self):
        super().setUp()
        self.record = figures.Record()
        self.record.add('site-1', 'paris', figures.Write(5.0, 0, 0))
        self.record.add('site-2', 'paris', figures.Write(60.0, 0, 0))
        self.decisions = {
            'id-a': [scheduler_logs.Decision(10.5, 5.0, 'site-1')],
        }

    def decide(self, rtt_ms, site='site-1'):
        self.decisions = {
            'id-a': [scheduler_logs.Decision(10.5, rtt_ms, site)]
        }

    def count(self, boots, servers, allocations=None):
        """Return the counts that are not zero."""
        counts = census.count(
            boots,
            servers,
            allocations or {},
            self.decisions,
            self.record,
            SITE_OF,
        )
        return {name: it for name, it in counts.items() if it}


class StateTest(CensusTestCase):
    def test_states(self):
        """Each server is counted once, as what it is in the end."""
        for status, host, fault, expected in (
            ('ACTIVE', HOST, None, {'active': 1}),
            ('BUILD', None, None, {'stuck': 1}),
            ('ERROR', None, 'No valid host.', {'error': 1}),
            ('ERROR', HOST, None, {'mute': 1}),
            ('ERROR', None, ' ', {'mute': 1, 'mute_unplaced': 1}),
        ):
            it = server(status=status, host=host, fault=fault)
            self.assertEqual(expected, self.count([boot()], [it]))

    def test_unplaced(self):
        """A server that has an allocation was placed, if not yet claimed."""
        it = server(status='ERROR', host=None)
        self.assertEqual(
            {'mute': 1, 'leaked': 1},
            self.count([boot()], [it], {HOST: ['id-a']}),
        )

    def test_no_server(self):
        """What Nova took on and does not know is lost."""
        self.assertEqual({'lost': 1}, self.count([boot()], []))

    def test_refused(self):
        """What Nova refuses is refused; there may be a server all the same."""
        for status in (0, 409, 500, 503):
            refused = boot(status=status)
            self.assertEqual({'refused': 1}, self.count([refused], []))
            self.assertEqual(
                {'refused': 1, 'active': 1}, self.count([refused], [server()])
            )

    def test_others(self):
        """Servers that the trial did not ask for are not counted."""
        self.assertEqual(
            {'active': 1}, self.count([boot()], [server(), server('check-a')])
        )

    def test_reasons(self):
        """Reasons are counted by kind: ours, and others by their words."""
        servers = [
            server('a', 'ERROR', None, 'No edge site within 20 ms of paris'),
            server('b', 'ERROR', None, 'hint edge:origin lyon is not known'),
            server('c', 'ERROR', None, 'No valid host was found. There are'),
            server('d', 'ERROR', None),
            server('e', 'ERROR', None, 'Not asked for by the trial'),
        ]
        self.assertEqual(
            {census.NO_SITE: 2, 'No valid host was': 1},
            census.reasons([boot(name) for name in 'abcd'], servers),
        )


class BudgetTest(CensusTestCase):
    def test_inside(self):
        """A server at a site that met its budget is inside."""
        self.assertEqual({'active': 1}, self.count([boot()], [server()]))

    def test_outside(self):
        """One at a site that never did is outside, whatever the log says."""
        it = server(host=OTHER_HOST)
        self.assertEqual(
            {'outside': 1, 'active': 1}, self.count([boot()], [it])
        )

    def test_no_budget(self):
        """Where there is no budget nothing is outside of it."""
        it = server(host=OTHER_HOST)
        self.assertEqual(
            {'active': 1}, self.count([boot(max_rtt_ms=None)], [it])
        )

    def test_unknown_site(self):
        """A host of no site is within no budget."""
        it = server(host='compute-par-1')
        self.assertEqual(
            {'outside': 1, 'active': 1}, self.count([boot()], [it])
        )

    def test_nobody_decided(self):
        """A server that no scheduler says it decided on is outside."""
        self.decisions = {}
        outside = {'outside': 1, 'active': 1}
        self.assertEqual(outside, self.count([boot()], [server()]))
        self.decide(None, None)
        self.assertEqual(outside, self.count([boot()], [server()]))

    def test_scheduler_says_so(self):
        """So is one that the scheduler itself says is too far."""
        self.decide(20.5)
        self.assertEqual(
            {'outside': 1, 'active': 1}, self.count([boot()], [server()])
        )

    def test_another_was_nearest(self):
        """Of other sites that passed a scheduler does not say how far."""
        self.decide(2.0, 'site-2')
        self.assertEqual({'active': 1}, self.count([boot()], [server()]))

    def test_figure_of_its_own(self):
        """A figure that nobody wrote is stale, but for one of an agent."""
        self.decide(6.0)
        self.assertEqual(
            {'stale': 1, 'active': 1}, self.count([boot()], [server()])
        )
        measured = figures.Record(['paris'])
        measured.add('site-1', 'paris', figures.Write(5.0, 0, 0))
        self.record = measured
        self.assertEqual({'active': 1}, self.count([boot()], [server()]))

    def test_stale(self):
        """A budget that only a figure met which had changed is told apart."""
        self.record.add('site-1', 'paris', figures.Write(60.0, 5.0, 5.1))
        self.assertEqual(
            {'stale': 1, 'active': 1}, self.count([boot()], [server()])
        )
        self.record.add('site-1', 'paris', figures.Write(20.0, 9.5, 9.6))
        self.decide(20.0)
        self.assertEqual({'active': 1}, self.count([boot()], [server()]))

    def test_stock(self):
        """Where nobody knows of budgets nobody knows what is outside."""
        counts = census.count(
            [boot()], [server(host=OTHER_HOST)], {}, None, self.record, SITE_OF
        )
        self.assertIsNone(counts['outside'])
        self.assertIsNone(counts['stale'])


class UnlearnedTest(base.TestCase):
    def test_unlearned(self):
        """Only who is refused for the new figure shows that it is known."""
        new = 'No edge site within 20 ms of origin quiet: nearest 40 ms'
        for status, fault, expected in (
            ('ERROR', new, 0),
            ('ERROR', 'hint edge:origin quiet is not known', 1),
            ('ERROR', None, 1),
            ('ACTIVE', None, 1),
            ('BUILD', None, 1),
        ):
            it = server('quiet-1', status, HOST, fault)
            others = [server('check-1', 'ERROR', None, new)]
            self.assertEqual(
                expected, census.unlearned([it, *others], 'quiet', 1, 40.0)
            )
        self.assertEqual(8, census.unlearned([], 'quiet', 8, 40.0))


class LeakTest(base.TestCase):
    def test_leaks(self):
        """An allocation is leaked if no server on that host has it."""
        servers = [
            server('up'),
            server('building', 'BUILD', None),
            server('failed', 'ERROR', None, 'No valid host'),
            server('failed-there', 'ERROR', HOST, 'Cannot spawn'),
        ]
        allocations = {
            HOST: ['id-up', 'id-building', 'id-failed', 'id-failed-there'],
            OTHER_HOST: ['id-up', 'id-gone'],
        }
        self.assertEqual(
            [
                (HOST, 'id-failed'),
                (OTHER_HOST, 'id-up'),
                (OTHER_HOST, 'id-gone'),
            ],
            census.leaked(servers, allocations),
        )
