# SPDX-License-Identifier: Apache-2.0

import datetime

from testtools import matchers

from tests.functional import base
from tests.functional import test_request_filter

PARIS = test_request_filter.PARIS
WITHIN_5 = {**PARIS, 'edge:max_rtt_ms': '5'}
# What Nova says before our reason, and how long both can be together.
NOVA_SAYS = 'No valid host was found. Scheduling failed: '
MAX_CHARS = 255
NONE = 'No edge site'


class RefusalTestCase(test_request_filter.QueryTestCase):
    """A test of an ordinary user, who wants to know why."""

    def setUp(self):
        super().setUp()
        self.user = self.cloud.connect('user', 'project')

    def make_sites(self, **metadata):
        """Make par-01 and so on, with these keys: par={'rtt:paris': '4'}."""
        self.sites = {
            site: self.cloud.create_site(
                f'{site}-01',
                base.SITE_HOSTS[site],
                {f'edge:{key}': value for key, value in keys.items()},
            )
            for site, keys in metadata.items()
        }

    def fault_of(self, server):
        """What the user of a server reads, after Nova's own words."""
        fault = self.user.compute.get_server(server.id).fault
        self.assertEqual({'code', 'created', 'message'}, set(fault))
        message = fault['message']
        self.assertTrue(message.startswith(NOVA_SAYS), message)
        self.assertLessEqual(len(message), MAX_CHARS)
        # Nova cuts what is too long: but not in its log.
        self.assertIn(f': {message}\n', self.log.output)
        return message.removeprefix(NOVA_SAYS)

    def fault(self, hints):
        """The same of a boot that is refused."""
        server, host = self.boot(hints=hints, connection=self.user)
        self.assertEqual(('ERROR', ''), (server.status, host))
        return self.fault_of(server)


class BootTest(RefusalTestCase):
    """Why a boot is refused is in the fault of the server."""

    def test_details(self):
        """How much of the sites is in it is for the operator to say.

        Figures without names, unless the operator says otherwise.
        """
        at = datetime.datetime.now(datetime.UTC)
        at -= datetime.timedelta(seconds=40)
        self.make_sites(
            par={'rtt:paris': f'7.2 at={at:%Y-%m-%dT%H:%M:%SZ}'},
            lyo={'rtt:paris': '4.1', 'status': 'draining'},
            mrs={'tier': 'core'},
        )
        figures = (
            r': nearest 7\.2 ms \([4-9]\d s old\); one at 4\.1 ms is draining'
            '; 1 not measured'
        )
        names = figures.replace('est 7', 'est par-01 7')
        names = names.replace('one at', 'lyo-01')
        for options, details in (
            ({}, figures),
            ({'refusal_details': 'names'}, names),
            ({'refusal_details': 'none'}, ''),
        ):
            if options:
                self.restart(**options)
            self.assertThat(
                self.fault(WITHIN_5),
                matchers.MatchesRegex(
                    f'{NONE} within 5 ms of origin paris{details}$'
                ),
            )

    def test_names(self):
        """What a user asked for is in it, and no name of any other site."""
        self.make_sites(
            par={'rtt:paris': '7.2', 'tier': 'core', 'status': 'inactive'},
            lyo={'rtt:paris': '- loss=100 n=9', 'status': 'draining'},
            mrs={'rtt:paris': '9 jitter=3'},
        )
        for hints, told in (
            ({'edge:tier': 'core'}, ' of tier core: one is inactive'),
            ({'edge:site': 'lyo-01'}, ' among lyo-01: one is draining'),
            ({'edge:site': 'nice'}, ' among nice: there is no such site'),
            (
                {**PARIS, 'edge:max_jitter_ms': '2'},
                ' within jitter 2 ms of origin paris: nearest 9 ms, its '
                'jitter of 3 ms over 2 ms',
            ),
            (
                {'edge:near': '1,2', 'edge:unmeasured': 'reject'},
                ' measured from position 1,2: 1 not measured',
            ),
        ):
            self.assertEqual(f'{NONE}{told}', self.fault(hints))

    def test_length(self):
        """It is short enough, however much was asked for."""
        self.make_sites(par={f'rtt:{"o" * 64}': '7.2'})
        long = [f'{number:064}' for number in range(16)]
        origin = 'o' * 64
        for hints, begin in (
            ({'edge:site': long, 'edge:tier': long}, f'{NONE} among {0:064}'),
            (
                {'edge:origin': origin, 'edge:max_rtt_ms': '5'},
                f'{NONE} within 5 ms of origin {origin}: nearest 7.2 ms',
            ),
            ({'edge:origin': long}, f'hint edge:origin {0:064}, '),
            ({f'edge:{"x" * 99}': 'x'}, f"hint 'edge:{'x' * 60}"),
        ):
            told = self.fault(hints)
            self.assertTrue(told.startswith(begin), told)

    def test_bad_hints(self):
        """A hint that cannot be read is named, with what is wrong."""
        self.make_sites(par={'rtt:paris': '4'})
        for hints, told in (
            (
                {**PARIS, 'edge:max_rtt_ms': 'near'},
                "hint edge:max_rtt_ms 'near' is not a number of 0 or more, "
                'such as 12.5; write for instance 20',
            ),
            (
                {'edge:origin': 'pariss'},
                'hint edge:origin pariss is not known: no site has a figure '
                'for it',
            ),
            (
                {'edge:max_rtt_ms': '5'},
                'the budget of the server needs to know where its users are; '
                'give edge:origin too',
            ),
        ):
            self.assertEqual(told, self.fault(hints))


