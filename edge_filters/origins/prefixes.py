# SPDX-License-Identifier: Apache-2.0
"""WHICH ORIGIN IS AN ADDRESS OF? Prefixes of origins; the longest wins.

A table is sorted arrays and a binary search, which for a million prefixes is
as fast as the libraries there are, and much smaller: see
sandbox/bench_prefixes.py.
"""

import array
import bisect
import collections.abc
import ipaddress
import itertools
import logging
import typing

from edge_filters import spelling

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# How many conflicts are kept by name: every prefix may be in one.
MAX_CONFLICTS = 20

_BITS = {4: 32, 6: 128}


class Entry(typing.NamedTuple):
    """A prefix of an origin.

    :param prefix: the prefix
    :param origin: name of the origin
    :param source: who says so, in words: 'site par-01', or the name of a file
    """

    prefix: spelling.Network
    origin: str
    source: str

    def __str__(self) -> str:
        return f'{self.prefix} of {self.origin} ({self.source})'


class Conflict(typing.NamedTuple):
    """Two prefixes of different origins that have addresses in common.

    :param winner: the prefix whose origin these addresses are of
    :param loser: the other
    """

    winner: Entry
    loser: Entry

    @property
    def is_overlap(self) -> bool:
        """Whether one is inside the other, which may well be meant."""
        return self.winner.prefix != self.loser.prefix

    def __str__(self) -> str:
        what = 'is inside' if self.is_overlap else 'is also'
        why = 'is the longer' if self.is_overlap else 'comes first'
        return (
            f'{self.winner} {what} {self.loser}: {self.winner.origin} has it, '
            f'because it {why}'
        )


class Ambiguous(ValueError):
    """A prefix lies in one of an origin, and has some of another inside.

    :param where: the prefix
    :param origins: the names of two of its origins
    """

    def __init__(
        self, where: Address | spelling.Network, origins: tuple[str, str]
    ) -> None:
        self.where = where
        self.origins = origins
        super().__init__(
            f'has addresses of {" and ".join(origins)}: give a prefix that '
            'lies within one origin'
        )


# A prefix as a number: its first address and, in the last byte, its length.
# In order, a prefix comes after those around it and before those inside it.
_Key = int
# Of which origin a prefix is, and who says so.
_Owner = tuple[str, str]
# The version of IP, a prefix, and its owner.
_Given = tuple[int, _Key, _Owner]


class _Prefixes:
    """The prefixes of one version of IP.

    :param version: 4 or 6
    :param number_of: the number of the owner of each prefix
    :param owners: owners, by number
    """

    __slots__ = (
        '_changes',
        '_numbers',
        '_owners',
        '_parents',
        '_version',
        'keys',
    )

    def __init__(
        self,
        version: int,
        number_of: collections.abc.Mapping[_Key, int],
        owners: collections.abc.Sequence[_Owner],
    ) -> None:
        self._version = version
        keys = sorted(number_of)
        # No array has room for an IPv6 address.
        self.keys: collections.abc.Sequence[_Key] = (
            array.array('Q', keys) if version == 4 else keys
        )
        self._numbers = array.array('i', map(number_of.__getitem__, keys))
        self._owners = owners
        self._parents = self._find_parents(keys)
        self._changes = self._find_changes()

    def _find_parents(self, keys: list[_Key]) -> 'array.array[int]':
        parents = array.array('i')
        around: list[tuple[int, int]] = []
        for index, key in enumerate(keys):
            while around and around[-1][0] < key >> 8:
                around.pop()
            parents.append(around[-1][1] if around else -1)
            around.append((self._last(key), index))
        return parents

    def _find_changes(self) -> 'array.array[int]':
        changes = array.array('i', self._numbers)
        change, origin = len(changes), None
        for index in reversed(range(len(changes))):
            if self.origin(index) != origin:
                change, origin = index + 1, self.origin(index)
            changes[index] = change
        return changes

    def _last(self, key: _Key) -> int:
        """Return the last address of a prefix."""
        bits = _BITS[self._version] - (key & 255)
        return (key >> 8) + (1 << bits) - 1

    def origin(self, index: int) -> str:
        return self._owners[self._numbers[index]][0]

    def given(self, index: int) -> _Given:
        return (
            self._version,
            self.keys[index],
            self._owners[self._numbers[index]],
        )

    def parent(self, index: int) -> int:
        """Return where the next shorter prefix around one is; -1: nowhere."""
        return self._parents[index]

    def change(self, index: int) -> int:
        """Return where the next prefix that is not of its origin is."""
        return self._changes[index]

    def exact(self, key: _Key) -> int:
        """Return where a prefix itself is; -1: nowhere."""
        index = bisect.bisect_left(self.keys, key)
        if index < len(self.keys) and self.keys[index] == key:
            return index
        return -1

    def longest(self, key: _Key) -> int:
        """Return where the longest prefix that one lies in is; -1: nowhere.

        That is the last one up to it in order, or is around the last one.
        """
        index = bisect.bisect_right(self.keys, key) - 1
        bits = _BITS[self._version] + 8
        while index >= 0:
            around = self.keys[index]
            if (key ^ around) >> (bits - (around & 255)) == 0:
                break
            index = self._parents[index]
        return index

    def inside(self, key: _Key) -> tuple[int, int]:
        """Return where the longer prefixes inside one begin and end."""
        return (
            bisect.bisect_right(self.keys, key),
            bisect.bisect_right(self.keys, self._last(key) << 8 | 255),
        )


