# SPDX-License-Identifier: Apache-2.0

import json
import logging
import os
import pathlib
import sys
import threading
import tracemalloc
from unittest import mock

import fixtures

from edge_filters import ratelimit
from edge_filters.latency import sample
from edge_filters.origins import map_files
from tests.unit import base


def costs(rtt_us, destination='par-01', metric='delay-rt'):
    """The text of a map file with one figure."""
    cost_type = {'cost-mode': 'numerical', 'cost-metric': metric}
    return json.dumps(
        {
            'meta': {'cost-type': cost_type},
            'cost-map': {'paris': {destination: rtt_us}},
        }
    )


def networks(**prefixes):
    """The text of a map file with prefixes by origin."""
    return json.dumps(
        {'network-map': {name: {'ipv4': prefixes[name]} for name in prefixes}}
    )


class MapFilesTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.log = self.useFixture(fixtures.FakeLogger(level=logging.INFO))
        self.folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.path = str(self.folder / 'maps.json')
        self.other = str(self.folder / 'other.json')
        self.time_ns = 1_800_000_000_000_000_000
        self.changes = []
        self.lines_said = 0
        self.files = map_files.MapFiles([self.path, self.other, self.path])
        say_read = map_files._say_read

        def note(maps):
            self.changes.append(maps)
            say_read(maps)

        self.patch(map_files, '_say_read', note)

    def write(self, text, path=None):
        """Write a file anew, a second after whatever was written last."""
        pathlib.Path(path or self.path).write_text(text)
        self.time_ns += 1_000_000_000
        os.utime(path or self.path, ns=(self.time_ns, self.time_ns))

    def rtts(self, maps=None):
        return {
            site: figures['paris'].rtt_ms
            for site, figures in (maps or self.files.current).samples.items()
        }

    def said(self):
        """What was logged since the last time."""
        lines = self.log.output.replace(str(self.folder), '').splitlines()
        lines, self.lines_said = lines[self.lines_said :], len(lines)
        return lines


