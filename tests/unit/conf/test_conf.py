# SPDX-License-Identifier: Apache-2.0

import pathlib

import fixtures
from oslo_config import cfg

from edge_filters import conf
from tests.unit import base

ROOT = pathlib.Path(__file__).parents[3]
README = ROOT / 'README.rst'
SAMPLE = ROOT / 'etc' / 'edge-filters' / 'nova-scheduler.conf.sample'


class OptionsTest(base.TestCase):
    def _read(self, **options):
        directory = self.useFixture(fixtures.TempDir())
        path = directory.join('nova.conf')
        with open(path, 'w') as file:
            file.write('[edge_filters]\n')
            for name, value in options.items():
                file.write(f'{name} = {value}\n')
        config = cfg.ConfigOpts()
        conf.register_opts(config)
        config(['--config-file', path], project='nova')
        return conf.read(config)

    def test_apart(self):
        """What is set in one configuration is not set in another."""
        one, other = cfg.ConfigOpts(), cfg.ConfigOpts()
        for config in (one, other):
            conf.register_opts(config)
            config([], default_config_files=[])
        one.set_override('mode', 'off', conf.GROUP.name)
        self.assertEqual('enforce', conf.read(other).mode)

    def test_defaults(self):
        """The defaults are those of the design."""
        self.assertEqual(
            conf.Settings(
                mode='enforce',
                fallback='none',
                edge_latency_weight_multiplier=1500.0,
                rtt_horizon_ms=300.0,
                rtt_band_ms=2.0,
                max_age_s=2400,
                access_rtt_ms=5.0,
                estimate_ms_per_km=0.027,
                request_filter=True,
                request_filter_min_hosts=200,
                refusal_details='figures',
                map_files=(),
                record_origin=False,
                trusted_proxies=(),
            ),
            self._read(),
        )

    def test_lists(self):
        """Files and proxies are separated by commas; IPv4 is IPv4."""
        settings = self._read(
            map_files='/etc/nova/a.json, /etc/nova/b.json',
            trusted_proxies='192.0.2.10, 2001:db8::/64,::ffff:10.0.0.0/104',
        )
        self.assertEqual(
            ('/etc/nova/a.json', '/etc/nova/b.json'), settings.map_files
        )
        self.assertEqual(
            ('192.0.2.10/32', '2001:db8::/64', '10.0.0.0/8'),
            tuple(map(str, settings.trusted_proxies)),
        )

    def test_sample(self):
        """The sample file has every option at its default, and is accepted."""
        sample = SAMPLE.read_text()
        for option in conf.OPTIONS:
            (value,) = option.type.format_defaults(option.default)
            line = f'#{option.dest} = {value}'.rstrip()
            self.assertIn(f'\n{line}\n', sample)
        path = self.useFixture(fixtures.TempDir()).join('nova.conf')
        pathlib.Path(path).write_text(sample.replace('\n#', '\n# #'))
        config = cfg.ConfigOpts()
        group = cfg.OptGroup('filter_scheduler')
        config.register_opts(
            [
                cfg.MultiStrOpt('available_filters'),
                cfg.ListOpt('enabled_filters'),
                cfg.ListOpt('weight_classes'),
            ],
            group=group,
        )
        config(['--config-file', path], project='nova')
        scheduler = config.filter_scheduler
        self.assertEqual(2, len(scheduler.available_filters))
        self.assertEqual(
            ['EdgeSiteFilter', 'EdgeLatencyFilter'],
            scheduler.enabled_filters[-2:],
        )
        weighers = ','.join(scheduler.weight_classes)
        self.assertEqual(
            'nova.scheduler.weights.all_weighers,edge_filters.all_weighers',
            weighers,
        )
        self.assertIn(f'weight_classes = {weighers}\n', README.read_text())

    def test_impossible_values(self):
        """A value that cannot be is refused, and the option is named."""
        for name, value in (
            ('mode', 'on'),
            ('mode', ''),
            ('fallback', 'farthest'),
            ('edge_latency_weight_multiplier', '-1'),
            ('edge_latency_weight_multiplier', 'nan'),
            ('edge_latency_weight_multiplier', 'inf'),
            ('edge_latency_weight_multiplier', '1e10'),
            ('edge_latency_weight_multiplier', ''),
            ('rtt_horizon_ms', '9.9'),
            ('rtt_horizon_ms', 'nan'),
            ('rtt_horizon_ms', 'far'),
            ('rtt_band_ms', '-0.1'),
            ('rtt_band_ms', 'nan'),
            ('max_age', '0'),
            ('max_age', 'old'),
            ('max_age', ''),
            ('access_rtt_ms', '-1'),
            ('access_rtt_ms', 'nan'),
            ('estimate_ms_per_km', '1.1'),
            ('estimate_ms_per_km', ''),
            ('request_filter', 'perhaps'),
            ('request_filter', ''),
            ('request_filter_min_hosts', '0'),
            ('request_filter_min_hosts', '10001'),
            ('request_filter_min_hosts', '1.5'),
            ('request_filter_min_hosts', ''),
            ('refusal_details', 'all'),
            ('refusal_details', ''),
            ('record_origin', 'perhaps'),
            ('record_origin', ''),
            ('trusted_proxies', 'proxy.example.org'),
            ('trusted_proxies', '192.0.2.1/24'),
            ('trusted_proxies', '192.0.2.1, 010.0.0.1'),
        ):
            error = self.assertRaises(ValueError, self._read, **{name: value})
            self.assertIn(name, str(error))

    def test_band_within_horizon(self):
        """A band as wide as the horizon would make all sites equal."""
        error = self.assertRaises(
            ValueError, self._read, rtt_band_ms='20', rtt_horizon_ms='20'
        )
        self.assertIn('rtt_band_ms', str(error))
        self.assertIn('rtt_horizon_ms', str(error))

    def test_every_option_is_listed(self):
        """The generator of the sample file sees every option, with help."""
        ((group, options),) = conf.list_opts()
        self.assertEqual('edge_filters', group.name)
        fields = {option.dest.removesuffix('_s') for option in options}
        self.assertEqual(
            fields,
            {name.removesuffix('_s') for name in conf.Settings.__slots__},
        )
        for option in options:
            self.assertIn('Related options:', option.help)
            if not getattr(option.type, 'choices', None):
                self.assertIn('Possible values:', option.help)