class MoveTest(RefusalTestCase):
    """Why a move is refused is where Nova has a place for it."""

    TOLD = f'{NONE} within 5 ms of origin paris: nearest 7.2 ms'
    LOGGED = (
        'no host passes: par-01 is 7.2 ms from paris, over 5 ms; mrs-01 is 9 '
        'ms from paris, over 5 ms.'
    )

    def setUp(self):
        super().setUp()
        self.make_sites(par={'rtt:paris': '4'}, mrs={'rtt:paris': '9'})
        self.server, self.source = self.boot(
            hints=WITHIN_5, connection=self.user
        )
        self.cloud.set_metadata(self.sites['par'], {'edge:rtt:paris': '7.2'})

    def test_evacuation(self):
        """Of an evacuation it is in the fault of the server."""
        self.assertEqual('ERROR', self.evacuate(self.server).status)
        self.assertEqual(self.TOLD, self.fault_of(self.server))
        self.assertIn(self.LOGGED, self.log.output)

    def _ask(self, method, path, **body):
        url = f'/servers/{self.server.id}/{path}'
        return method(url, microversion='2.90', **body)

    def _refused(self, name, parameters=None):
        """The details of an action's events, where they say what failed."""
        self.log.reset_output()
        response = self._ask(self.nova.post, 'action', json={name: parameters})
        self.assertEqual(202, response.status_code)
        self.cloud.wait_for(self.server)
        self.assertIn(self.LOGGED, self.log.output)
        actions = self._ask(self.nova.get, 'os-instance-actions').json()
        action = actions['instanceActions'][0]['request_id']
        action = self._ask(self.nova.get, f'os-instance-actions/{action}')
        return {
            event['event']: event['details']
            for event in action.json()['instanceAction']['events']
            if event['result'] == 'Error'
        }

    def test_other_moves(self):
        """Of other moves it is in the log of the scheduler.

        Of live migrations and unshelves Nova has it in the details of the
        event, of cold migrations and resizes not.
        """
        told = NOVA_SAYS + self.TOLD
        how = {'host': None, 'block_migration': 'auto'}
        self.assertEqual(
            {'conductor_live_migrate_instance': told},
            self._refused('os-migrateLive', how),
        )
        flavor = self.cloud.flavor('other', memory_mb=600)
        for name, parameters, nova_says in (
            ('migrate', None, 'No valid host found for cold migrate'),
            ('resize', {'flavorRef': flavor.id}, 'found for resize'),
        ):
            details = self._refused(name, parameters)
            self.assertIn('conductor_migrate_server', details)
            for text in details.values():
                self.assertTrue(text.endswith(nova_says), text)
        server = self.nova.get_server(self.server.id)
        self.assertEqual(('ACTIVE', None), (server.status, server.fault))
        self.assertEqual(self.source, server.compute_host)
        self.user.compute.shelve_server(server)
        self.cloud.wait_for(server, 'SHELVED_OFFLOADED')
        self.assertEqual(
            {'schedule_instances': told}, self._refused('unshelve')
        )
