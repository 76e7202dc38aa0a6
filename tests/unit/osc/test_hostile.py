# SPDX-License-Identifier: Apache-2.0

import copy
import re

import fixtures
import hypothesis
from hypothesis import strategies as st
from osc_lib import exceptions

from edge_filters import cloud
from tests.unit import base as unit_base
from tests.unit import nova_api
from tests.unit.osc import base

COMMANDS = (
    ('site list',),
    ('site show', 'par-01', '--servers'),
    ('latency list',),
    ('origin list',),
    ('explain', '--origin', 'paris', '--flavor', 'm1.small'),
    ('explain', '--server', 'web-1'),
    ('audit',),
    ('check',),
)
NONSENSE = st.sampled_from(
    (
        None,
        True,
        -1,
        1e308,
        '',
        'x',
        '\x1b[31mred\r\n',
        [],
        ['x'],
        [None],
        {},
        {'x': None},
    )
)
LEAVE_OUT = object()


def paths(answer, path=()):
    """Yield the way to everything in an answer."""
    if path:
        yield path
    items = ()
    if isinstance(answer, dict):
        items = answer.items()
    elif isinstance(answer, list):
        items = enumerate(answer)
    for key, item in items:
        yield from paths(item, (*path, key))


def changed(answer, path, value):
    """Return an answer with something else in one place."""
    answer = copy.deepcopy(answer)
    there = answer
    for key in path[:-1]:
        there = there[key]
    if value is LEAVE_OUT:
        del there[path[-1]]
    else:
        there[path[-1]] = value
    return answer


class NonsenseTest(unit_base.TestCase):
    """What answers may be anything, and any part of it may be missing."""

    @hypothesis.settings(max_examples=50)
    @hypothesis.given(st.data())
    def test_nonsense(self, data):
        """Whatever is answered, a sentence is all that is wrong."""
        case = base.CommandTestCase('setUp')
        case.setUp()
        self.addCleanup(case.doCleanups)
        nova = case.nova
        nova.flavor('m1.small', vcpus=2)
        hints = {'edge:origin': ['paris'], 'edge:max_rtt_ms': ['5']}
        nova.server('web-1', 'par-1', 'm1.small', hints)
        url, answers = data.draw(
            st.sampled_from(
                (
                    (f'^{nova_api.URL}/os-aggregates', nova._index),
                    (f'^{nova_api.URL}/os-hypervisors', nova._hypervisors),
                    (f'^{nova_api.URL}/servers/detail', nova._servers),
                    (f'^{nova_api.URL}/flavors/detail', nova._flavors),
                    (
                        f'^{nova_api.PLACEMENT_URL}/allocation',
                        nova._candidates,
                    ),
                    (
                        f'^{nova_api.PLACEMENT_URL}/resource_providers[?]',
                        nova._providers,
                    ),
                )
            )
        )
        value = data.draw(NONSENSE | st.just(LEAVE_OUT))
        share = data.draw(st.floats(0, 1, exclude_max=True))

        def answer(request, context):
            whole = answers(request, context)
            ways = list(paths(whole))
            return changed(whole, ways[int(share * len(ways))], value)

        nova.mock.get(re.compile(url), json=answer)
        words, *args = data.draw(st.sampled_from(COMMANDS))
        try:
            case.run_command(words, *args)
        except (cloud.CloudError, exceptions.CommandError) as error:
            self.assertTrue(str(error).isprintable(), str(error))
        finally:
            case.doCleanups()


class EndlessTest(base.CommandTestCase):
    def test_pages_without_end(self):
        """A list that leads back to where it was is no list."""
        href = f'{nova_api.URL}/os-hypervisors/detail?marker=x'
        self.nova.mock.get(
            re.compile('/os-hypervisors/detail'),
            json={
                'hypervisors': [],
                'hypervisors_links': [{'rel': 'next', 'href': href}],
            },
        )
        log = self.useFixture(fixtures.FakeLogger())
        self.run_command('site list')
        self.assertIn('does not speak as Nova does', log.output)