class ReadTest(MapFilesTest):
    def test_before(self):
        """Before anything is read the files say nothing."""
        self.write(costs(4000))
        self.assertEqual({}, self.rtts())

    def test_read(self):
        """All files are read together; what they hold is logged."""
        self.write(costs(4000))
        self.write(
            networks(paris=['192.0.2.0/24'], nice=['192.0.2.0/25']), self.other
        )
        self.files.read()
        self.assertEqual({'par-01': 4.0}, self.rtts())
        self.assertEqual({'paris', 'nice'}, self.files.current.origins)
        self.assertEqual([self.files.current], self.changes)
        self.assertEqual(
            [
                'The map files are read: 2 prefixes, 1 figures, 2 origins, 1 '
                'sites, 0 hosts, 0 projects.',
                '192.0.2.0/25 of nice (/other.json) is inside 192.0.2.0/24 of '
                'paris (/other.json): nice has it, because it is the longer.',
            ],
            self.said(),
        )

    def test_one_pair_in_two_files(self):
        """RTT and loss of a pair may stand in different files."""
        self.write(costs(4000))
        self.write(costs(0.5, metric='lossrate'), self.other)
        self.files.read()
        self.assertEqual(
            {'par-01': {'paris': sample.Sample(4.0, None, 0.5)}},
            self.files.current.samples,
        )

    def test_missing(self):
        """A file that is missing is said once; the others are read."""
        self.write(costs(4000))
        self.files.read()
        self.files.read()
        self.assertEqual({'par-01': 4.0}, self.rtts())
        self.assertEqual(
            'Map file /other.json cannot be read: No such file or directory. '
            'It is left out until it is repaired.',
            self.said()[-1],
        )
        self.write(costs(5000))
        self.files.read()
        self.assertEqual({'par-01': 5.0}, self.rtts())
        self.assertEqual(1, len(self.said()))

    def test_none(self):
        """Where no file is there the maps are empty, and nothing changes."""
        self.files.read()
        self.assertEqual({}, self.rtts())
        self.assertEqual([], self.changes)
        self.assertEqual(2, len(self.said()))

    def test_no_regular_file(self):
        """What is no regular file is not opened: it may never end."""
        os.mkfifo(self.path)
        os.mkdir(self.other)
        self.files.read()
        self.assertEqual(
            [
                f'Map file {what}. It is left out until it is repaired.'
                for what in (
                    '/maps.json cannot be read: it is no regular file',
                    '/other.json cannot be read: Is a directory',
                )
            ],
            self.said(),
        )

    def test_descriptors(self):
        """What is read every few seconds leaves nothing open."""
        os.mkdir(self.path)
        os.mkfifo(self.other)
        before = os.listdir('/proc/self/fd')
        self.files.read()
        self.assertEqual(before, os.listdir('/proc/self/fd'))

    def test_too_large(self):
        """A file that no memory may hold is not read; the others are."""
        self.write(costs(4000), self.other)
        with open(self.path, 'wb') as file:
            file.truncate(map_files.map_file.MAX_BYTES + 1)
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        self.files.read()
        _, most = tracemalloc.get_traced_memory()
        self.assertLess(most, 10**6)
        self.assertEqual({'par-01': 4}, self.rtts())
        self.assertEqual(
            'Map file /maps.json cannot be read: it has more than 64 MiB. It '
            'is left out until it is repaired.',
            self.said()[-1],
        )

    def test_unchanged(self):
        """What has not changed is not read again."""
        self.write(costs(4000))
        self.files.read()
        current = self.files.current
        self.files.read()
        self.assertIs(current, self.files.current)
        self.assertEqual(1, len(self.changes))

    def test_changed(self):
        """What has changed takes the place of what was there as a whole."""
        self.write(costs(4000))
        self.files.read()
        before = self.files.current
        self.write(costs(9000, 'lyo-01'))
        self.files.read()
        self.assertEqual({'par-01': 4.0}, self.rtts(before))
        self.assertEqual({'lyo-01': 9.0}, self.rtts())
        self.assertEqual([before, self.files.current], self.changes)

    def test_replaced(self):
        """A file that is another one with the same size and time is read."""
        self.write(costs(4000))
        self.files.read()
        pathlib.Path(self.other).write_text(costs(5000))
        os.utime(self.other, ns=(self.time_ns, self.time_ns))
        os.replace(self.other, self.path)
        self.files.read()
        self.assertEqual({'par-01': 5.0}, self.rtts())

    def test_half_written(self):
        """A file that changes while it is read is read again, and quietly."""
        self.write(costs(4000))
        self.files.read()
        self.said()
        self.write('{"cost-map": {"par')
        read = map_files._content

        def read_and_write(path):
            content = read(path)
            if path == self.path:
                self.write(costs(5000))
            return content

        with fixtures.MonkeyPatch(
            'edge_filters.origins.map_files._content', read_and_write
        ):
            self.files.read()
        self.assertEqual({'par-01': 4.0}, self.rtts())
        self.assertEqual([], self.said())
        self.files.read()
        self.assertEqual({'par-01': 5.0}, self.rtts())


