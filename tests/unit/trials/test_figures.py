# SPDX-License-Identifier: Apache-2.0

import hypothesis
from hypothesis import strategies

from tests.trials import figures
from tests.unit import base

FIRST = figures.Write(5.0, 0, 0)

times = strategies.floats(0, 20)
statuses = strategies.sampled_from([200, 204, 404, 409, 500, 503, 0])


@strategies.composite
def writes(draw):
    """Writes of one client, one after the other, that it waits for."""
    now = 0.0
    made = []
    for _ in range(draw(strategies.integers(0, 6))):
        sent = now + draw(strategies.floats(0, 3))
        now = sent + draw(strategies.floats(0, 8))
        made.append(figures.Write(len(made) + 1.0, sent, now, draw(statuses)))
    return made


class PossibleTest(base.TestCase):
    def possible(self, *writes, since=10.0, until=10.2, **how):
        return figures.possible([FIRST, *writes], since, until, **how)

    def test_known_for_long(self):
        """What was answered more than a second ago is known, and no other."""
        write = figures.Write(30.0, 8.5, 8.9)
        self.assertEqual({30.0}, self.possible(write))

    def test_propagation(self):
        """For a second after the answer either may be known."""
        write = figures.Write(30.0, 9.0, 9.1)
        self.assertEqual({5.0, 30.0}, self.possible(write))
        self.assertEqual({30.0}, self.possible(write, seen_within_s=0.0))

    def test_under_way(self):
        """So they may while the call is under way, however long it takes."""
        write = figures.Write(30.0, 3.0, 20.0)
        self.assertEqual({5.0, 30.0}, self.possible(write))

    def test_future(self):
        """What is sent after the decision was not known to it."""
        write = figures.Write(30.0, 10.3, 10.4)
        self.assertEqual({5.0}, self.possible(write))

    def test_while_it_is_decided(self):
        """What comes between the boot and its decision may be known."""
        write = figures.Write(30.0, 12.0, 12.1)
        self.assertEqual({5.0, 30.0}, self.possible(write, until=13.0))

    def test_removed(self):
        """A figure that is removed, or never was there, is unknown."""
        self.assertEqual({None}, self.possible(figures.Write(None, 1, 2)))
        self.assertEqual({None}, figures.possible([], 10, 11))

    def test_refused(self):
        """What Nova refuses is not written; where it fails, it may be."""
        for status, expected in (
            (404, {5.0}),
            (409, {5.0}),
            (500, {5.0, 30.0}),
            (0, {5.0, 30.0}),
        ):
            write = figures.Write(30.0, 1.0, 1.1, status)
            self.assertEqual(expected, self.possible(write))

    def test_after_a_failure(self):
        """What is written next settles what of a failure nobody knew."""
        failed = figures.Write(30.0, 1.0, 1.1, 500)
        done = figures.Write(12.0, 2.0, 2.1)
        self.assertEqual({12.0}, self.possible(failed, done))

    def test_late(self):
        """A call that was given up may come into effect at any time."""
        given_up = figures.Write(30.0, 1.0, 7.0, 0)
        done = figures.Write(12.0, 7.5, 7.6)
        self.assertEqual({12.0, 30.0}, self.possible(given_up, done))

    @hypothesis.given(writes(), times, strategies.floats(0, 5))
    def test_truth_is_possible(self, made, since, took_s):
        """Whatever Nova did when, the figure of the database is possible."""
        until = since + took_s
        found = figures.possible(made, since, until, seen_within_s=0.0)
        self.assertTrue(found)
        done = [it for it in made if it.is_done and it.replied <= since]
        last = done[-1].rtt_ms if done else None
        self.assertIn(last, found)
        # More is never less: a second of propagation adds only.
        self.assertLessEqual(
            found, figures.possible(made, since, until, seen_within_s=1.0)
        )


class RecordTest(base.TestCase):
    def test_site_removed(self):
        """A site that is removed has no figures, and others keep theirs."""
        record = figures.Record()
        for site in ('site-1', 'site-2'):
            record.add(site, 'paris', FIRST)
        record.remove_site('site-1', 2.0, 3.0)
        self.assertEqual({None}, record.possible('site-1', 'paris', 9, 9))
        self.assertEqual({5.0}, record.possible('site-2', 'paris', 9, 9))
        self.assertEqual({5.0, None}, record.ever('site-1', 'paris'))
        self.assertEqual({None}, record.ever('site-1', 'lyon'))
