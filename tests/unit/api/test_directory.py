# SPDX-License-Identifier: Apache-2.0

import ipaddress
import json
import os
import pathlib
import threading

import fixtures
from nova.db.api import api as api_db_api
from nova.db.api import models
from oslo_db.sqlalchemy import enginefacade

from edge_filters.api import directory
from tests.unit import base
from tests.unit.api import base as api_base  # noqa: F401  makes Nova ready


class TestCase(base.TestCase):
    def setUp(self):
        super().setUp()
        self.log = self.useFixture(fixtures.FakeLogger('edge_filters'))
        # Nova's own tables, in memory.
        self.database = enginefacade.transaction_context()
        self.database.configure(connection='sqlite://')
        self.addCleanup(
            api_db_api.context_manager.patch_factory(self.database)
        )
        self.engine = self.database.writer.get_engine()
        tables = [
            it.__table__
            for it in (
                models.Aggregate,
                models.AggregateHost,
                models.AggregateMetadata,
            )
        ]
        models.BASE.metadata.create_all(self.engine, tables)
        self.directory = directory.Directory(())

    def write(self, aggregate_id, metadata):
        """Write an aggregate in place of what it was."""
        context = directory.nova_context.get_admin_context()
        with self.database.writer.using(context) as session:
            session.query(models.AggregateMetadata).filter_by(
                aggregate_id=aggregate_id
            ).delete()
            session.merge(
                models.Aggregate(
                    id=aggregate_id,
                    uuid=f'6f70656e-7374-6163-6b20-{aggregate_id:012}',
                    name=f'a{aggregate_id}',
                )
            )
            for key, value in metadata.items():
                session.add(
                    models.AggregateMetadata(
                        aggregate_id=aggregate_id, key=key, value=value
                    )
                )

    def find(self, address):
        """The origin and the source of an address."""
        entry = self.directory.listing.table.find(
            ipaddress.ip_address(address)
        )
        return entry and tuple(entry[1:])

    def map_file(self, networks):
        path = pathlib.Path(self.useFixture(fixtures.TempDir()).path) / 'map'
        path.write_text(json.dumps({'network-map': networks}))
        return path


class SitesTest(TestCase):
    def test_sites(self):
        """The prefixes of a site are of the origin that is named after it."""
        self.write(
            1,
            {
                'edge:site': 'Par-01',
                'edge:prefixes': '192.0.2.0/25, 2001:db8::/32',
                'edge:rtt:paris': '5',
            },
        )
        self.write(2, {'edge:site': 'lyo-01', 'edge:tier': 'core'})
        self.write(3, {'edge:prefixes': '198.51.100.0/24'})
        self.write(4, {'edge:site': 'mrs-01', 'edge:prefixes': '192.0.2.0/24'})
        self.directory.refresh()
        self.assertEqual(('par-01', 'site par-01'), self.find('192.0.2.1'))
        self.assertEqual(('par-01', 'site par-01'), self.find('2001:db8::1'))
        self.assertEqual(('mrs-01', 'site mrs-01'), self.find('192.0.2.200'))
        self.assertIsNone(self.find('198.51.100.1'))
        self.assertTrue(self.directory.listing.is_complete)

    def test_changes(self):
        """A change counts from the next look on, and a look is cheap."""
        self.write(1, {'edge:site': 'a', 'edge:prefixes': '192.0.2.0/24'})
        self.directory.refresh()
        listing = self.directory.listing
        self.directory.refresh()
        self.assertIs(listing, self.directory.listing)
        self.write(1, {'edge:site': 'b', 'edge:prefixes': '192.0.2.0/24'})
        self.directory.refresh()
        self.assertEqual('b', self.find('192.0.2.1')[0])
        self.write(1, {'edge:site': 'b'})
        self.directory.refresh()
        self.assertIsNone(self.find('192.0.2.1'))

    def test_bad_metadata(self):
        """A prefix that cannot be read is skipped, and said so once."""
        self.write(
            1, {'edge:site': 'a', 'edge:prefixes': '192.0.2.1/24,192.0.2.0/25'}
        )
        self.write(2, {'edge:site': '?', 'edge:prefixes': '198.51.100.0/24'})
        for _ in range(2):
            self.directory.refresh()
        self.assertEqual('a', self.find('192.0.2.1')[0])
        self.assertIsNone(self.find('192.0.2.200'))
        self.assertIsNone(self.find('198.51.100.1'))
        self.assertEqual(1, self.log.output.count("edge:prefixes='192.0.2.1/"))
        self.assertEqual(2, len(self.log.output.splitlines()))

    def test_many_problems(self):
        """However much is wrong, few lines are logged, and say how much."""
        for number in range(1, 30):
            self.write(number, {'edge:site': 'a', 'edge:prefixes': 'x'})
        self.directory.refresh()
        lines = self.log.output.splitlines()
        self.assertEqual(11, len(lines))
        self.assertIn('have 19 more prefixes that are skipped', lines[-1])

    def test_no_figures_are_loaded(self):
        """Only the two keys are asked for, whatever else a site has."""
        self.write(
            1,
            {
                'edge:site': 'a',
                'edge:prefixes': '192.0.2.0/24',
                'edge:bogus': '1',
                'edge:rtt:x': 'bad',
            },
        )
        self.directory.refresh()
        self.assertEqual('', self.log.output)


