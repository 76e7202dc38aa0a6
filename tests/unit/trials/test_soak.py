# SPDX-License-Identifier: Apache-2.0

import collections
import dataclasses
from unittest import mock

from tests.trials import agreement
from tests.trials import growth
from tests.trials import hour
from tests.trials import repeats
from tests.trials import soak
from tests.unit import base

BOOTED = '11111111-2222-3333-4444-555555555555'
COMPAT = 'edge_filters.scheduler.nova_compat'


def line(at, text, pid=7, level='WARNING', logger=COMPAT, request='-'):
    """A line as oslo.log writes it, so many seconds after twelve."""
    minutes, seconds = divmod(at, 60)
    return (
        f'2026-11-23 12:{minutes:02}:{seconds:02}.250 {pid} {level} {logger} '
        f'[{request}] {text}'
    )


def bad(at, key='edge:rtt:paris', value="'x'", **more):
    text = f'Aggregate 3, site par: {key}={value} is skipped: no figure.'
    return line(at, text, **more)


class RepeatsTest(base.TestCase):
    def repeats(self, *text):
        said = repeats.lines('\n'.join(text))
        return [(it.line.pid, it.after_s) for it in repeats.repeats(said)]

    def test_too_soon(self):
        """A warning that a process says again within ten minutes is found."""
        self.assertEqual([(7, 90.0)], self.repeats(bad(0), bad(90)))

    def test_due(self):
        """After ten minutes it may be said again, and is new from then on."""
        self.assertEqual([(7, 30.0)], self.repeats(bad(0), bad(600), bad(630)))

    def test_another_value(self):
        """Another value of the key is no other warning; another key is."""
        self.assertEqual([(7, 5.0)], self.repeats(bad(0), bad(5, value='=]')))
        self.assertEqual([], self.repeats(bad(0), bad(5, 'edge:rtt:nice')))

    def test_another_count(self):
        """How many more there are makes no other warning."""
        text = 'Aggregate 3 has {} more keys that are skipped.'
        self.assertEqual(
            [(7, 9.0)],
            self.repeats(line(0, text.format(5)), line(9, text.format(30))),
        )

    def test_another_process(self):
        """Each process says it for itself."""
        self.assertEqual([], self.repeats(bad(0), bad(1, pid=8)))

    def test_not_ours(self):
        """What Nova says, what is no warning, and tracebacks are passed by."""
        self.assertEqual(
            [],
            self.repeats(
                bad(0, logger='nova.scheduler'),
                bad(1, logger='nova.scheduler'),
                bad(2, level='INFO'),
                bad(3, level='INFO'),
                'Traceback (most recent call last):',
                'Traceback (most recent call last):',
                bad(4),
            ),
        )

    def test_decisions(self):
        """A decision is of a server in a request."""
        text = 'Edge decision (enforce) for server ab-1, no origin: passes.'
        it = {'level': 'INFO', 'logger': 'edge_filters.scheduler.decision'}
        said = repeats.lines(
            '\n'.join(
                [
                    line(0, text, request='req-1', **it),
                    line(1, text, request='req-2', **it),
                    line(2, text, request='req-2', **it),
                    bad(3),
                ]
            )
        )
        self.assertEqual(
            {('req-1', 'ab-1'): 1, ('req-2', 'ab-1'): 2},
            dict(repeats.decisions(said)),
        )


class GrowthTest(base.TestCase):
    def test_after_it_settled(self):
        """What grows before it has settled does not count; a trend does."""
        early = [(at, 1000 + at) for at in range(0, 300, 10)]
        late = [(at, 102400 + at) for at in range(300, 910, 10)]
        it = growth.growth(early + late, 300)
        self.assertAlmostEqual(60, it.slope_kb)
        self.assertAlmostEqual((102400 + 325) / 1024, it.first_mb)
        self.assertAlmostEqual((102400 + 875) / 1024, it.last_mb, 2)
        self.assertAlmostEqual(0.54, it.pct, 2)

    def test_few_points(self):
        """A minute in which nobody looked is no matter."""
        points = [(at, 1000 + at) for at in range(280, 900, 85)]
        it = growth.growth(points, 300)
        self.assertAlmostEqual((1000 + 365) / 1024, it.first_mb)
        self.assertAlmostEqual((1000 + 875) / 1024, it.last_mb)

    def test_one_burst(self):
        """A single high reading is no growth of the mean beyond its share."""
        points = [(at, 1000) for at in range(300, 900, 10)]
        points[-1] = (890, 1060)
        self.assertAlmostEqual(1.0, growth.growth(points, 300).pct)

    def test_too_short(self):
        """Of less than two minutes nobody knows."""
        for points in ([], [(0, 5), (10, 6)], [(300, 5), (410, 6)]):
            self.assertIsNone(growth.growth(points, 300))


