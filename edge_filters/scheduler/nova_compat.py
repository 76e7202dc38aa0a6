# SPDX-License-Identifier: Apache-2.0
"""WHAT OF NOVA IS NOT PROMISED? The way to what its HostManager holds.

Nova's HostManager holds every aggregate and is told every change, but
promises an out-of-tree class no way to them. This module is the only one that
reaches for them: it follows the three methods through which the HostManager
learns of aggregates, and the one in which a process of nova-scheduler begins
to listen. Where one of them is gone, the aggregates are read from the database
once a minute, in the background. It also has the way to Nova's list of request
filters, which is no more promised.

A process has one HostManager, and so one current snapshot. Whoever reads it
takes no lock; whoever changes it puts a new one in its place.
"""

import collections.abc
import functools
import threading
import time
import typing

from nova import context as nova_context
from nova import objects
from nova.scheduler import host_manager
from nova.scheduler import manager as scheduler_manager
from nova.scheduler import request_filter
from oslo_log import log as logging

from edge_filters import background
from edge_filters import ratelimit
from edge_filters.latency import metadata
from edge_filters.latency import snapshot as latency_snapshot

LOG = logging.getLogger(__name__)

POLL_INTERVAL_S = 60

# How many warnings one change of one aggregate may cause.
_WARNINGS_AT_ONCE = 10

_METHODS = ('_init_aggregates', 'update_aggregates', 'delete_aggregate')
_START = 'post_start_hook'

_Method = collections.abc.Callable[..., typing.Any]


