# SPDX-License-Identifier: Apache-2.0

import json
from unittest import mock
from urllib import request

from sandbox import bench_cli
from sandbox import fetch
from sandbox import listing
from tests.unit import base
from tests.unit import recordings


class ListingTest(base.TestCase):
    """What stands in for Nova's API when a command is measured."""

    def answers(self, page):
        with mock.patch.object(listing, 'PAGE', page):
            answers = listing.answers(bench_cli.world_of(3), 'http://api')
        return {asked: json.loads(it) for asked, it in answers.items()}

    def test_form(self):
        """Answers have the form of those of Nova."""
        answers = self.answers(page=5)
        for name, asked in (
            ('aggregates', listing.AGGREGATES),
            ('hypervisors', listing.HYPERVISORS),
            ('version', ''),
        ):
            recorded = recordings.read(name)['answer']
            answer = answers[listing.ROOT + asked]
            self.assertEqual(
                [], list(recordings.differences(recorded, answer, name))
            )

    def test_pages(self):
        """From page to page all hypervisors are listed, each once."""
        answers = self.answers(page=5)
        asked, hosts = listing.HYPERVISORS, []
        while asked:
            content = answers[listing.ROOT + asked]
            hosts += [it['service']['host'] for it in content['hypervisors']]
            asked = fetch.following(listing.HYPERVISORS, content)
        self.assertEqual(list(bench_cli.world_of(3).all_hosts()), hosts)
        self.assertEqual(5, len(answers))

    def test_serving(self):
        """It answers on loopback, and stops."""
        with listing.serving(bench_cli.world_of(3)) as endpoint:
            with request.urlopen(endpoint + listing.AGGREGATES) as answer:
                self.assertEqual(3, len(json.load(answer)['aggregates']))
        self.assertRaises(OSError, request.urlopen, endpoint)


class FiguresTest(base.TestCase):
    def test_world(self):
        """A site has 20 figures, more or less, of the nearest origins."""
        world = bench_cli.world_of(100)
        figures = sum(map(len, world.listed_at))
        self.assertAlmostEqual(20, figures / world.sites, delta=1)

    def test_row(self):
        """What a command takes more is told in seconds, and as a ratio."""
        figures = bench_cli.Figures('edge site list', 1500, 1.7, 1.2)
        self.assertEqual(
            ['1,500', '1.70', 's', '1.20', 's', '0.50', 's', '1.42'],
            str(figures).split()[3:],
        )