class UnreadableTest(TestCase):
    def break_database(self):
        """Take the database away; return what brings it back."""
        read = directory.objects.AggregateList.get_by_metadata_key

        def broken(*args):
            raise RuntimeError('the database is away')

        self.patch(
            directory.objects.AggregateList, 'get_by_metadata_key', broken
        )
        return lambda: self.patch(
            directory.objects.AggregateList, 'get_by_metadata_key', read
        )

    def test_database_away(self):
        """While the database is away the prefixes stay, with one warning."""
        self.write(1, {'edge:site': 'a', 'edge:prefixes': '192.0.2.0/24'})
        self.directory.refresh()
        listing = self.directory.listing
        self.break_database()
        log = self.useFixture(base.oslo_log())
        for _ in range(3):
            self.directory.refresh()
        self.assertIs(listing, self.directory.listing)
        self.assertEqual(1, log.output.count('the database is away'))

    def test_never_read(self):
        """Before all has been read nobody knows who belongs to nowhere."""
        self.assertFalse(self.directory.listing.is_complete)
        path = self.map_file({'nice': {'ipv4': ['198.51.100.0/24']}})
        self.directory = directory.Directory((str(path),))
        mend = self.break_database()
        self.directory.refresh()
        self.assertEqual('nice', self.find('198.51.100.1')[0])
        self.assertFalse(self.directory.listing.is_complete)
        mend()
        self.directory.refresh()
        self.assertTrue(self.directory.listing.is_complete)

    def test_map_file_missing(self):
        """While a map file is missing the others count, and no more."""
        path = self.map_file({'nice': {'ipv4': ['198.51.100.0/24']}})
        other = path.with_name('other')
        self.directory = directory.Directory((str(path), str(other)))
        self.directory.refresh()
        self.assertEqual('nice', self.find('198.51.100.1')[0])
        self.assertFalse(self.directory.listing.is_complete)
        other.write_text('{"projects": {}}')
        self.directory.refresh()
        self.assertTrue(self.directory.listing.is_complete)

    def test_no_prefixes(self):
        """Where there are no prefixes at all nothing is known of any."""
        self.directory.refresh()
        self.assertFalse(self.directory.listing.is_complete)

    def test_failure_of_ours(self):
        """Whatever fails, the prefixes stay as they were."""
        self.patch(directory.prefixes, 'PrefixTable', lambda *args: 1 / 0)
        for _ in range(2):
            self.directory.refresh()
        self.assertEqual(1, self.log.output.count('Traceback'))


class MapFileTest(TestCase):
    def test_map_files(self):
        """Prefixes of sites count before the same ones of the map files."""
        path = self.map_file(
            {'nice': {'ipv4': ['192.0.2.0/24', '198.51.100.0/24']}}
        )
        self.directory = directory.Directory((str(path),))
        self.write(1, {'edge:site': 'a', 'edge:prefixes': '192.0.2.0/24'})
        self.directory.refresh()
        self.assertEqual(('a', 'site a'), self.find('192.0.2.1'))
        self.assertEqual(('nice', str(path)), self.find('198.51.100.1'))
        self.assertEqual(1, self.log.output.count('a has it'))

    def test_conflicts(self):
        """Where two sites have one prefix, it is said once who has it."""
        for number, name in ((1, 'b'), (2, 'a')):
            self.write(
                number, {'edge:site': name, 'edge:prefixes': '192.0.2.0/24'}
            )
        self.directory.refresh()
        self.write(3, {'edge:site': 'c', 'edge:prefixes': '192.0.2.0/25'})
        self.directory.refresh()
        self.assertEqual('a', self.find('192.0.2.200')[0])
        equal, inside = self.log.output.splitlines()
        self.assertIn('(site a) is also 192.0.2.0/24 of b (site b)', equal)
        self.assertIn('(site c) is inside 192.0.2.0/24 of a (site a)', inside)


class ProcessTest(TestCase):
    def setUp(self):
        super().setUp()
        self.started = []
        self.patch(
            threading.Thread, 'start', lambda it: self.started.append(it)
        )

    def test_lazy(self):
        """A process has one thread, from the first request on."""
        self.assertEqual([], self.started)
        for _ in range(3):
            self.directory.follow()
        (thread,) = self.started
        self.assertTrue(thread.daemon)

    def test_fork(self):
        """A worker that is forked has a thread of its own."""
        self.directory.follow()
        self.patch(os, 'getpid', lambda: -1)
        for _ in range(3):
            self.directory.follow()
        self.assertEqual(2, len(self.started))

    def test_no_thread(self):
        """Where no thread can be started, the next request tries again."""

        def broken(it):
            raise RuntimeError("can't start new thread")

        self.patch(threading.Thread, 'start', broken)
        for _ in range(2):
            self.assertRaises(RuntimeError, self.directory.follow)

    def test_shared(self):
        """All pipelines of a process have the same directory."""
        self.assertIs(directory.shared(('/x',)), directory.shared(('/x',)))
        self.assertIsNot(directory.shared(('/x',)), directory.shared(()))