def row(site, cost_ms, verdict='passes', hosts=2, room=2):
    return {
        'Site': site,
        'Cost ms': cost_ms,
        'Verdict': verdict,
        'Hosts': hosts,
        'With Room': room,
    }


class AgreementTest(base.TestCase):
    def test_nearest(self):
        """It is the nearest that passes and has room, and whatever ties."""
        rows = [
            row('full', 1.0, room=0),
            row('a', 5.0),
            row('b', 7.0),
            row('c', 7.1),
            row('empty', 5.0, hosts=0, room=0),
            row('unknown', None),
            row('near', 2.0, 'fails'),
        ]
        self.assertEqual({'a', 'b'}, agreement.nearest(rows))

    def test_nobody_knows(self):
        """Where no cost is known, all that pass will do; room may not be."""
        rows = [row('a', None), row('', None, room=None), row('c', 1, 'fails')]
        self.assertEqual({'a', ''}, agreement.nearest(rows))

    def test_booted(self):
        """A server at one of the sites is as explained; elsewhere not."""
        explained = agreement.Explanation(frozenset('ab'))
        for site, is_so in (('a', True), ('c', False), (None, False)):
            seen = agreement.Outcome(site, 'No edge site')
            self.assertEqual(is_so, agreement.agrees(explained, seen))

    def test_no_site(self):
        """Where none will do, its user has to be told so by us."""
        none = agreement.Explanation()
        for seen, is_so in (
            (agreement.Outcome(None, 'No valid host. No edge site'), True),
            (agreement.Outcome(None, 'No valid host.'), False),
            # A move that is refused says nothing.
            (agreement.Outcome(None, None), True),
            (agreement.Outcome('a', None), False),
        ):
            self.assertEqual(is_so, agreement.agrees(none, seen), seen)

    def test_refused(self):
        """What cannot be read is refused for the same reason."""
        text = (
            'Nova would refuse it: flavor edge:max_rtt_ms soon is no number. '
            'What may be asked is listed by: openstack help edge explain'
        )
        why = agreement.refusal(text)
        self.assertEqual('flavor edge:max_rtt_ms soon is no number', why)
        explained = agreement.Explanation(refusal=why)
        for seen, is_so in (
            (agreement.Outcome(None, f'No valid host. {why}.'), True),
            (agreement.Outcome(None, f'{why.capitalize()}; say 20.'), True),
            (agreement.Outcome(None, 'No edge site'), False),
            (agreement.Outcome('a'), False),
        ):
            self.assertEqual(is_so, agreement.agrees(explained, seen), seen)
        self.assertIsNone(agreement.refusal('The cloud does not answer.'))


