# SPDX-License-Identifier: Apache-2.0
"""WHOM DOES IT SERVE, AND WITHIN WHAT? Hints and extra specs of a server.

The one place that knows the names users and flavors may write. Nothing here
raises: what cannot be read is kept as a problem beside what can.
"""

import collections.abc
import dataclasses
import functools
import math
import typing

from edge_filters import spelling

PREFIX = 'edge:'

# How many values of one name are read: users could give many thousands, and
# every site is judged for each.
MAX_VALUES = 16

# How many problems are kept; a log line has to hold them.
MAX_PROBLEMS = 5

# What an unknown figure means, the stricter first.
UNMEASURED_CHOICES = ('reject', 'estimate', 'accept')

# What happens where no host meets the budget, the stricter first.
FALLBACK_CHOICES = ('none', 'moves', 'nearest')


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Term:
    """A name that users may write as a scheduler hint, flavors as a spec.

    :param name: the name, with its prefix
    :param meaning: what it asks for, in a sentence
    :param parse: reads one value, or raises ValueError
    :param pattern: regular expression of one value
    :param example: a value
    :param repeats: whether it may have several values: a hint is repeated,
        in a flavor they are separated by commas
    :param in_flavor: whether flavors may have it
    """

    name: str
    meaning: str
    parse: collections.abc.Callable[[str], typing.Any]
    pattern: str
    example: str
    repeats: bool = False
    in_flavor: bool = True


def _name(name: str, meaning: str, example: str) -> Term:
    return Term(
        name,
        meaning,
        spelling.parse_name,
        spelling.NAME_PATTERN,
        example,
        repeats=True,
    )


def _number(name: str, meaning: str, maximum: float, example: str) -> Term:
    return Term(
        name,
        meaning,
        functools.partial(spelling.parse_number, maximum=maximum),
        spelling.NUMBER_PATTERN,
        example,
    )


def _choice(
    name: str, meaning: str, choices: collections.abc.Sequence[str]
) -> Term:
    return Term(
        name,
        meaning,
        functools.partial(spelling.parse_choice, choices=choices),
        f'(?i:{"|".join(choices)})',
        choices[-1],
    )


# Where the users of the server are. Of several origins the worst counts.
ORIGIN = _name(
    'edge:origin',
    'Where the users of the server are: names of origins. Of several the one '
    'farthest from a site counts.',
    'paris',
)

# The same by position, for users of no origin that anybody measures from.
NEAR = Term(
    'edge:near',
    'Where the users of the server are: latitude and longitude in degrees. '
    'RTTs are estimated from the distance.',
    spelling.parse_position,
    spelling.POSITION_PATTERN,
    '48.85,2.35',
    repeats=True,
    in_flavor=False,
)

# The same by address: the origin whose prefix is the longest around it.
CLIENT_IP = Term(
    'edge:client_ip',
    'Where the users of the server are: their address, or a prefix that lies '
    'within one origin.',
    spelling.parse_network,
    spelling.NETWORK_PATTERN,
    '192.0.2.7',
    repeats=True,
    in_flavor=False,
)

# The budget: the largest RTT, jitter and loss that the server tolerates from
# any of its origins.
MAX_RTT_MS = _number(
    'edge:max_rtt_ms',
    'The largest round-trip time in milliseconds that the users of the server '
    'tolerate. Sites farther away, or not measured, are refused.',
    math.inf,
    '20',
)
MAX_JITTER_MS = _number(
    'edge:max_jitter_ms',
    'The largest variation of the round-trip time in milliseconds that the '
    'users of the server tolerate.',
    math.inf,
    '2',
)
MAX_LOSS_PCT = _number(
    'edge:max_loss_pct',
    'The largest share of lost packets in percent that the users of the '
    'server tolerate.',
    100,
    '0.1',
)

# The sites the server may run at, and those it may not.
SITE = _name('edge:site', 'The sites that the server may run at.', 'par-01')
AVOID_SITE = _name(
    'edge:avoid_site', 'The sites that the server may not run at.', 'par-01'
)
TIER = _name(
    'edge:tier',
    'The tiers of the sites that the server may run at.',
    'far-edge',
)

