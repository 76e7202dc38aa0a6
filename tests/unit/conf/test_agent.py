# SPDX-License-Identifier: Apache-2.0

import pathlib

import fixtures
from oslo_config import cfg

from edge_filters.conf import agent
from tests.unit import base

ETC = pathlib.Path(__file__).parents[3] / 'etc' / 'edge-filters'
SITE = '[edge_latency_agent]\nsite = par-01\norigin = paris 192.0.2.1\n'


class AgentOptionsTest(base.TestCase):
    def _parse(self, text):
        path = pathlib.Path(
            self.useFixture(fixtures.TempDir()).join('agent.conf')
        )
        path.write_text(text)
        config = cfg.ConfigOpts()
        agent.register_opts(config)
        config(['--config-file', str(path)], project='edge-filters')
        return config

    def _read(self, text):
        return agent.read(self._parse(text))

    def test_defaults(self):
        """The defaults are those of the design."""
        settings = self._read(SITE)
        self.assertEqual(1000, settings.keep_alive_s)
        self.assertEqual(2400, settings.max_age_s)
        self.assertEqual(64, settings.nearest_sites)
        self.assertEqual(2, settings.max_api_calls_per_second)
        self.assertEqual('median', settings.statistic)
        self.assertEqual('127.0.0.1', settings.metrics_address)
        self.assertTrue(settings.name)

    def test_names(self):
        """Names are in lower case, as keys of aggregates are."""
        settings = self._read(SITE + 'name = Agent-1\nhost = Compute-1\n')
        self.assertEqual(
            ('agent-1', 'compute-1', 'par-01'),
            (settings.name, settings.host, settings.site),
        )

    def test_repeated(self):
        """An origin is a line of its own."""
        settings = self._read(SITE + 'origin = lyon tcp://[2001:db8::1]:443\n')
        self.assertEqual(
            ('paris 192.0.2.1', 'lyon tcp://[2001:db8::1]:443'),
            settings.origin,
        )

    def test_together(self):
        """Options that contradict each other are named."""
        for lines, expected in (
            ('', 'nothing to measure'),
            ('origin = paris 192.0.2.1', 'site'),
            ('aggregate = 7\nprometheus_url = http://127.0.0.1', 'site'),
            ('site = par 01\norigin = paris 192.0.2.1', "site = 'par 01'"),
            ('name = a b\nprometheus_url = http://127.0.0.1', "name = 'a b'"),
            (
                'interval = 2\nprobe_timeout = 2\n'
                'prometheus_url = http://127.0.0.1',
                'probe_timeout',
            ),
            (
                'interval = 900\nprometheus_url = http://127.0.0.1',
                'interval has to be at most a third',
            ),
            (
                'max_api_calls_per_second = 0.01\n'
                'prometheus_url = http://127.0.0.1',
                'max_api_calls_per_second',
            ),
            (
                'prometheus_rtt_query =\nprometheus_url = http://127.0.0.1',
                'nothing would be measured',
            ),
            ('site = a\norigin = b 192.0.2.1\nhost = a b', "host = 'a b'"),
            (
                'prometheus_url = http://127.0.0.1\n[nova]\ntimeout = 0',
                '[nova] timeout',
            ),
            (
                'keep_alive = 1300\nprometheus_url = http://127.0.0.1',
                'max_age = 2400',
            ),
        ):
            with self.subTest(lines=lines):
                error = self.assertRaises(
                    ValueError, self._read, f'[edge_latency_agent]\n{lines}\n'
                )
                self.assertIn('[edge_latency_agent] ', str(error))
                self.assertIn(expected, str(error))

    def test_time_limit(self):
        """A Nova that never answers is not waited for for ever."""
        self.assertEqual(60, self._parse(SITE).nova.timeout)
        (nova,) = (
            options
            for group, options in agent.list_opts()
            if group.name == 'nova'
        )
        (timeout,) = (it for it in nova if it.dest == 'timeout')
        self.assertEqual(60, timeout.default)

    def test_sample(self):
        """The sample file is a configuration, both of its halves."""
        sample = (ETC / 'edge-latency-agent.conf.sample').read_text()
        central, site = sample.split('# At a site')
        self.assertEqual(
            'http://127.0.0.1:9090', self._read(central).prometheus_url
        )
        lines = [line.removeprefix('# ') for line in site.splitlines()[2:]]
        settings = self._read('\n'.join(lines))
        self.assertEqual(('par-01', 7), (settings.site, settings.aggregate))
        self.assertEqual(2, len(settings.origin))

    def test_password(self):
        """A password in the URL of Prometheus is not logged."""
        (option,) = (it for it in agent.OPTIONS if it.name == 'prometheus_url')
        self.assertTrue(option.secret)
