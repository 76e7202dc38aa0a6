# SPDX-License-Identifier: Apache-2.0

import time

import fixtures
from oslotest import base

from tests.network import lab
from tests.network import monitoring
from tests.network import needs

SECOND = {'scrape_interval': '1s', 'scrape_timeout': '1s'}
RTT = 'min_over_time(probe_icmp_duration_seconds{phase="rtt"}[30s]) * 1000'


class PrometheusTest(base.BaseTestCase):
    def test_icmp_and_tcp(self):
        """Prometheus has what blackbox_exporter sees from a site."""
        net = self.useFixture(lab.Lab(['site-1'], ['city-1', 'city-2']))
        net.set_link('site-1', 'city-1', rtt_ms=10)
        net.set_link('site-1', 'city-2', rtt_ms=35)
        net.serve_tcp('city-2', 443)
        near, far = net.address('city-1'), net.address('city-2', version=6)
        exporter = self.useFixture(monitoring.BlackboxExporter(net, 'site-1'))
        jobs = [
            exporter.scrape_config('icmp4', {'city-1': near}),
            exporter.scrape_config('icmp6', {'city-2': far}),
            exporter.scrape_config('tcp6', {'city-2': f'[{far}]:443'}),
        ]
        prometheus = self.useFixture(
            monitoring.Prometheus({'global': SECOND, 'scrape_configs': jobs})
        )

        def figures(query):
            """Return figures by site, origin and module."""
            return {
                (
                    *(each['metric'][label] for label in ('site', 'origin')),
                    each['metric']['job'].split()[1],
                ): float(each['value'][1])
                for each in prometheus.query(query)
            }

        pinged = {
            ('site-1', 'city-1', 'icmp4'): 10,
            ('site-1', 'city-2', 'icmp6'): 35,
        }
        connected = {('site-1', 'city-2', 'tcp6'): 1}
        self.eventually(
            lambda: (
                figures('probe_success')
                == dict.fromkeys(pinged, 1) | connected
            )
        )
        # It takes the time by itself, and the machine may be busy.
        self.eventually(
            lambda: all(
                rtt_ms <= figures(RTT)[path] <= rtt_ms * 1.1
                for path, rtt_ms in pinged.items()
            )
        )
        net.cut('site-1', 'city-1')
        self.eventually(
            lambda: (
                figures('probe_success')
                == {('site-1', 'city-1', 'icmp4'): 0}
                | {('site-1', 'city-2', 'icmp6'): 1}
                | connected
            )
        )

    def eventually(self, condition):
        deadline_s = time.monotonic() + 20
        while not condition():
            self.assertLess(time.monotonic(), deadline_s, 'it never came')
            time.sleep(0.1)

    def test_bad_configuration(self):
        """One that does not start is said to, at once."""
        prometheus = monitoring.Prometheus({'no such section': 1})
        begun_s = time.monotonic()
        errors = self.assertRaises(
            fixtures.MultipleExceptions, prometheus.setUp
        )
        self.assertLess(time.monotonic() - begun_s, 10)
        error = errors.args[0][1]
        self.assertIsInstance(error, needs.LabError)
        self.assertIn('prometheus ended while it started; ', str(error))
        self.assertIn('field no such section not found', str(error))