# What an unknown figure means; FALLBACK, where nothing meets the budget.
UNMEASURED = _choice(
    'edge:unmeasured',
    'What an unknown figure means: refuse the site (the default with a '
    'budget), take an estimate for it, or accept it (the default without).',
    UNMEASURED_CHOICES,
)
FALLBACK = _choice(
    'edge:fallback',
    'What happens where no host meets the budget: the server is refused, '
    'moves take the nearest host, or boots and moves take the nearest host.',
    FALLBACK_CHOICES,
)

VOCABULARY = {
    term.name: term
    for term in (
        ORIGIN,
        CLIENT_IP,
        NEAR,
        MAX_RTT_MS,
        MAX_JITTER_MS,
        MAX_LOSS_PCT,
        SITE,
        AVOID_SITE,
        TIER,
        UNMEASURED,
        FALLBACK,
    )
}

# Those that tell where the users of a server are.
USERS = (ORIGIN, CLIENT_IP, NEAR)

# Those that flavors may write.
FLAVOR_VOCABULARY = {
    name: term for name, term in VOCABULARY.items() if term.in_flavor
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

    :param origins: where its users are, by name; empty: not told
    :param clients: the same as addresses, to be resolved to origins
    :param near: the same as latitude and longitude in degrees
    :param origin_source: who told: 'hint', 'flavor' or 'project'; empty:
        nobody
    :param hidden_origins: those of its origins that it does not name itself
    :param flavor_origins: origins of the flavor, whoever told
    :param max_rtt_ms: its budget, in milliseconds; None: none
    :param max_jitter_ms: likewise
    :param max_loss_pct: likewise, in percent
    :param sites: sites it may run at; None: any
    :param avoid_sites: sites it may not run at
    :param tiers: tiers of the sites it may run at; None: any
    :param unmeasured: what an unknown figure means; None: not told
    :param fallback: what happens where nothing meets the budget; None: not
        told
    :param problems: what could not be read
    """

    origins: tuple[str, ...] = ()
    clients: tuple[spelling.Network, ...] = ()
    near: tuple[tuple[float, float], ...] = ()
    origin_source: str = ''
    hidden_origins: frozenset[str] = frozenset()
    flavor_origins: tuple[str, ...] = ()
    max_rtt_ms: float | None = None
    max_jitter_ms: float | None = None
    max_loss_pct: float | None = None
    sites: frozenset[str] | None = None
    avoid_sites: frozenset[str] = frozenset()
    tiers: frozenset[str] | None = None
    unmeasured: str | None = None
    fallback: str | None = None
    problems: tuple[Problem, ...] = ()

    @property
    def asks_nothing(self) -> bool:
        """Whether the server says nothing about the edge."""
        return self == _NOTHING

    @property
    def has_users(self) -> bool:
        """Whether it is told where its users are."""
        return bool(self.origins or self.clients or self.near)

    @property
    def has_budget(self) -> bool:
        """Whether there is anything that the users do not tolerate."""
        return not (
            self.max_rtt_ms is None
            and self.max_jitter_ms is None
            and self.max_loss_pct is None
        )

    def without_budget(self) -> 'Request':
        """Return the same request of users who tolerate anything."""
        return dataclasses.replace(
            self, max_rtt_ms=None, max_jitter_ms=None, max_loss_pct=None
        )


_NOTHING = Request()


def parse(
    hints: collections.abc.Mapping[str, object] | None,
    extra_specs: collections.abc.Mapping[str, object] | None,
) -> Request:
    """Read what a server asks of its place.

    Where hint and flavor both speak, the origins of the hint count, the
    smaller number, the sites and tiers in both, the sites to avoid of either,
    and the stricter choice.

    :param hints: scheduler hints, with text or lists of text as values
    :param extra_specs: the extra specs of the flavor
    """
    problems: list[Problem] = []
    hint = _read('hint', VOCABULARY, hints or {}, _hint_texts, problems)
    spec = _read(
        'flavor', FLAVOR_VOCABULARY, extra_specs or {}, _spec_texts, problems
    )
    by_hint = not hint.keys().isdisjoint(USERS)
    users = hint if by_hint else spec
    return Request(
        origins=tuple(dict.fromkeys(users.get(ORIGIN, ()))),
        clients=tuple(dict.fromkeys(users.get(CLIENT_IP, ()))),
        near=tuple(dict.fromkeys(users.get(NEAR, ()))),
        origin_source=_source(by_hint, ORIGIN in spec),
        flavor_origins=tuple(dict.fromkeys(spec.get(ORIGIN, ()))),
        max_rtt_ms=_smaller(MAX_RTT_MS, hint, spec),
        max_jitter_ms=_smaller(MAX_JITTER_MS, hint, spec),
        max_loss_pct=_smaller(MAX_LOSS_PCT, hint, spec),
        sites=_common(SITE, hint, spec),
        avoid_sites=frozenset(_both(AVOID_SITE, hint, spec)),
        tiers=_common(TIER, hint, spec),
        unmeasured=_stricter(UNMEASURED, UNMEASURED_CHOICES, hint, spec),
        fallback=_stricter(FALLBACK, FALLBACK_CHOICES, hint, spec),
        problems=tuple(problems),
    )


_Read = dict[Term, list[typing.Any]]
_Texts = collections.abc.Sequence[object]


def _both(term: Term, hint: _Read, spec: _Read) -> list[typing.Any]:
    return [*hint.get(term, ()), *spec.get(term, ())]


def _source(by_hint: bool, by_flavor: bool) -> str:
    return 'hint' if by_hint else 'flavor' if by_flavor else ''


def _smaller(term: Term, hint: _Read, spec: _Read) -> float | None:
    return min(_both(term, hint, spec), default=None)


def _common(term: Term, hint: _Read, spec: _Read) -> frozenset[str] | None:
    """Return the names that whoever speaks has in common; None: nobody."""
    named = [frozenset(read[term]) for read in (hint, spec) if term in read]
    return frozenset.intersection(*named) if named else None


def _stricter(
    term: Term,
    choices: collections.abc.Sequence[str],
    hint: _Read,
    spec: _Read,
) -> str | None:
    return min(_both(term, hint, spec), key=choices.index, default=None)


def _hint_texts(value: object, term: Term) -> _Texts:
    return value if isinstance(value, list | tuple) else [value]


def _spec_texts(value: object, term: Term) -> _Texts:
    if term.repeats and isinstance(value, str):
        return value.split(',')
    return [value]


def _read(
    source: str,
    known: collections.abc.Mapping[str, Term],
    written: collections.abc.Mapping[str, object],
    split: collections.abc.Callable[[object, Term], _Texts],
    problems: list[Problem],
) -> _Read:
    """Return the values that can be read; note what cannot."""
    read: _Read = {}
    given: set[str] = set()

    def note(name: str, why: str) -> None:
        if len(problems) < MAX_PROBLEMS:
            problems.append(Problem(source, name, why))

    for key, value in written.items():
        name = key.strip().lower() if isinstance(key, str) else ''
        if not name.startswith(PREFIX):
            continue
        term = known.get(name)
        if term is None:
            note(
                spelling.shown(key),
                f'is not known; known are {", ".join(known)}; write for '
                f'instance {ORIGIN.name}={ORIGIN.example}',
            )
            continue
        if name in given:
            note(
                name,
                'is given in two spellings; give it once, for instance '
                f'{term.name}={term.example}',
            )
            continue
        given.add(name)
        texts = split(value, term)
        if not texts:
            note(name, f'has no value; write for instance {term.example}')
        if len(texts) > MAX_VALUES:
            note(
                name,
                f'has {len(texts)} values; give at most {MAX_VALUES}, for '
                f'instance {term.example}',
            )
        for text in texts[:MAX_VALUES]:
            try:
                parsed = term.parse(_text(text))
            except ValueError as error:
                note(
                    name,
                    f'{spelling.shown(text)} {error}; write for instance '
                    f'{term.example}',
                )
                continue
            if term in read and not term.repeats:
                note(
                    name,
                    'is given more than once; give it once, for instance '
                    f'{term.example}',
                )
            read.setdefault(term, []).append(parsed)
    return read


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError('is not text')
    return value