class BrokenTest(MapFilesTest):
    def setUp(self):
        super().setUp()
        self.write(costs(4000))
        self.write(networks(paris=['192.0.2.0/24']), self.other)
        self.files.read()
        self.said()

    def test_broken(self):
        """A broken file changes nothing; what to do is said, and where."""
        self.write('{"cost-map":\n nonsense}')
        self.write(networks(nice=['192.0.2.0/24']), self.other)
        current = self.files.current
        for _ in range(3):
            self.files.read()
        self.assertIs(current, self.files.current)
        self.assertEqual(1, len(self.changes))
        self.assertEqual(
            [
                'Map file /maps.json is not JSON: Expecting value at line 2, '
                'column 2. What the map files said before counts until it is '
                'repaired.'
            ],
            self.said(),
        )

    def test_said_once(self):
        """It is said once for each content, if that is broken otherwise."""
        for content, said in (
            ('nonsense', 1),
            ('nonsense', 0),
            ('[nonsense', 1),
            ('[nonsens?', 0),
        ):
            self.write(content)
            self.files.read()
            self.assertEqual(said, len(self.said()), content)

    def test_broken_all_the_time(self):
        """What a file has is not said again for a while, good or not."""
        texts = ('nonsense', networks(paris=['nowhere']), costs(5000))
        for text in texts * 3:
            self.write(text)
            self.files.read()
        output = self.log.output
        self.assertEqual(1, output.count('is not JSON'))
        self.assertEqual(1, output.count('it is no prefix'))

    def test_said_later(self):
        """What is still so when it may be said again is said then."""
        clock = mock.Mock(return_value=0.0)
        self.patch(self.files, '_warnings', ratelimit.RateLimit(clock))
        large = '[]' + 200 * ' '
        self.patch(map_files.map_file, 'MAX_BYTES', 150)
        for start_s, text in ((0.0, 'nonsense'), (10000.0, large)):
            clock.return_value = start_s
            for it in (text, costs(5000), text):
                self.write(it)
                self.files.read()
            self.said()
            for past_s, said in ((599.0, 0), (600.0, 1), (1200.0, 0)):
                clock.return_value = start_s + past_s
                self.files.read()
                self.assertEqual(said, len(self.said()), (text, past_s))

    def test_other_consequence(self):
        """What one broken file does to others does not repeat the line."""
        self.write('nonsense')
        files = map_files.MapFiles([self.path, self.other])
        files.read()
        self.write('nonsense', self.other)
        files.read()
        self.assertEqual(1, self.log.output.count('maps.json is not JSON'))

    def test_repaired(self):
        """Once it is repaired all files count as they are then."""
        self.write('nonsense')
        self.write(networks(nice=['192.0.2.0/24']), self.other)
        self.files.read()
        self.write(costs(5000))
        self.files.read()
        self.assertEqual({'par-01': 5.0}, self.rtts())
        self.assertEqual({'paris', 'nice'}, self.files.current.origins)

    def test_removed(self):
        """A file that is gone keeps counting; an empty list empties it."""
        os.remove(self.path)
        self.files.read()
        self.assertEqual({'par-01': 4.0}, self.rtts())
        self.assertIn('No such file', self.said()[0])
        self.write('[]')
        self.files.read()
        self.assertEqual({}, self.rtts())

    def test_broken_from_the_start(self):
        """A file that never was good does not hold up the others."""
        self.write('nonsense')
        files = map_files.MapFiles([self.path, self.other])
        files.read()
        self.assertEqual({'paris'}, files.current.origins)
        self.write(networks(nice=['192.0.2.0/24']), self.other)
        files.read()
        self.assertEqual({'nice'}, files.current.origins)

    def test_entries(self):
        """An entry that is skipped is said when it is new."""
        self.write(networks(paris=['nowhere']))
        self.files.read()
        skipped, conflict = (
            "/maps.json: 'paris' 'nowhere' is skipped: it is no prefix such "
            'as 192.0.2.0/24.',
            '192.0.2.0/24 of nice (/maps.json) is also 192.0.2.0/24 of paris '
            '(/other.json): nice has it, because it comes first.',
        )
        self.assertEqual([skipped], self.said()[1:])
        self.write(networks(paris=['nowhere'], nice=['192.0.2.0/24']))
        self.files.read()
        self.assertEqual([conflict], self.said()[1:])

    def test_many_entries(self):
        """Of a great many bad entries a few are said, and how many more."""
        self.write(networks(paris=[f'bad-{i}' for i in range(10000)]))
        self.files.read()
        said = self.said()
        self.assertLess(len(said), 30)
        self.assertIn('9980 more problems are in the map files.', said)

    def test_unreadable_for_a_while(self):
        """A file is read once it can be, though nothing of it has changed."""
        self.write(costs(9000))
        self.said()
        read = map_files._content
        for error in (
            PermissionError(13, 'Permission denied'),
            OSError(24, 'Too many open files'),
        ):
            self.patch(map_files, '_content', lambda path, it=error: it)
            self.files.read()
            self.files.read()
            self.assertEqual({'par-01': 4.0}, self.rtts())
            self.assertEqual(2, len(self.said()))
        self.patch(map_files, '_content', read)
        self.files.read()
        self.assertEqual({'par-01': 9.0}, self.rtts())

    def test_no_memory_for_a_while(self):
        """What could not be taken over is, at a later look."""
        self.write(costs(9000))
        merge = map_files.map_file.merge
        self.patch(map_files.map_file, 'merge', lambda documents: 1 / 0)
        for _ in range(3):
            self.files.read()
        said = 'The map files stay as they were'
        self.assertEqual(1, self.log.output.count(said))
        self.patch(map_files.map_file, 'merge', merge)
        self.files.read()
        self.assertEqual({'par-01': 9.0}, self.rtts())

    def test_impossible_path(self):
        """A path that no file can have does not hold up the others."""
        self.write(costs(4000))
        files = map_files.MapFiles(['/a\0b', self.path])
        files.read()
        self.assertEqual({'par-01': 4.0}, self.rtts(files.current))


