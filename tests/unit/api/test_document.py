# SPDX-License-Identifier: Apache-2.0

import json

from edge_filters.api import document
from tests.unit import base
from tests.unit.api import fuzz

SERVER = '"server": {"name": "a"}'


def parse(text):
    return document.parse(text.encode())


class CreateTest(base.TestCase):
    def test_key(self):
        """The hints are those that Nova reads, of several keys the one."""
        for text, hints in (
            ('{%s}', {}),
            ('{%s, "os:scheduler_hints": {"a": 1}}', {'a': 1}),
            ('{%s, "OS-SCH-HNT:scheduler_hints": {"a": 1}}', {'a': 1}),
            (
                '{%s, "OS-SCH-HNT:scheduler_hints": {"a": 1},'
                '"os:scheduler_hints": {}}',
                {},
            ),
            (
                '{"os:scheduler_hints": {"a": 1}, %s,'
                '"os:scheduler_hints": {"a": 2, "a": 3}}',
                {'a': 3},
            ),
            ('{%s, "os\\u003ascheduler_hints": {"a": 1}}', {'a': 1}),
        ):
            self.assertEqual(hints, parse(text % SERVER).hints)

    def test_no_create(self):
        """What Nova refuses whatever the hints is left to Nova."""
        for text in (
            '',
            '{',
            'null',
            '[]',
            '{}',
            '{"server": null}',
            '{"server": {}, "server": []}',
            '{"server": {}} {}',
            '{"server": {},}',
            '{server: {}}',
            '{"server": {"a": 01}}',
            '\ufeff{"server": {}}',
            '{"server": {}, "os:scheduler_hints": null}',
            '{"server": {}, "os:scheduler_hints": []}',
            '{"server": {}, "os:scheduler_hints": [],'
            '"OS-SCH-HNT:scheduler_hints": {}}',
            '{"server": %s}' % ('[' * 100000),
            '{"server": {"a": %s}}' % ('1' * 5000),
        ):
            self.assertIsNone(parse(text), text[:80])
        self.assertIsNone(document.parse(b'{"server": {"a": "\xff"}}'))

    def test_no_hints(self):
        """Hints are added where Nova reads them first, and nothing else."""
        text = '{ "server" : {"a": 1.10, "b": 1e400, "a": 123456789012345678}}'
        self.assertEqual(
            text[:-1] + ', "os:scheduler_hints": {"edge:origin": "paris"}}',
            parse(text).with_hint('edge:origin', 'paris').decode(),
        )

    def test_other_hints(self):
        """Of hints that stay each is as it was, in the same place."""
        text = (
            '{"OS-SCH-HNT:scheduler_hints":{"a":[1.10,1e400],"b":"1","a":"é",'
            '"b" : {"c":"}"}, "x": 0}\n , ' + SERVER + '}'
        )
        self.assertEqual(
            '{"OS-SCH-HNT:scheduler_hints":{"a":[1.10,1e400], "a":"é", '
            '"y": ["1", "2"]}\n , ' + SERVER + '}',
            parse(text).with_hint('y', ['1', '2'], ['b', 'x']).decode(),
        )

    def test_last_of_several(self):
        """Of hints given twice those are changed that Nova reads."""
        key = '"os:scheduler_hints"'
        text = f'{{{key}: {{"a": 1}}, {SERVER}, {key}: {{}}}}'
        self.assertEqual(
            text[:-2] + '"y": "1"}}',
            parse(text).with_hint('y', '1').decode(),
        )

    def test_one_hint_only(self):
        """A hint in place of the only one is the only one."""
        text = '{' + SERVER + ', "os:scheduler_hints": {"a": "b"}}'
        changed = parse(text).with_hint('a', 'c', ['a'])
        self.assertEqual({'a': 'c'}, json.loads(changed)['os:scheduler_hints'])

    def test_any_document(self):
        """A body is a create for us exactly where it is one for Nova."""
        fuzz.check_documents()