class RulesTest(base.TestCase):
    """What a soak is held to."""

    NAMES = ('nova-scheduler-1 1', 'nova-scheduler-2 1', 'agent')
    OURS = 'nova-scheduler-1 1, ours'

    def setUp(self):
        super().setUp()
        self.outcome = 'done'
        self.memory_kb = {
            'nova-scheduler-1 1': (90_000, 90_000),
            'nova-scheduler-2 1': (90_000, 90_000),
            'agent': (40_000, 40_000),
            self.OURS: (80, 80),
        }
        self.done = {
            'boot': 600,
            'resize': 75,
            'update, plain': 5999,
            'update, bad': 1501,
        }
        self.said = list(
            repeats.lines(
                line(
                    0,
                    f'Edge decision (enforce) for server {BOOTED}',
                    level='INFO',
                )
            )
        )
        self.samples = 15 * [
            soak.Sample(
                '--origin=paris',
                'shown',
                agreement.Explanation(refusal='too far'),
                agreement.Outcome(None, 'No valid host: too far'),
            )
        ]

    def broken(self, stock_pct=None, minutes=15.0):
        points = {
            name: [
                (at_s, first_kb if at_s < 500 else last_kb)
                for at_s in range(0, int(60 * minutes), 10)
            ]
            for name, (first_kb, last_kb) in self.memory_kb.items()
        }
        ours = {self.OURS: points.pop(self.OURS)}
        tally = hour.Tally()
        tally.counts = {
            kind: collections.Counter({self.outcome: count})
            for kind, count in self.done.items()
        }
        return soak.Result(
            minutes,
            False,
            tally,
            mock.Mock(points=points),
            ours,
            [],
            self.said,
            mock.Mock(samples=self.samples),
        ).broken(stock_pct or {})

    def assert_broken(self, words, **more):
        (sentence,) = self.broken(**more)
        self.assertIn(words, sentence)

    def test_kept(self):
        """What neither grows, repeats nor differs keeps all of them."""
        self.assertEqual([], self.broken({'nova-scheduler': 0.0}))

    def test_agent(self):
        """The agent may not grow by 5 %."""
        self.memory_kb['agent'] = (40_000, 42_000)
        self.assert_broken('agent grew by 5.0 %')

    def test_ours(self):
        """What is ours of a worker may vary, but not grow by 0.2 MB."""
        self.memory_kb[self.OURS] = (80, 240)
        self.assertEqual([], self.broken())
        self.memory_kb[self.OURS] = (80, 300)
        self.assert_broken('ours grew by 0.21 MB')

    def test_worker(self):
        """A worker may grow as those of stock Nova do, and 5 points more."""
        self.memory_kb['nova-scheduler-2 1'] = (90_000, 98_000)
        self.assertEqual([], self.broken())
        self.assertEqual([], self.broken({'nova-scheduler': 5.0}))
        self.assert_broken('Nova by 3.0 %', stock_pct={'nova-scheduler': 3.0})

    def test_nothing_seen(self):
        """What nobody has seen was not held: that is said."""
        self.said.clear()
        self.assert_broken('no decision was logged')

    def test_nothing_explained(self):
        """Nor is it where little was explained."""
        del self.samples[1:]
        self.assert_broken('sample: 1 in place of 15 or more')

    def test_explained_otherwise(self):
        """A server that came elsewhere than was explained is shown."""
        self.samples.append(
            dataclasses.replace(
                self.samples[0], seen=agreement.Outcome('site-1')
            )
        )
        self.assert_broken('explained otherwise: --origin=paris')

    def test_no_growth(self):
        """A part of which nobody knows whether it grew is named."""
        self.memory_kb[self.OURS] = (0, 0)
        with mock.patch.object(soak.growth, 'growth', return_value=None):
            self.assertEqual(
                {
                    f'nobody knows by how much {it} grew'
                    for it in self.memory_kb
                },
                set(self.broken()),
            )
            self.done = {'boot': 80, 'shelve': 10, 'update, plain': 1000}
            self.assertEqual([], self.broken(minutes=2.0))

    def test_little_work(self):
        """Four fifths of the work have to be done."""
        self.done['update, bad'] = 0
        self.assert_broken('update: 5999 in place of 6000 or more')

    def test_refused_work(self):
        """What the cloud did not do was not done."""
        self.outcome = 503
        self.assertEqual(3, len(self.broken()))


class HourTest(base.TestCase):
    def test_outcomes(self):
        """Ours, Nova's, and what went wrong are counted apart."""
        for text, counted in (
            ('Scheduling failed: No edge site within 1 ms', 'refused by us'),
            ("hint edge:max_rtt_ms 'soon' is no number", 'refused by us'),
            ('No valid host was found. ', 'refused by Nova'),
            ('Timed out', '500 Timed out'),
        ):
            self.assertEqual(counted, hour.outcome(500, text))