class FollowTest(MapFilesTest):
    def setUp(self):
        super().setUp()
        self.ticks = threading.Semaphore(0)
        self.slept = threading.Semaphore(0)
        self.is_over = False
        self.useFixture(
            fixtures.MonkeyPatch(
                'edge_filters.origins.map_files.time.sleep', self._sleep
            )
        )
        self.addCleanup(self._end)

    def _sleep(self, seconds):
        self.assertEqual(5, seconds)
        self.slept.release()
        self.ticks.acquire()
        if self.is_over:
            sys.exit()

    def _followers(self):
        return [
            thread
            for thread in threading.enumerate()
            if thread.name == 'edge-filters-maps'
        ]

    def _end(self):
        self.is_over = True
        self.ticks.release(9)
        for thread in self._followers():
            thread.join()

    def test_no_thread_before_the_fork(self):
        """Reading starts no thread: it would not survive a fork."""
        self.write(costs(4000))
        self.files.read()
        self.assertEqual([], self._followers())

    def test_no_thread_can_start(self):
        """A request goes on without a thread, and the next one tries again."""

        def fail(thread):
            raise RuntimeError("can't start new thread")

        log = self.useFixture(base.oslo_log())
        with fixtures.MonkeyPatch('threading.Thread.start', fail):
            self.files.follow()
        self.assertEqual(1, log.output.count("can't start new thread"))
        self.files.follow()
        self.assertEqual(1, len(self._followers()))

    def test_no_files(self):
        """Without files there is nothing to follow."""
        map_files.MapFiles([]).follow()
        self.assertEqual([], self._followers())

    def test_one_thread_each_process(self):
        """However many requests, a process has one; so has its child."""
        for pid in (1, 1, 2, 2):
            with fixtures.MonkeyPatch('os.getpid', lambda pid=pid: pid):
                self.files.follow()
        followers = self._followers()
        self.assertEqual(2, len(followers))
        self.assertTrue(all(thread.daemon for thread in followers))

    def test_read_at_once(self):
        """A worker does not begin with what its parent read."""
        self.write(costs(4000))
        self.files.read()
        self.write(costs(5000))
        self.files.follow()
        self.slept.acquire()
        self.assertEqual({'par-01': 5.0}, self.rtts())

    def test_change(self):
        """A change is seen at the next look, and who listens is told."""
        self.files.follow()
        self.slept.acquire()
        self.assertEqual([], self.changes)
        self.write(costs(4000))
        self.ticks.release()
        self.slept.acquire()
        self.assertEqual({'par-01': 4.0}, self.rtts())
        self.assertEqual([self.files.current], self.changes)

    def test_never_ends(self):
        """Whatever fails, the thread goes on."""
        self.write(costs(4000))
        with fixtures.MonkeyPatch(
            'edge_filters.origins.map_file.merge', lambda documents: 1 / 0
        ):
            self.files.follow()
            self.slept.acquire()
        self.assertIn('ZeroDivisionError', self.log.output)
        self.assertEqual({}, self.rtts())
        self.write(costs(5000))
        self.ticks.release()
        self.slept.acquire()
        self.assertEqual({'par-01': 5.0}, self.rtts())