# Those whose prefixes count before the others' come first.
_Layers = tuple[_Prefixes, ...]
_Found = tuple[_Prefixes, int]


class PrefixTable:
    """The prefixes of all origins at one moment, immutable.

    Any number of threads read it without a lock.

    :param entries: the prefixes; of equal ones the first counts
    :param base: a table that they are laid over, and count before. Where few
        of many prefixes change often, the many are in the base
    """

    def __init__(
        self,
        entries: collections.abc.Iterable[Entry] = (),
        base: typing.Optional['PrefixTable'] = None,
    ) -> None:
        numbers: dict[_Owner, int] = {}
        number_of: dict[int, dict[_Key, int]] = {4: {}, 6: {}}
        again: list[_Given] = []
        for entry in entries:
            place = _place(entry.prefix)
            if place is None:
                continue
            version, key = place
            owner = (entry.origin, entry.source)
            number = numbers.setdefault(owner, len(numbers))
            if number_of[version].setdefault(key, number) != number:
                again.append((version, key, owner))
        owners = list(numbers)
        self._layers: dict[int, _Layers] = {
            version: (
                _Prefixes(version, number_of.pop(version), owners),
                *(base._layers[version] if base is not None else ()),
            )
            for version in _BITS
        }
        # Every origin with a prefix, even if another origin has it too.
        self.origins: frozenset[str] = frozenset(
            origin for origin, _ in owners
        ).union(base.origins if base is not None else ())
        pairs = itertools.chain(self._equal(again), self._overlapping())
        # Where two origins have addresses in common, equal prefixes first;
        # not those that the base has on its own.
        self.conflicts = tuple(
            Conflict(_entry(winner), _entry(loser))
            for winner, loser in itertools.islice(pairs, MAX_CONFLICTS)
        )
        # How many more there are.
        self.more_conflicts = sum(1 for _ in pairs)

    def complaints(self) -> list[tuple[int, str]]:
        """Return what a log should say of the conflicts, and how loud."""
        said = [
            # One inside another is how exceptions are written.
            (logging.INFO if it.is_overlap else logging.WARNING, str(it))
            for it in self.conflicts
        ]
        if self.more_conflicts:
            more = f'{self.more_conflicts} more prefixes have two origins'
            said.append((logging.INFO, more))
        return said

    def __iter__(self) -> collections.abc.Iterator[Entry]:
        """Yield the prefixes that count."""
        return (_entry(family.given(index)) for family, index in self._all())

    def __len__(self) -> int:
        return sum(1 for _ in self._all())

    def _all(self) -> collections.abc.Iterator[_Found]:
        for layers in self._layers.values():
            for depth, family in enumerate(layers):
                for index, key in enumerate(family.keys):
                    if _exact(layers[:depth], key) is None:
                        yield family, index

    def find(self, where: Address | spelling.Network) -> Entry | None:
        """Return the longest prefix that an address or a prefix lies in.

        An IPv4 address in the form of IPv6, ``::ffff:192.0.2.1``, is the IPv4
        address. One with a zone, ``fe80::1%eth0``, lies nowhere.

        :returns: None: it lies in no prefix
        :raises Ambiguous: if a longer prefix inside it is of another origin
        """
        place = _place(where)
        if place is None:
            return None
        version, key = place
        layers = self._layers[version]
        found = _longest(layers, key)
        if found is None:
            return None
        family, index = found
        # An address has nothing inside.
        if key & 255 < _BITS[version]:
            origin = family.origin(index)
            inside = _other_inside(layers, 0, key, origin)
            if inside is not None:
                other, at = inside
                raise Ambiguous(where, (origin, other.origin(at)))
        return _entry(family.given(index))

    def _equal(
        self, again: collections.abc.Iterable[_Given]
    ) -> collections.abc.Iterator[tuple[_Given, _Given]]:
        """Yield the prefixes of two origins: which counts, and which not.

        :param again: those given here before
        """
        for version, key, owner in again:
            family = self._layers[version][0]
            index = family.exact(key)
            if family.origin(index) != owner[0]:
                yield family.given(index), (version, key, owner)
        for family, *below in self._layers.values():
            for index, key in enumerate(family.keys if below else ()):
                found = _exact(below, key)
                if found is not None:
                    other, at = found
                    if other.origin(at) != family.origin(index):
                        yield family.given(index), other.given(at)

    def _overlapping(
        self,
    ) -> collections.abc.Iterator[tuple[_Given, _Given]]:
        """Yield the prefixes inside one of another origin: inner, outer.

        What is inside the prefix of all addresses is no exception to note.
        Of the base's prefixes inside one of ours, the first stands for all.
        """
        for layers in self._layers.values():
            family, *below = layers
            for index, key in enumerate(family.keys):
                origin = family.origin(index)
                around: _Found | None = (family, family.parent(index))
                if below:
                    around = _longest(layers, key - 1)
                if around is not None and around[1] >= 0:
                    outer, at = around
                    if outer.keys[at] & 255 and outer.origin(at) != origin:
                        yield family.given(index), outer.given(at)
                inside = None
                if below and key & 255:
                    inside = _other_inside(layers, 1, key, origin)
                if inside is not None:
                    inner, at = inside
                    yield inner.given(at), family.given(index)


