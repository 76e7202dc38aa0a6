# SPDX-License-Identifier: Apache-2.0
"""WHOM DOES IT SERVE, AND WITHIN WHAT? Hints and extra specs of a server.

The one place that knows the names users and flavors may write. Nothing here
raises: what cannot be read is kept as a problem beside what can.
"""

import collections.abc
import dataclasses
import typing

from edge_filters import spelling

PREFIX = 'edge:'


@dataclasses.dataclass(frozen=True, slots=True)
class Term:
    """A name that users may write as a scheduler hint, flavors as a spec.

    :param name: the name, with its prefix
    :param meaning: what it asks for, in a sentence
    :param parse: reads one value, or raises ValueError
    :param pattern: regular expression of one value
    :param example: a value
    :param repeats: whether it may have several values: a hint is repeated,
        in a flavor they are separated by commas
    """

    name: str
    meaning: str
    parse: collections.abc.Callable[[str], typing.Any]
    pattern: str
    example: str
    repeats: bool = False


def _name(name: str, meaning: str, example: str) -> Term:
    return Term(
        name,
        meaning,
        spelling.parse_name,
        spelling.NAME_PATTERN,
        example,
        repeats=True,
    )


# Where the users of the server are. Of several origins the worst counts.
ORIGIN = _name(
    'edge:origin',
    'Where the users of the server are: names of origins. Of several the one '
    'farthest from a site counts.',
    'paris',
)

# The largest RTT the server tolerates, from any of its origins.
MAX_RTT_MS = Term(
    'edge:max_rtt_ms',
    'The largest round-trip time in milliseconds that the users of the server '
    'tolerate. Sites farther away, or not measured, are refused.',
    spelling.parse_number,
    spelling.NUMBER_PATTERN,
    '20',
)

# The sites the server may run at, and those it may not.
SITE = _name('edge:site', 'The sites that the server may run at.', 'par-01')
AVOID_SITE = _name(
    'edge:avoid_site', 'The sites that the server may not run at.', 'par-01'
)

VOCABULARY = {
    term.name: term for term in (ORIGIN, MAX_RTT_MS, SITE, AVOID_SITE)
}


@dataclasses.dataclass(frozen=True, slots=True)
class Problem:
    """A value that cannot be read, and why, in words."""

    source: str
    name: str
    why: str

    def __str__(self) -> str:
        return f'{self.source} {self.name} {self.why}'


@dataclasses.dataclass(frozen=True, slots=True)
class Request:
    """What one server asks of its place.

    :param origins: where its users are; empty: not told
    :param origin_source: who told: 'hint' or 'flavor'; empty: nobody
    :param max_rtt_ms: its budget in milliseconds; None: none
    :param sites: sites it may run at; None: any
    :param avoid_sites: sites it may not run at
    :param problems: what could not be read
    """

    origins: tuple[str, ...] = ()
    origin_source: str = ''
    max_rtt_ms: float | None = None
    sites: frozenset[str] | None = None
    avoid_sites: frozenset[str] = frozenset()
    problems: tuple[Problem, ...] = ()

    @property
    def asks_nothing(self) -> bool:
        """Whether the server says nothing about the edge."""
        return self == _NOTHING


_NOTHING = Request()


def parse(
    hints: collections.abc.Mapping[str, object] | None,
    extra_specs: collections.abc.Mapping[str, object] | None,
) -> Request:
    """Read what a server asks of its place.

    Where hint and flavor both speak, the origins of the hint count, the
    smaller number, the sites in both, and the sites to avoid of either.

    :param hints: scheduler hints, with text or lists of text as values
    :param extra_specs: the extra specs of the flavor
    """
    problems: list[Problem] = []
    hint = _read('hint', hints or {}, _hint_texts, problems)
    spec = _read('flavor', extra_specs or {}, _spec_texts, problems)
    source, speaks = ('hint', hint) if ORIGIN in hint else ('flavor', spec)
    sites = [frozenset(read[SITE]) for read in (hint, spec) if SITE in read]
    return Request(
        origins=tuple(dict.fromkeys(speaks.get(ORIGIN, ()))),
        origin_source=source if ORIGIN in speaks else '',
        max_rtt_ms=min(_both(MAX_RTT_MS, hint, spec), default=None),
        sites=frozenset.intersection(*sites) if sites else None,
        avoid_sites=frozenset(_both(AVOID_SITE, hint, spec)),
        problems=tuple(problems),
    )


_Read = dict[Term, list[typing.Any]]
_Texts = collections.abc.Sequence[object]


def _both(term: Term, hint: _Read, spec: _Read) -> list[typing.Any]:
    return [*hint.get(term, ()), *spec.get(term, ())]


def _hint_texts(value: object, term: Term) -> _Texts:
    return value if isinstance(value, list | tuple) else [value]


def _spec_texts(value: object, term: Term) -> _Texts:
    if term.repeats and isinstance(value, str):
        return value.split(',')
    return [value]


def _read(
    source: str,
    written: collections.abc.Mapping[str, object],
    split: collections.abc.Callable[[object, Term], _Texts],
    problems: list[Problem],
) -> _Read:
    """Return the values that can be read; note what cannot."""
    read: _Read = {}
    for key, value in written.items():
        name = key.strip().lower() if isinstance(key, str) else ''
        if not name.startswith(PREFIX):
            continue
        if name not in VOCABULARY:
            why = 'is not known; known are ' + ', '.join(VOCABULARY)
            problems.append(Problem(source, spelling.shown(key), why))
            continue
        term = VOCABULARY[name]
        texts = split(value, term)
        if not texts:
            why = f'has no value; write for instance {term.example}'
            problems.append(Problem(source, name, why))
        for text in texts:
            try:
                parsed = term.parse(_text(text))
            except ValueError as error:
                why = (
                    f'{spelling.shown(text)} {error}; write for instance '
                    f'{term.example}'
                )
                problems.append(Problem(source, name, why))
                continue
            if term in read and not term.repeats:
                why = 'is given more than once; give it once'
                problems.append(Problem(source, name, why))
            read.setdefault(term, []).append(parsed)
    return read


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError('is not text')
    return value