class Watch:
    """Keeps a snapshot of all sites up to date with Nova's aggregates."""

    def __init__(self) -> None:
        self._snapshot = latency_snapshot.Snapshot()
        # Nova replaces the object of a changed aggregate and never alters it.
        self._aggregates: dict[int, typing.Any] = {}
        # Those that have a multiplier for the weigher; few do.
        self.multiplied: collections.abc.Mapping[int, typing.Any] = {}
        self._changing = threading.Lock()
        # Nova's methods are not made for several threads at once.
        self._telling = threading.RLock()
        # The IDs of the aggregates Nova is told of while it catches up.
        self._told: set[int] | None = None
        self._warnings = ratelimit.RateLimit()
        self._manager: typing.Any = None
        self._polls = False
        self._poller = background.Background('edge-filters-poll', self._poll)

    def follow(self, manager_class: type, service_class: type) -> None:
        """Learn of aggregates whenever a host manager does.

        :param manager_class: Nova's HostManager.
        :param service_class: Nova's SchedulerManager, which has one.
        """
        if self._polls:
            return
        missing = [
            name for name in _METHODS if not hasattr(manager_class, name)
        ] + [_START] * (not hasattr(service_class, _START))
        if missing:
            self._poll_instead(', '.join(missing))
            return
        for name in _METHODS:
            self._replace(manager_class, name, self._followed)
        self._replace(service_class, _START, self._caught_up)

    def _replace(
        self,
        owner: type,
        name: str,
        by: collections.abc.Callable[[_Method], _Method],
    ) -> None:
        method = getattr(owner, name)
        if getattr(method, 'followed_by', None) is not self:
            replacement = functools.wraps(method)(by(method))
            replacement.followed_by = self  # type: ignore[attr-defined]
            setattr(owner, name, replacement)

    def _followed(self, method: _Method) -> _Method:
        def followed(
            manager: typing.Any, *args: typing.Any, **kwargs: typing.Any
        ) -> typing.Any:
            try:
                with self._telling:
                    self._try(lambda: self._note((*args, *kwargs.values())))
                    return method(manager, *args, **kwargs)
            finally:
                # Nova has the aggregate even where its method fails later.
                # Others need not wait: the order of changes is Nova's.
                self._update_from(manager)

        return followed

    def _note(self, arguments: collections.abc.Iterable[typing.Any]) -> None:
        """Note which aggregates Nova is told of while it catches up."""
        if self._told is None:
            return
        for argument in arguments:
            several = isinstance(argument, (list, objects.AggregateList))
            self._told.update(
                aggregate.id
                for aggregate in (argument if several else [argument])
            )

    def _caught_up(self, method: _Method) -> _Method:
        def caught_up(
            service: typing.Any, *args: typing.Any, **kwargs: typing.Any
        ) -> typing.Any:
            result = method(service, *args, **kwargs)
            self._try(lambda: self._begin(service.host_manager))
            return result

        return caught_up

    def _begin(self, manager: typing.Any) -> None:
        """Have a worker catch up, now or, if that fails, a little later."""
        if not self._polls and not self._catch_up(manager):
            threading.Thread(
                target=self._catch_up_later,
                args=(manager,),
                name='edge-filters-catch-up',
                daemon=True,
            ).start()

    def _catch_up_later(self, manager: typing.Any) -> None:
        while True:
            time.sleep(POLL_INTERVAL_S)
            if self._catch_up(manager):
                return

    def _catch_up(self, manager: typing.Any) -> bool:
        """Tell a host manager what it could not hear; return success.

        Nova reads the aggregates before it forks its workers, and a worker
        that replaces one that died, or that SIGHUP ended, has them as they
        were then. It hears of changes only from now on.
        """
        told: set[int] = set()
        with self._telling:
            self._told = told
        try:
            aggregates = _all_aggregates()
            with self._telling:
                self._tell(manager, aggregates, told)
        except Exception:
            LOG.exception(
                'This worker has the aggregates as they were when '
                'nova-scheduler was started, but for what it was told since; '
                'it tries again in %d seconds',
                POLL_INTERVAL_S,
            )
            return False
        finally:
            with self._telling:
                self._told = None
        return True

    def _tell(
        self,
        manager: typing.Any,
        aggregates: collections.abc.Mapping[int, typing.Any],
        told: set[int],
    ) -> None:
        """Tell a host manager of all aggregates but those it was told of."""
        heard = frozenset(told)
        known = dict(manager.aggs_by_id)
        missed = [
            aggregate
            for aggregate_id, aggregate in aggregates.items()
            if aggregate_id not in heard
            and not _same(aggregate, known.get(aggregate_id))
        ]
        gone = known.keys() - aggregates.keys() - heard
        failures = []
        # One by one: requests are served meanwhile, and what they do to its
        # dictionaries may make Nova fail.
        for method, aggregate in (
            *((manager.update_aggregates, aggregate) for aggregate in missed),
            *((manager.delete_aggregate, known[its_id]) for its_id in gone),
        ):
            try:
                method(aggregate)
            except Exception as error:
                failures.append(error)
        if failures:
            raise failures[0]

    def _update_from(self, manager: typing.Any) -> None:
        self._manager = manager
        if hasattr(manager, 'aggs_by_id'):
            self._try(lambda: self.update(lambda: manager.aggs_by_id))
        elif not self._polls:
            self._poll_instead('aggs_by_id')

    def _poll_instead(self, missing: str) -> None:
        LOG.warning(
            'This Nova has no %(missing)s: sites are read from the database '
            'every %(interval)d seconds instead. Use a release of '
            'edge-filters that knows this release of Nova.',
            {'missing': missing, 'interval': POLL_INTERVAL_S},
        )
        self._polls = True
        self._try(lambda: self.update(_all_aggregates))

    def _try(self, change: collections.abc.Callable[[], None]) -> None:
        try:
            change()
        except Exception:
            LOG.exception('The sites stay as they were')

    def snapshot(self) -> latency_snapshot.Snapshot:
        """Return all sites as they are now."""
        if self._polls:
            self._start_polling()
        return self._snapshot

    def _start_polling(self) -> None:
        # Not in follow(): threads do not survive the fork of the workers.
        failure: RuntimeError | None = None
        try:
            self._poller.start()
        except RuntimeError as error:
            # The next request will try again.
            failure = error
        # Not while it is handled: oslo.log would say it twice.
        if failure is not None and self._warnings.is_due('thread'):
            LOG.warning('The sites are not followed: %s', failure)

    def _poll(self) -> None:
        while True:
            # At once: the parent may have read long before it forked.
            self._try(lambda: self.update(_all_aggregates))
            time.sleep(POLL_INTERVAL_S)

    def host_of(self, server: str) -> str | None:
        """Return where a server is as far as Nova's memory has it."""
        for host, known in (
            getattr(self._manager, '_instance_info', {}).copy().items()
        ):
            if server in known.get('instances', ()):
                return str(host)
        return None

    def set_request_filter(self, wanted: _Method | None, kind: type) -> None:
        """Have Nova call a request filter, in place of any of its kind."""
        known = getattr(request_filter, 'ALL_REQUEST_FILTERS', None)
        if isinstance(known, list):
            others = [it for it in known if not isinstance(it, kind)]
            known[:] = [*others, wanted] if wanted else others
        elif wanted and self._warnings.is_due('request filters'):
            LOG.warning(
                'This Nova has no list of request filters: Placement is asked '
                'as without edge-filters, and users do not see why a server '
                'is refused. Use a release of edge-filters that knows this '
                'release of Nova.'
            )

    def count_cells(self) -> int | None:
        """Return how many cells servers may be in; None: nobody knows."""
        cells = getattr(self._manager, 'enabled_cells', None)
        return None if cells is None else len(cells)

    def count_hosts(self) -> int:
        """Return how many hosts Nova has at least, as far as it is known."""
        return max(
            len(self._snapshot.places),
            *(
                len(getattr(self._manager, name, ()))
                for name in ('host_aggregates_map', '_instance_info')
            ),
        )

    def uuid(self, aggregate_id: int) -> str | None:
        """Return the UUID of an aggregate; None: it is gone."""
        aggregate = self._aggregates.get(aggregate_id)
        return None if aggregate is None else str(aggregate.uuid)

    def hosts_of(
        self, uuids: collections.abc.Collection[str]
    ) -> set[str] | None:
        """Return the hosts of aggregates; None: Nova does not know them all.

        :returns: names in lower case
        """
        aggregates = [
            it for it in self._aggregates.values() if it.uuid in uuids
        ]
        if len(aggregates) < len(uuids):
            return None
        return {host.lower() for it in aggregates for host in it.hosts or ()}

    def update(
        self,
        read: collections.abc.Callable[
            [], collections.abc.Mapping[int, typing.Any]
        ],
    ) -> None:
        """Take over what has changed, and nothing else.

        :param read: returns all aggregates by ID. Called under the lock, so
            that the last update to finish has read last.
        """
        with self._changing:
            aggregates = dict(read())
            changes: dict[int, metadata.SiteRecord | None] = dict.fromkeys(
                self._aggregates.keys() - aggregates.keys()
            )
            for aggregate_id, aggregate in aggregates.items():
                known = self._aggregates.get(aggregate_id)
                if aggregate is known:
                    continue
                try:
                    if not _same(aggregate, known):
                        changes[aggregate_id] = self._parse(aggregate)
                except Exception:
                    LOG.exception('Aggregate %s stays as it was', aggregate_id)
            # In this order: whoever has a site finds its aggregates.
            self._aggregates = aggregates
            self._snapshot = self._snapshot.replace(changes)
            self._note_multipliers(changes)

    def _note_multipliers(
        self,
        changes: collections.abc.Mapping[int, metadata.SiteRecord | None],
    ) -> None:
        """Take over which of the aggregates that changed have a multiplier."""
        found = {
            its_id: self._aggregates[its_id]
            for its_id in self._aggregates.keys() & changes.keys()
            if metadata.MULTIPLIER in (self._aggregates[its_id].metadata or ())
        }
        if found or not changes.keys().isdisjoint(self.multiplied):
            kept = self.multiplied.keys() - changes.keys()
            self.multiplied = {
                **{its_id: self.multiplied[its_id] for its_id in kept},
                **found,
            }

    def _parse(self, aggregate: typing.Any) -> metadata.SiteRecord | None:
        record, problems = metadata.parse_site(
            aggregate.metadata or {}, aggregate.hosts or ()
        )
        problems = [
            problem
            for problem in problems
            if self._warnings.is_due((aggregate.id, problem.key))
        ]
        for problem in problems[:_WARNINGS_AT_ONCE]:
            LOG.warning(
                'Aggregate %(aggregate)s, %(problem)s.',
                {'aggregate': aggregate.id, 'problem': problem},
            )
        if len(problems) > _WARNINGS_AT_ONCE and self._warnings.is_due(
            (aggregate.id, 'more')
        ):
            LOG.warning(
                'Aggregate %(aggregate)s has %(more)d more keys that are '
                'skipped.',
                {
                    'aggregate': aggregate.id,
                    'more': len(problems) - _WARNINGS_AT_ONCE,
                },
            )
        return record


