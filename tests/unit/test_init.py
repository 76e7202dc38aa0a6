# SPDX-License-Identifier: Apache-2.0

import pathlib
import sys

import fixtures

import edge_filters
from edge_filters.scheduler import latency_filter
from tests.unit import base

THIRD_PACKAGE = """
class ThirdEdgeFilter:
    def filter_all(self):
        pass

class EdgeLatencyFilter(ThirdEdgeFilter):
    pass

class Weigher:
    pass

def not_a_class():
    pass
"""
ENTRY_POINTS = """
[edge_filters.filters]
third = third_package:ThirdEdgeFilter
again = third_package:ThirdEdgeFilter
clash = third_package:EdgeLatencyFilter
broken = third_package.not_there:Filter
function = third_package:not_a_class

[edge_filters.weighers]
no_weigher = third_package:Weigher
"""


class RegisteredClassesTest(base.TestCase):
    def setUp(self):
        super().setUp()
        self.log = self.useFixture(fixtures.FakeLogger('edge_filters'))
        # stevedore keeps what it found; each test is to look anew.
        self.useFixture(fixtures.EnvironmentVariable('XDG_CACHE_HOME', None))

    def _install_third_package(self):
        path = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        (path / 'third_package.py').write_text(THIRD_PACKAGE)
        info = path / 'third_package-1.0.dist-info'
        info.mkdir()
        (info / 'METADATA').write_text('Name: third_package\nVersion: 1.0\n')
        (info / 'entry_points.txt').write_text(ENTRY_POINTS)
        self.useFixture(
            fixtures.MonkeyPatch('sys.path', [*sys.path, str(path)])
        )
        self.useFixture(
            fixtures.MonkeyPatch(
                'stevedore.extension.ExtensionManager.ENTRY_POINT_CACHE', {}
            )
        )

    def test_own_classes(self):
        """Nova is given what the package itself registers."""
        self.assertEqual(
            {'EdgeLatencyFilter', 'EdgeSiteFilter'},
            {cls.__name__ for cls in edge_filters.all_filters()},
        )
        self.assertEqual(
            ['EdgeLatencyWeigher'],
            [cls.__name__ for cls in edge_filters.all_weighers()],
        )

    def test_third_package(self):
        """A class of another package is given to Nova too, and once."""
        self._install_third_package()
        names = [cls.__name__ for cls in edge_filters.all_filters()]
        self.assertEqual(1, names.count('ThirdEdgeFilter'))
        self.assertEqual(1, names.count('EdgeLatencyFilter'))

    def test_broken_entry_points(self):
        """What cannot be loaded is skipped, with an error that names it."""
        self._install_third_package()
        filters = edge_filters.all_filters()
        self.assertIn(latency_filter.EdgeLatencyFilter, filters)
        weighers = edge_filters.all_weighers()
        self.assertEqual(1, len(weighers))
        for message in (
            'broken (third_package.not_there:Filter) of edge_filters.filters '
            'is skipped, as it cannot be loaded: "No module named',
            'function (third_package:not_a_class) of edge_filters.filters is '
            'skipped, as it has no class.filter_all()',
            'clash (third_package:EdgeLatencyFilter) of edge_filters.filters '
            'is skipped, as there is another class EdgeLatencyFilter',
            'no_weigher (third_package:Weigher) of edge_filters.weighers is '
            'skipped, as it has no class.weigh_objects()',
        ):
            self.assertIn(message, self.log.output)
