# SPDX-License-Identifier: Apache-2.0

import os
import pathlib
import random
import statistics

import fixtures

from tests.network import forwarder
from tests.network import lab
from tests.network import monitoring
from tests.network import needs
from tests.unit import base

ALL = 20000


class NeedsTest(base.TestCase):
    """Where networks are not allowed, one is told what to do about it."""

    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.useFixture(fixtures.EnvironmentVariable('PATH', str(self.folder)))
        self.patch(os, 'geteuid', lambda: 0)
        self.patch(needs, 'TUN', self.folder)
        self.patch(needs, 'IPV6', self.folder)
        self.install('ip', 'exit 0')

    def install(self, program, text):
        path = self.folder / program
        path.write_text(f'#!/bin/sh\n{text}\n')
        path.chmod(0o755)

    def sentence(self, fixture=None):
        """Return what a test is told that cannot have a fixture."""
        fixture = fixture or lab.Lab(['site-1'], [])
        errors = self.assertRaises(fixtures.MultipleExceptions, fixture.setUp)
        error = errors.args[0][1]
        self.assertIsInstance(error, needs.LabError)
        return str(error)

    def test_program(self):
        """A program that is missing is named, with its package."""
        (self.folder / 'ip').unlink()
        sentence = self.sentence()
        self.assertIn('The program ip is missing: ', sentence)
        self.assertIn('"apt-get install iproute2"', sentence)
        for fixture in (
            monitoring.Prometheus({}),
            monitoring.BlackboxExporter(None, 'site-1'),
        ):
            self.assertRegex(
                self.sentence(fixture),
                'The program (prometheus.*) is missing: .* install \\1"',
            )

    def test_root(self):
        """So is that one has to be root."""
        self.patch(os, 'geteuid', lambda: 1000)
        self.assertIn('run these tests as root', self.sentence())

    def test_kernel(self):
        """So is what the kernel has not loaded, or was told to do without."""
        self.patch(needs, 'IPV6', self.folder / 'none')
        self.assertIn('IPv6 switched off', self.sentence())
        self.patch(needs, 'TUN', self.folder / 'none')
        self.assertIn('run "modprobe tun"', self.sentence())

    def test_refusal(self):
        """What even root may not do is named, with the system's reason."""
        self.install('ip', 'echo Operation not permitted >&2; exit 1')
        self.assertRegex(
            self.sentence(),
            r'^"ip netns add edge-lab\..*" failed '
            r'\(Operation not permitted\): run these tests where ',
        )


class WayTest(base.TestCase):
    def draw(self, seed=0, **how):
        way = forwarder.Way(random.Random(seed))
        way.set(**{'rtt_ms': 40, 'jitter_ms': 0, 'loss_pct': 0} | how)
        return [way.draw() for _ in range(ALL)]

    def round_trips(self, **how):
        """Return the holds of round trips, None for those that are lost."""
        return [
            None if None in pair else sum(pair)
            for pair in zip(
                self.draw(1, **how), self.draw(2, **how), strict=True
            )
        ]

    def test_steady(self):
        """Without jitter and loss each packet takes half of the RTT."""
        self.assertEqual({20}, set(self.draw()))

    def test_loss(self):
        """Loss is that of round trips; at 100 percent nothing arrives."""
        lost = self.round_trips(loss_pct=30).count(None)
        self.assertAlmostEqual(30, 100 * lost / ALL, delta=1)
        self.assertEqual({None}, set(self.draw(loss_pct=100)))
        way = forwarder.Way(random.Random(0))
        self.assertIsNone(way.draw(), 'not joined yet')

    def test_jitter(self):
        """RTTs keep within the jitter, their deviation is a third of it."""
        rtts_ms = self.round_trips(jitter_ms=30)
        self.assertGreaterEqual(min(rtts_ms), 10)
        self.assertLessEqual(max(rtts_ms), 70)
        self.assertAlmostEqual(40, statistics.mean(rtts_ms), delta=0.5)
        deviations_ms = [abs(rtt_ms - 40) for rtt_ms in rtts_ms]
        self.assertAlmostEqual(10, statistics.mean(deviations_ms), delta=0.5)

    def test_seed(self):
        """What was lost once is lost again with the same seed."""
        self.assertEqual(self.draw(loss_pct=30), self.draw(loss_pct=30))
        self.assertNotEqual(self.draw(loss_pct=30), self.draw(7, loss_pct=30))


class LinkTest(base.TestCase):
    def test_what_cannot_be(self):
        """Places and figures that there are not are refused."""
        net = lab.Lab(['site-1'], ['city-1'])
        for other, how in (
            ('city-2', {'rtt_ms': 1}),
            ('city-1', {'rtt_ms': -1}),
            ('city-1', {'rtt_ms': float('nan')}),
            ('city-1', {'rtt_ms': 1, 'jitter_ms': 2}),
            ('city-1', {'rtt_ms': 1, 'loss_pct': 101}),
        ):
            self.assertRaises(ValueError, net.set_link, 'site-1', other, **how)