def _same(aggregate: typing.Any, known: typing.Any) -> bool:
    """Return whether an aggregate is known as it is."""
    return aggregate is known or (
        known is not None
        and aggregate.metadata == known.metadata
        and aggregate.hosts == known.hosts
    )


def _all_aggregates() -> dict[int, typing.Any]:
    context = nova_context.get_admin_context()
    return {
        aggregate.id: aggregate
        for aggregate in objects.AggregateList.get_all(context)
    }


_WATCH = Watch()


def follow_aggregates() -> None:
    """Keep :func:`snapshot` up to date from now on; needed only once."""
    _WATCH.follow(host_manager.HostManager, scheduler_manager.SchedulerManager)


def host_of(server: str) -> str | None:
    """Return the host of a server; None: the scheduler does not hold it."""
    return _WATCH.host_of(server)


def count_cells() -> int | None:
    """Return how many cells servers may be in; None: nobody knows."""
    return _WATCH.count_cells()


def count_hosts() -> int:
    """Return how many hosts Nova has at least, as far as it is known."""
    return _WATCH.count_hosts()


def set_request_filter(wanted: _Method | None, kind: type) -> None:
    """Have Nova call a request filter, in place of any of its kind.

    :param wanted: the filter; None: none of that kind
    """
    _WATCH.set_request_filter(wanted, kind)


def limit(resources: typing.Any, candidates: int) -> None:
    """Have Placement return so many candidates; the default is an option.

    :param resources: Nova's ResourceRequest
    """
    resources._limit = candidates


def multiplied() -> collections.abc.Mapping[int, typing.Any]:
    """Return the aggregates that have a multiplier, by ID.

    It is the same object as long as none of them has changed.
    """
    return _WATCH.multiplied


def uuid(aggregate_id: int) -> str | None:
    """Return the UUID of an aggregate; None: it is gone."""
    return _WATCH.uuid(aggregate_id)


def hosts_of(
    uuids: collections.abc.Collection[str],
) -> set[str] | None:
    """Return the hosts of aggregates; None: Nova does not know them all.

    :returns: names in lower case
    """
    return _WATCH.hosts_of(uuids)


def snapshot() -> latency_snapshot.Snapshot:
    """Return all sites as they are now."""
    return _WATCH.snapshot()