def of_sites(
    entries: collections.abc.Iterable[Entry],
) -> tuple[Entry, ...]:
    """Return the prefixes of sites in the order in which they count.

    Which of two sites has a prefix is not for chance to choose, nor for who
    asks: the first in the order of names has it.
    """
    return tuple(
        sorted(
            entries,
            key=lambda it: (it.origin, it.prefix.version, it.prefix),
        )
    )


def _place(where: Address | spelling.Network) -> tuple[int, _Key] | None:
    """Return the version of IP and the key; None: in some zone only."""
    if isinstance(where, spelling.Network):
        address: Address = where.network_address
        length = where.prefixlen
    else:
        address = where
        length = where.max_prefixlen
    first = int(address)
    if isinstance(address, ipaddress.IPv4Address):
        return 4, first << 8 | length
    if address.scope_id is not None:
        return None
    if first >> 32 == 0xFFFF:
        return 4, (first & 0xFFFFFFFF) << 8 | (length - 96)
    return 6, first << 8 | length


def _entry(given: _Given) -> Entry:
    version, key, owner = given
    first_and_length = (key >> 8, key & 255)
    if version == 4:
        return Entry(ipaddress.IPv4Network(first_and_length), *owner)
    return Entry(ipaddress.IPv6Network(first_and_length), *owner)


def _exact(
    layers: collections.abc.Iterable[_Prefixes], key: _Key
) -> _Found | None:
    """Return a prefix itself."""
    for family in layers:
        index = family.exact(key)
        if index >= 0:
            return family, index
    return None


def _longest(
    layers: collections.abc.Iterable[_Prefixes], key: _Key
) -> _Found | None:
    """Return the longest prefix that one lies in."""
    found, longest = None, -1
    for family in layers:
        index = family.longest(key)
        if index >= 0 and family.keys[index] & 255 > longest:
            found, longest = (family, index), family.keys[index] & 255
    return found


def _other_inside(
    layers: _Layers, top: int, key: _Key, origin: str
) -> _Found | None:
    """Return a longer prefix inside one that is of another origin.

    :param top: the layer to begin with
    """
    for depth in range(top, len(layers)):
        family = layers[depth]
        index, end = family.inside(key)
        while index < end:
            if family.origin(index) == origin:
                index = family.change(index)
            elif _exact(layers[:depth], family.keys[index]) is not None:
                index += 1
            else:
                return family, index
    return None
