# SPDX-License-Identifier: Apache-2.0

import json
import pathlib
import shutil
import subprocess

import fixtures
from oslotest import base

from edge_filters.conf import agent as agent_conf

HERE = pathlib.Path(__file__).parent
ETC = HERE.parents[1] / 'etc' / 'edge-filters'

# What a Prometheus has scraped of one path, every 15 s.
SUCCESS = 'probe_success{site="par-01", origin="paris", instance="b"}'
RTT = (
    'probe_icmp_duration_seconds'
    '{site="par-01", origin="paris", instance="b", phase="rtt"}'
)
OURS = '{site="par-01", origin="paris", instance="b"}'
OURS_RTT = OURS.replace('}', ', phase="rtt"}')


class PromtoolTest(base.BaseTestCase):
    """What a Prometheus makes of the files and the queries that we ship."""

    def promtool(self, *arguments):
        promtool = shutil.which('promtool')
        if promtool is None:
            self.fail(
                'There is no promtool; install it as root: apt-get install '
                '--no-install-recommends prometheus'
            )
        done = subprocess.run(
            [promtool, *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        self.assertEqual(0, done.returncode, done.stdout)

    def test_files(self):
        """Prometheus takes the example and the alert rules."""
        self.promtool('check', 'rules', ETC / 'prometheus-alerts.yaml')
        self.promtool('check', 'config', ETC / 'prometheus.yaml')

    def test_alerts(self):
        """Alerts are raised when they should be, and not otherwise."""
        self.promtool('test', 'rules', HERE / 'alerts.yaml')

    def answers(self, success, rtt_s, at, **expected):
        """Check what the default queries answer at a time in seconds.

        :param success: values of ``probe_success``, as promtool reads them
        :param rtt_s: those of the duration
        :param expected: the value of each figure; None: there is none
        """
        queries = {it.dest: it.default for it in agent_conf.OPTIONS}
        tests = [
            {
                'expr': queries[f'prometheus_{figure}_query'],
                'eval_time': f'{at}s',
                'exp_samples': []
                if value is None
                else [
                    {
                        'labels': OURS_RTT
                        if figure in ('rtt', 'jitter')
                        else OURS,
                        'value': value,
                    }
                ],
            }
            for figure, value in expected.items()
        ]
        series = [
            {'series': SUCCESS, 'values': success},
            {'series': RTT, 'values': rtt_s},
        ]
        file = pathlib.Path(self.useFixture(fixtures.TempDir()).path) / 'test'
        # All JSON is YAML.
        file.write_text(
            json.dumps(
                {
                    'evaluation_interval': '15s',
                    'tests': [
                        {
                            'interval': '15s',
                            'input_series': series,
                            'promql_expr_test': tests,
                        }
                    ],
                }
            )
        )
        self.promtool('test', 'rules', file)

    def test_figures(self):
        """A path that answers has all figures; a lost probe no RTT of 0."""
        self.answers(
            '1x37 0 1 1',
            '0.25x30 0.5 0.5 0.25x4 0 0.25 0.25',
            at=601,
            rtt=0.25,
            jitter=0.25,
            loss=1 - 19 / 20,
            count=20,
            time=600,
        )

    def test_step(self):
        """A step is followed within a minute."""
        self.answers('1x80', '0.25x36 0.5x10', at=586, rtt=0.5)

    def test_cut_link(self):
        """After a minute without an answer a path is unreachable."""
        for at, rtt_s, loss in ((646, 0.25, 1 - 17 / 20), (661, None, 1)):
            self.answers(
                '1x40 0x20',
                '0.25x40 0x20',
                at=at,
                rtt=rtt_s,
                loss=loss,
                time=at - 1,
            )

    def test_exporter_gone(self):
        """Of a site whose exporter is gone nothing new is said."""
        for at, time in ((631, 600), (691, None)):
            self.answers(
                '1x40 stale',
                '0.25x40 stale',
                at=at,
                rtt=None if time is None else 0.25,
                loss=None if time is None else 0,
                time=time,
            )
