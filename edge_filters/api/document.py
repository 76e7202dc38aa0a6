# SPDX-License-Identifier: Apache-2.0
"""WHERE ARE THE HINTS? The body of a server create, changed in place.

Nothing but the hints that change is written anew: parsed and written again, a
document may say something else, as 1e400 and names given twice do.
"""

import collections.abc
import dataclasses
import json
import re
import typing

# In the order in which Nova looks: where the first is, it reads no other.
HINTS_KEYS = ('os:scheduler_hints', 'OS-SCH-HNT:scheduler_hints')

_SPACE = re.compile(r'[ \t\n\r]*')
_DECODER = json.JSONDecoder()


class _Member(typing.NamedTuple):
    """A member of a JSON object, and where it stands in the text."""

    name: str
    value: typing.Any
    start: int
    value_start: int
    end: int


@dataclasses.dataclass(frozen=True, slots=True)
class Create:
    """A body that asks for servers.

    :param hints: the scheduler hints that Nova will read
    """

    hints: collections.abc.Mapping[str, typing.Any]
    _text: str
    _members: collections.abc.Sequence[_Member]
    _holder: _Member | None

    def with_hint(
        self,
        name: str,
        value: object,
        instead_of: collections.abc.Container[str] = (),
    ) -> bytes:
        """Return the body with one more hint.

        :param instead_of: the names of hints that go
        """
        kept = []
        if self._holder is not None:
            members, _ = _members(self._text, self._holder.value_start)
            kept = [
                self._text[member.start : member.end]
                for member in members
                if member.name not in instead_of
            ]
        hint = f'{json.dumps(name)}: {json.dumps(value)}'
        hints = '{' + ', '.join([*kept, hint]) + '}'
        if self._holder is not None:
            start, end = self._holder.value_start, self._holder.end
        else:
            hints = f', {json.dumps(HINTS_KEYS[0])}: {hints}'
            start = end = self._members[-1].end
        return (self._text[:start] + hints + self._text[end:]).encode()


def parse(body: bytes) -> Create | None:
    """Read a body; None: Nova will refuse it, whatever the hints."""
    try:
        text = body.decode()
        members, end = _members(text, _skip_space(text, 0))
    except (ValueError, RecursionError):
        return None
    # Nova takes the last of several members of one name.
    last = {member.name: member for member in members}
    if _skip_space(text, end) != len(text) or not _is_object(
        last.get('server')
    ):
        return None
    holder = next((last[key] for key in HINTS_KEYS if key in last), None)
    if holder is None:
        return Create({}, text, members, None)
    if not _is_object(holder):
        return None
    return Create(holder.value, text, members, holder)


def _is_object(member: _Member | None) -> bool:
    return member is not None and isinstance(member.value, dict)


def _skip_space(text: str, position: int) -> int:
    space = _SPACE.match(text, position)
    return position if space is None else space.end()


def _members(text: str, position: int) -> tuple[list[_Member], int]:
    """Return the members of the object at a position, and where it ends.

    :raises ValueError: if there is none, as json.loads does
    """
    members: list[_Member] = []
    position = _skip_space(text, _after(text, position, '{'))
    if text[position : position + 1] == '}':
        return members, position + 1
    while True:
        start = position
        _after(text, start, '"')
        name, position = _DECODER.raw_decode(text, start)
        position = _after(text, _skip_space(text, position), ':')
        value_start = _skip_space(text, position)
        value, end = _DECODER.raw_decode(text, value_start)
        members.append(_Member(name, value, start, value_start, end))
        position = _skip_space(text, end)
        if text[position : position + 1] == '}':
            return members, position + 1
        position = _skip_space(text, _after(text, position, ','))


def _after(text: str, position: int, character: str) -> int:
    if text[position : position + 1] != character:
        raise ValueError(f'no {character} at {position}')
    return position + 1
