# SPDX-License-Identifier: Apache-2.0

import json
import pathlib
import tempfile

from edge_filters.latency import metadata
from edge_filters.origins import map_file
from sandbox import bench_figures
from sandbox import bench_scheduler
from sandbox import big_world
from sandbox import turns
from tests.unit import base


class BigWorldTest(base.TestCase):
    def test_listed_at_the_nearest(self):
        """A sparse world lists an origin at the sites nearest to it."""
        world = big_world.World(sites=20, origins=5, listed=3)
        for origin in range(world.origins):
            listed_at = {
                site
                for site in range(world.sites)
                if f'edge:rtt:origin-{origin}' in world.metadata(site)
            }
            by_rtt = sorted(
                range(world.sites),
                key=lambda site, origin=origin: world.rtt_us(site, origin),
            )
            self.assertEqual(set(by_rtt[:3]), listed_at)
            self.assertEqual(by_rtt[:1], world.nearest(origin, 1))

    def test_figures_can_be_read(self):
        """Both forms of a figure are read as the RTT that is true."""
        for form in (big_world.PLAIN, big_world.AGENT):
            world = big_world.World(sites=3, origins=4, form=form, keys=20)
            record, problems = metadata.parse_site(
                world.metadata(2), world.hosts(2)
            )
            self.assertEqual([], problems)
            self.assertEqual('site-2', record.site)
            self.assertEqual(world.hosts_a_site, len(record.hosts))
            self.assertEqual(
                world.rtt_us(2, 3) / 1000, record.samples['origin-3'].rtt_ms
            )

    def test_map_file_can_be_read(self):
        """A map file has the same figures as the aggregates."""
        world = big_world.World(sites=3, origins=4)
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / 'map.json'
            big_world.write_map_file(path, world)
            content = json.loads(path.read_text())
        self.assertEqual(
            world.rtt_us(2, 3),
            content[map_file.COST_MAP]['origin-3']['site-2'],
        )

    def test_aggregates(self):
        """Every host is in as many aggregates as was asked for."""
        for count in (1, 2, 3):
            world = big_world.World(
                sites=25, origins=1, aggregates_a_host=count, keys=7
            )
            aggregates = list(world.aggregates())
            its_hosts = [host for it in aggregates for host in it.hosts]
            for host in world.all_hosts():
                self.assertEqual(count, its_hosts.count(host))
            self.assertEqual({7}, {len(it.metadata) for it in aggregates})
            self.assertEqual(
                len(aggregates), len({it.id for it in aggregates})
            )

    def test_site_of(self):
        """A host's name tells where it is."""
        self.assertEqual(12, big_world.site_of(big_world.host_name(12, 3)))


class FigureTest(base.TestCase):
    def test_is_missed(self):
        """A figure is missed if it is beyond its part of the reference."""
        (figure, *_) = bench_figures.FILTERS
        self.assertFalse(figure.is_missed(1.0, 25.0))
        self.assertTrue(figure.is_missed(1.1, 25.0))
        (figure,) = bench_figures.NEAREST
        self.assertFalse(figure.is_missed(100.0, 100.0))
        self.assertTrue(figure.is_missed(99.5, 30.0))

    def test_row(self):
        """A line says when it does not reach what it should."""
        for value, word in ((2.0, '2.5  us/host'), (3.0, 'missed')):
            row = bench_figures.Row(
                bench_figures.FILTERS[2],
                10000,
                3,
                value,
                1.0,
                ([value], [1.0]),
            )
            self.assertEqual(word, str(row)[-len(word) :])
            self.assertEqual(word == 'missed', row.report()['is_missed'])

    def test_numbers(self):
        """Every figure is measured, and by one step only."""
        self.assertEqual(list(range(1, 12)), bench_scheduler.NUMBERS)


class TurnsTest(base.TestCase):
    def test_in_turns(self):
        """Contenders take turns, however short the time is."""
        order = []

        def contender(name):
            def measure():
                order.append(name)
                return float(len(order))

            return measure

        taken = turns.in_turns(
            {'one': contender('one'), 'other': contender('other')}, seconds=0
        )
        self.assertEqual(['one', 'other'] * turns.LEAST, order)
        self.assertEqual({'one': [1, 3, 5], 'other': [2, 4, 6]}, taken)
