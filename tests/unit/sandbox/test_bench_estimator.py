# SPDX-License-Identifier: Apache-2.0

import contextlib
import io
import json
import pathlib
import tempfile

import numpy

from sandbox import bench_estimator
from tests.unit import base

WORLD = bench_estimator.made_up(intervals=20, nodes=8)


class ExcessTest(base.TestCase):
    def test_the_last_value(self):
        """The estimator costs no more than the last value alone."""
        excesses = {
            it.policy: it for it in bench_estimator.compare(WORLD, 3, 2)
        }
        ours = excesses['the estimator']
        self.assertAlmostEqual(1, ours.ratio, places=3)
        reference = excesses[bench_estimator.REFERENCE]
        self.assertEqual(reference.unreachable_pct, ours.unreachable_pct)
        self.assertLess(1, excesses['median of 3'].ratio)

    def test_policies(self):
        """Each policy is what it is called."""
        rtts_ms = numpy.array([10, 40, 12, numpy.nan]).reshape(-1, 1, 1)
        for name, expected in (
            ('last value', [10, 40, 12, numpy.nan]),
            ('the estimator', [10, 40, 12, numpy.nan]),
            ('last answer, kept', [10, 40, 12, 12]),
            ('median of 3', [10, 40, 12, numpy.nan]),
            ('largest of 3', [10, 40, 40, numpy.nan]),
            ('average, 0.5', [10, 25, 18.5, numpy.nan]),
            ('jump x3 held', [10, 10, 12, numpy.nan]),
        ):
            published = bench_estimator.POLICIES[name](rtts_ms)
            numpy.testing.assert_array_equal(published[:, 0, 0], expected)

    def test_matrix(self):
        """In a file 0 is no answer."""
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / 'rtt.npz'
            numpy.savez(path, rtt_ms=numpy.array([[[0, 5], [6, 0]]]))
            rtts_ms = bench_estimator.read_matrix(path)
        numpy.testing.assert_array_equal(
            rtts_ms, [[[numpy.nan, 5], [6, numpy.nan]]]
        )

    def test_report(self):
        """What is printed is also there as JSON."""
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / 'world.npz'
            numpy.savez(path, rtt_ms=numpy.nan_to_num(WORLD))
            told = pathlib.Path(folder) / 'told.json'
            options = f'--matrix {path} --json {told} --sites 2'
            few = '--draws 1 --runs 1'
            printed = io.StringIO()
            with contextlib.redirect_stdout(printed):
                bench_estimator.main([*options.split(), *few.split()])
            figures = json.loads(told.read_text())
        for it in figures['excess']:
            self.assertIn(f'{it["excess_ms"]:.2f} ms', printed.getvalue())
        self.assertEqual(8, figures['nodes'])
        self.assertEqual(
            list(bench_estimator.POLICIES),
            [it['policy'] for it in figures['excess']],
        )
