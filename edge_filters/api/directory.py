# SPDX-License-Identifier: Apache-2.0
"""WHICH PREFIXES ARE THERE? What nova-api knows of the origins of addresses.

Nova's database and the map files are read in the background, never in a
request. Whoever looks up an address reads what is there, and takes no lock.
"""

import collections.abc
import dataclasses
import functools
import time
import typing

from nova import context as nova_context
from nova import objects
from oslo_log import log as logging

from edge_filters import background
from edge_filters import ratelimit
from edge_filters.latency import metadata
from edge_filters.origins import map_files
from edge_filters.origins import prefixes

LOG = logging.getLogger(__name__)

POLL_INTERVAL_S = 30

# How many warnings one look at the database may cause.
_WARNINGS_AT_ONCE = 10

_Metadata = dict[int, dict[str, str]]


@dataclasses.dataclass(frozen=True, slots=True)
class Listing:
    """The prefixes at one moment.

    :param table: the prefixes
    :param is_complete: whether an address that is not in it belongs to no
        origin; else nobody knows
    """

    table: prefixes.PrefixTable = dataclasses.field(
        default_factory=prefixes.PrefixTable
    )
    is_complete: bool = False


class Directory:
    """Keeps a listing of all prefixes up to date.

    :param paths: the map files
    """

    def __init__(self, paths: collections.abc.Sequence[str]) -> None:
        #: The prefixes as they are now; replaced as a whole.
        self.listing = Listing()
        self._maps = map_files.MapFiles(paths)
        self._of_sites: tuple[prefixes.Entry, ...] | None = None
        self._listed: tuple[typing.Any, ...] = ()
        self._warnings = ratelimit.RateLimit()
        self._follower = background.Background(
            'edge-filters-prefixes', self._follow
        )

    def follow(self) -> None:
        """Keep the listing up to date from now on, in this process.

        :raises RuntimeError: if no thread can be started just now
        """
        self._follower.start()

    def _follow(self) -> None:
        while True:
            self.refresh()
            time.sleep(POLL_INTERVAL_S)

    def refresh(self) -> None:
        """Read what there is; what cannot be read stays as it was."""
        self._maps.read()
        failure: Exception | None = None
        try:
            self._of_sites = self._read_sites()
        except Exception as error:
            failure = error
        # Not while it is handled: oslo.log would say it twice.
        if failure is not None and self._warnings.is_due('database'):
            LOG.warning(
                "The prefixes of sites cannot be read from Nova's database, "
                'and stay as they were: %s',
                failure,
            )
        try:
            self._list()
        except Exception:
            if self._warnings.is_due('listing'):
                LOG.exception('The prefixes stay as they were')

    def _read_sites(self) -> tuple[prefixes.Entry, ...]:
        context = nova_context.get_admin_context()
        found = _by_key(context, metadata.PREFIXES)
        named = _by_key(context, metadata.SITE) if found else {}
        problems = []
        entries = []
        for aggregate_id, keys in found.items():
            # Each query has one key alone of an aggregate.
            record, skipped = metadata.parse_site(
                {**keys, **named.get(aggregate_id, {})}, ()
            )
            problems += [(aggregate_id, problem) for problem in skipped]
            if record is not None:
                source = f'site {record.site}'
                entries += [
                    prefixes.Entry(prefix, record.site, source)
                    for prefix in record.prefixes
                ]
        self._warn(problems)
        return prefixes.of_sites(entries)

    def _warn(
        self,
        problems: collections.abc.Iterable[tuple[int, metadata.Problem]],
    ) -> None:
        due = [
            (aggregate_id, problem)
            for aggregate_id, problem in problems
            if self._warnings.is_due((aggregate_id, problem.key))
        ]
        for aggregate_id, problem in due[:_WARNINGS_AT_ONCE]:
            LOG.warning(
                'Aggregate %(aggregate)s, %(problem)s.',
                {'aggregate': aggregate_id, 'problem': problem},
            )
        if len(due) > _WARNINGS_AT_ONCE and self._warnings.is_due('more'):
            LOG.warning(
                'Aggregates have %d more prefixes that are skipped.',
                len(due) - _WARNINGS_AT_ONCE,
            )

    def _list(self) -> None:
        """Put a listing of what has been read in place of the last."""
        maps = self._maps.current
        has_maps = self._maps.are_read
        read = (self._of_sites, maps, has_maps)
        if self._listed == read:
            return
        table = prefixes.PrefixTable(self._of_sites or (), maps.prefix_table)
        is_complete = self._of_sites is not None and has_maps
        self.listing = Listing(table, is_complete and bool(table.origins))
        self._listed = read
        for level, text in table.complaints():
            if self._warnings.is_due(text):
                LOG.log(level, 'Prefixes: %s.', text)


def _by_key(context: typing.Any, key: str) -> _Metadata:
    """Return that key of each aggregate that has it, by its ID."""
    return {
        aggregate.id: aggregate.metadata
        for aggregate in objects.AggregateList.get_by_metadata_key(
            context, key
        )
    }


@functools.cache
def shared(paths: tuple[str, ...]) -> Directory:
    """Return the one directory of a process, whichever pipeline asks."""
    return Directory(paths)
