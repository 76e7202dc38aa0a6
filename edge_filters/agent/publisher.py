# SPDX-License-Identifier: Apache-2.0
"""HOW DOES IT GET INTO THE AGGREGATES? What changed, a call at a time.

What is measured waits here until it is written: of every path the latest.
"""

import collections.abc
import dataclasses
import functools
import math
import threading
import time
import typing

from oslo_log import log as logging

from edge_filters import cloud
from edge_filters import ratelimit
from edge_filters import spelling
from edge_filters.agent import change
from edge_filters.agent import choice
from edge_filters.agent import draft
from edge_filters.agent import held
from edge_filters.agent import pace
from edge_filters.agent import reading
from edge_filters.conf import agent as agent_conf
from edge_filters.latency import metadata
from edge_filters.latency import sample

LOG = logging.getLogger(__name__)

# After how many seconds it is looked whether there is something to do.
_IDLE_S = 1.0

# The aggregates are listed twice in a keep-alive, so that what other agents
# write is seen in time; where something depends on it, ten times.
_LISTS = 2
_MOST_LISTS = 10

# How long an aggregate is left alone after it could not be written, in
# seconds: at first, and after many times.
_ASIDE_S = 10.0
_MOST_ASIDE_S = 600.0

_UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND, _CONFLICT = 401, 403, 404, 409
_TOO_MANY, _BROKEN = 429, 500


@dataclasses.dataclass(slots=True, eq=False)
class _Task:
    """An aggregate to keep current.

    :param id: its ID
    :param there: what it has, as last seen; None: it was never seen
    :param outlook: when there is something to write
    :param changed: since when something has changed, in monotonic seconds
    :param failures: how often in a row it could not be written
    :param aside_until: until when it is left alone, in monotonic seconds
    :param must_read: whether it has to be read before it is written
    """

    id: int
    there: held.Held | None = None
    outlook: draft.Outlook = draft.NOTHING
    changed: float | None = None
    failures: int = 0
    aside_until: float = -math.inf
    must_read: bool = False


class _Job(typing.NamedTuple):
    """One call to Nova.

    :param call: makes it
    :param take: takes what it returns
    :param task: the aggregate that it is about; None: all of them
    :param is_write: whether it changes something
    """

    call: collections.abc.Callable[[], typing.Any]
    take: collections.abc.Callable[[typing.Any], None]
    task: _Task | None = None
    is_write: bool = False


class Publisher:
    """Keeps the aggregates current with what is measured.

    One thread calls :meth:`step`, again and again; any other may tell what is
    measured, and read the rest.

    :param cloud: where the aggregates are
    :param settings: what the agent is set to
    :param clock: the time in seconds since the epoch
    :param monotonic: a time in seconds that nobody sets
    :ivar api_calls: how many calls were made to Nova
    :ivar errors: how many of them failed
    :ivar last_success: when one succeeded last, in seconds since the epoch
    """

    def __init__(
        self,
        cloud: cloud.Cloud,
        settings: agent_conf.Settings,
        clock: collections.abc.Callable[[], float] = time.time,
        monotonic: collections.abc.Callable[[], float] = time.monotonic,
    ) -> None:
        self.api_calls = 0
        self.errors = 0
        self.last_success: float | None = None
        self._cloud = cloud
        self._settings = settings
        self._clock = clock
        self._monotonic = monotonic
        self._is_central = settings.aggregate is None
        self._hysteresis = draft.hysteresis_of(settings)
        self._pace = pace.Pace(settings.max_api_calls_per_second, monotonic)
        self._warnings = ratelimit.RateLimit(monotonic)
        # Guards all that follows.
        self._lock = threading.Lock()
        # What is measured from each site, and what of it is chosen, by key.
        self._measured: dict[str, dict[str, sample.Sample]] = {}
        self._chosen: collections.abc.Mapping[str, draft.Keys] = {}
        self._world: draft.World | None = None
        # The keys of what was measured since it began, by site, and when it
        # began, in seconds since the epoch.
        self._ever: dict[str, set[str]] = {}
        self._began = clock()
        # Whether what was written since may change what there is to say.
        self._is_world_old = False
        self._tasks: dict[int, _Task] = {}
        # The tasks of each site, those of the lowest ID first.
        self._by_site: dict[str, list[_Task]] = {}
        # When the aggregates were and will be listed, in monotonic seconds.
        self._listed = self._list_due = -math.inf
        self._list_failures = 0
        # Whether it was seen what there is.
        self._is_read = False
        self._is_write_failing = False
        if settings.aggregate is not None:
            self._list_due = math.inf
            task = _Task(settings.aggregate, must_read=True)
            self._tasks = {task.id: task}

    def measured(
        self, figures: collections.abc.Mapping[reading.Path, sample.Sample]
    ) -> None:
        """Take what is measured; of a path that is left out the last counts.

        What is older than ``max_age`` is forgotten, and what is dated ahead
        since the clock was set back.
        """
        with self._lock:
            now = self._clock()
            self._forget(now)
            self._keep(figures, now)
            self._choose(now)

    def measured_figures(self) -> dict[reading.Path, sample.Sample]:
        """Return what was measured last, of each path."""
        with self._lock:
            return {
                _path(site, key): figure
                for site, its in self._measured.items()
                for key, figure in its.items()
            }

    def plan(self) -> list[change.Change]:
        """Return what would be written now; it takes one call, which reads.

        :raises cloud.CloudError: if the aggregates cannot be read
        """
        with self._lock:
            job = self._reading()
            self.api_calls += 1
            job.take(job.call())
            now = self._clock()
            return [
                it
                for there in self._seen()
                for it in draft.changes(self._case(there), now)
            ]

    def step(self) -> float:
        """Make one call to Nova, or none.

        What cannot be done is logged, and tried again later.

        :returns: in how many seconds to call this again
        """
        wait_s = self._pace.wait_s()
        if wait_s > 0:
            return wait_s
        with self._lock:
            job = self._next()
        if job is None:
            return _IDLE_S
        self._pace.called()
        self.api_calls += 1
        failure: cloud.CloudError | None = None
        try:
            answer = job.call()
        except cloud.CloudError as error:
            failure = error
        if failure is not None:
            with self._lock:
                self._failed(job, failure)
        else:
            self.last_success = self._clock()
            with self._lock:
                self._succeeded(job)
                job.take(answer)
        return self._pace.wait_s()

    def published(
        self,
    ) -> collections.abc.Mapping[reading.Path, sample.Sample]:
        """Return the figures of sites that were there when last seen."""
        figures: dict[reading.Path, sample.Sample] = {}
        for there in self._seen():
            for key, figure in there.figures.items():
                path = _path(there.site, key)
                before = figures.get(path, figure.sample)
                figures[path] = sample.worst(before, figure.sample)
        return figures

    def sites(self) -> int | None:
        """Return how many sites there were when last seen; None: never."""
        if not self._is_read:
            return None
        return len({it.site for it in self._seen()})

    def stale_sites(self, now: float) -> int | None:
        """Return how many sites have figures that are too old.

        A site counts if a figure is too old that this agent has measured from
        it since it began, or if all its figures are. One of another agent,
        and one of what nobody measures any more, such as an origin taken out
        of the configuration, does not make a site count beside fresh ones.

        :param now: seconds since the epoch
        :returns: None: it was never seen which sites there are
        """
        if not self._is_read:
            return None
        with self._lock:
            by_site: dict[str, list[held.Held]] = {}
            for there in self._seen():
                by_site.setdefault(there.site, []).append(there)
            return sum(
                self._is_site_stale(site, its, now)
                for site, its in by_site.items()
            )

    def _is_site_stale(
        self, site: str, its: collections.abc.Iterable[held.Held], now: float
    ) -> bool:
        max_age_s = self._settings.max_age_s
        ever = self._ever.get(site, set())
        ages = [
            it.is_stale(now, max_age_s) for each in its for it in each.every
        ]
        return any(ages) and (
            all(ages)
            or any(
                key in ever and it.sample.is_stale(now, max_age_s)
                for each in its
                for figures in (each.figures, each.own or {})
                for key, it in figures.items()
            )
        )

    def pending(self) -> int:
        """Return how many aggregates wait to be written or read.

        They are those where something is due, those that are left alone for
        a while as that failed, and those that were never seen. That all of
        them are to be listed, as that failed or never happened, or judged
        again after a write counts as one. Where it is 0 all that was
        measured, and is worth a key, is published, or differs too little from
        what is, or is what another agent keeps fresh: but for the sites that
        :meth:`missing` returns.
        """
        with self._lock:
            now, monotonic = self._clock(), self._monotonic()
            are_all = self._is_central and (
                not self._is_read
                or self._list_failures > 0
                or self._is_world_old
            )
            return are_all + sum(
                it.aside_until > monotonic
                or self._urgency(it, now) is not None
                for it in self._tasks.values()
            )

    def missing(self) -> list[str]:
        """Return the sites whose figures have no aggregate to be put into.

        It is empty until it was seen which aggregates there are.
        """
        with self._lock:
            return self._missing()

    def _missing(self) -> list[str]:
        if not self._is_read:
            return []
        return sorted(self._measured.keys() - self._by_site.keys())

    def _seen(self) -> list[held.Held]:
        return [it.there for it in tuple(self._tasks.values()) if it.there]

    def _keep(
        self,
        figures: collections.abc.Mapping[reading.Path, sample.Sample],
        now: float,
    ) -> None:
        """Keep of each path the latest that can be written, if not stale."""
        left_out = []
        for path, figure in figures.items():
            why = change.objection(figure, now)
            if why:
                left_out.append((path, why))
                continue
            if figure.is_stale(now, self._settings.max_age_s):
                continue
            measured = self._measured.setdefault(path.site, {})
            key = spelling.shared(path.key)
            before = measured.get(key)
            if before is None or (before.at or 0) <= (figure.at or 0):
                measured[key] = figure
            # What an agent before this one measured may be told, too.
            if (figure.at or 0) >= self._began:
                self._ever.setdefault(path.site, set()).add(key)
        if left_out:
            (path, why), *_ = left_out
            self._warn(
                'left out',
                f'{len(left_out)} figures are left out: that of site '
                f'{path.site} to {path.target} {why}; see what measures it, '
                'and its clock.',
            )

    def _forget(self, now: float) -> None:
        """Forget what is too old, or dated ahead: the clock was set back."""
        self._began = min(self._began, now)
        max_age_s = self._settings.max_age_s
        for site, measured in tuple(self._measured.items()):
            for key in [
                key
                for key, it in measured.items()
                if it.is_stale(now, max_age_s)
            ]:
                del measured[key]
            if not measured:
                del self._measured[site]

    def _choose(self, now: float) -> None:
        """Decide what is worth a key, and when there is something to write."""
        self._is_world_old = False
        if not self._is_central:
            self._choose_here()
        elif self._listed > -math.inf:
            self._choose_everywhere(now)
        for task in self._tasks.values():
            self._evaluate(task, now)
        if self._is_central:
            looks = [it.outlook.look for it in self._tasks.values()]
            self._list_within(min(looks, default=math.inf) - now)
        self._warn_of_missing()
        self._warn_of_host()

    def _choose_everywhere(self, now: float) -> None:
        """Choose among all sites, each of which may be near to a target."""
        seen = self._seen()
        measured = {
            site: self._measured[site]
            for site in self._by_site
            if site in self._measured
        }
        others: dict[str, dict[str, sample.Sample]] = {}
        stay: dict[str, set[str]] = {}
        for there in seen:
            for key, (figure, _) in there.figures.items():
                # What others measure takes a place, too.
                if not figure.is_stale(now, self._settings.max_age_s):
                    others.setdefault(key, {})[there.site] = figure
                if figure.at is not None:
                    stay.setdefault(key, set()).add(there.site)
        chosen: dict[str, set[str]] = {site: set() for site in measured}
        for key in set[str]().union(*measured.values()):
            figures = others.get(key, {})
            for site, samples in measured.items():
                if key in samples:
                    figures[site] = samples[key]
            for site in choice.nearest(
                figures,
                stay.get(key, frozenset()),
                self._settings.nearest_sites,
                self._hysteresis,
            ):
                if key in measured.get(site, ()):
                    chosen[site].add(key)
        self._chosen = chosen
        linked: dict[str, set[str]] = {}
        for there in seen:
            # What is about to go is no link any more.
            going = measured.get(there.site, {}).keys() - chosen.get(
                there.site, set()
            )
            for key in there.figures.keys() - going:
                if key.startswith(metadata.SITE_RTT):
                    name = key.removeprefix(metadata.SITE_RTT)
                    linked.setdefault(name, set()).add(there.site)
        known = {
            key
            for key in set[str]().union(*self._measured.values())
            if key.startswith(metadata.RTT)
        }
        self._world = draft.World(
            known.union(*(it.known for it in seen)),
            {it.site for it in seen if it.has_users},
            linked,
        )

    def _choose_here(self) -> None:
        """Choose what is nearest to the one site, as many as have room."""
        for there in self._seen():
            measured = self._measured.get(there.site, {})
            stay = {
                key
                for key, it in there.figures.items()
                if key in measured and not it.is_by_hand
            }
            keys = set(map(metadata.fold, there.aggregate.metadata))
            other = [
                it for it in keys - stay if it.startswith(metadata.PREFIX)
            ]
            names = choice.nearest(
                measured,
                stay,
                max(metadata.KEYS_PER_SITE - len(other), 0),
                self._hysteresis,
                is_strict=True,
            )
            self._chosen = {there.site: set(names)}

    def _case(self, there: held.Held) -> draft.Case:
        """Return what there is to say in an aggregate."""
        tasks = self._by_site[there.site]
        measured = self._measured.get(there.site, {})
        return draft.Case(
            self._settings,
            there,
            [it.there for it in tasks if it.there and it.there is not there],
            tasks[0].there is there,
            measured,
            # What was forgotten may have been chosen.
            measured.keys() & self._chosen.get(there.site, frozenset()),
            self._world,
        )

    def _evaluate(self, task: _Task, now: float) -> None:
        """See when there is something to write into an aggregate."""
        task.outlook = draft.NOTHING
        if task.there is not None and task.there.site in self._measured:
            task.outlook = draft.outlook(self._case(task.there), now)
        if not task.outlook.is_changed:
            task.changed = None
        elif task.changed is None:
            task.changed = self._monotonic()

    def _next(self) -> _Job | None:
        """Return the call that is the most urgent; None: nothing is due."""
        if self._list_due <= self._monotonic():
            return self._reading()
        while True:
            now = self._clock()
            urgencies = [
                (urgency, task.id)
                for task in self._tasks.values()
                if (urgency := self._urgency(task, now))
            ]
            if not urgencies and self._is_world_old:
                self._choose(now)
                continue
            if not urgencies:
                return None
            _, id = min(urgencies)
            task = self._tasks[id]
            job = self._job(task, now)
            if job is not None:
                return job
            # It was due by what was known a while ago.
            task.outlook, task.changed = draft.NOTHING, None

    def _urgency(self, task: _Task, now: float) -> tuple[int, float] | None:
        """Return what orders tasks, the most urgent first; None: not due.

        What is about to go stale comes first, then what has changed, the
        longest ago, then what is to be kept fresh.
        """
        outlook = task.outlook
        if task.aside_until > self._monotonic():
            return None
        if task.there is None:
            return 0, -math.inf
        late_s = (draft.ABANDONED - 1) * self._settings.keep_alive_s
        if outlook.due + late_s <= now:
            return 0, outlook.due
        if task.changed is not None:
            return 1, task.changed
        if outlook.due <= now:
            return 2, outlook.due
        if outlook.look < now and not self._is_central:
            return 2, outlook.look
        return None

    def _reading(self) -> _Job:
        """Return the call that reads all that there is to read."""
        if self._settings.aggregate is None:
            return _Job(self._cloud.aggregates, self._take_all)
        return self._reading_of(self._tasks[self._settings.aggregate])

    def _reading_of(self, task: _Task) -> _Job:
        return _Job(
            functools.partial(self._cloud.aggregate, task.id),
            functools.partial(self._take, task, ()),
            task,
        )

    def _job(self, task: _Task, now: float) -> _Job | None:
        """Return the call that a task needs; None: none any more."""
        if task.must_read or task.there is None:
            return self._reading_of(task)
        changes = draft.changes(self._case(task.there), now)
        if not changes:
            return None
        return _Job(
            functools.partial(
                self._cloud.set_metadata,
                task.there.aggregate,
                {it.key: it.after for it in changes},
            ),
            functools.partial(self._take, task, changes),
            task,
            is_write=True,
        )

    def _take_all(
        self, aggregates: collections.abc.Iterable[cloud.Aggregate]
    ) -> None:
        """Take what all aggregates are."""
        now = self._clock()
        tasks: dict[int, _Task] = {}
        by_site: dict[str, list[_Task]] = {}
        for aggregate in sorted(aggregates, key=lambda it: it.id):
            there = held.read(aggregate, self._settings.host, now)
            if there is not None:
                task = self._tasks.get(aggregate.id) or _Task(aggregate.id)
                task.there, task.must_read = there, False
                tasks[task.id] = task
                by_site.setdefault(there.site, []).append(task)
        self._tasks, self._by_site = tasks, by_site
        self._is_read = True
        self._list_failures = 0
        self._listed = self._monotonic()
        self._list_due = self._listed + self._settings.keep_alive_s / _LISTS
        self._choose(now)

    def _list_within(self, seconds: float) -> None:
        """List the aggregates that soon, unless that was done just before."""
        spacing_s = self._settings.keep_alive_s / _MOST_LISTS
        soonest = max(self._monotonic() + seconds, self._listed + spacing_s)
        self._list_due = min(self._list_due, soonest)

    def _take(
        self,
        task: _Task,
        changes: collections.abc.Collection[change.Change],
        aggregate: cloud.Aggregate,
    ) -> None:
        """Take what one aggregate is.

        :param changes: what was written into it; empty: it was only read
        """
        now, before = self._clock(), task.there
        self._is_read = True
        there = held.read(aggregate, self._settings.host, now)
        if self._is_central:
            if there is None or before is None or there.site != before.site:
                # What it is now, and which others there are, is to be seen.
                self._set_aside(task)
                self._list_within(0)
                return
            task.there, task.must_read = there, False
            # Of other sites something may be known now, or be an estimate.
            if any(None in (it.before, it.after) for it in changes):
                self._is_world_old = True
            for it in self._by_site[there.site]:
                self._evaluate(it, now)
        elif there is None or there.site != self._settings.site:
            task.there, self._by_site = None, {}
            self._set_aside(task)
            its = there.site if there else 'none'
            self._warn(
                'other site',
                f'Aggregate {aggregate.name} (ID {task.id}) is not site '
                f'{self._settings.site}, but {its}; set [edge_latency_agent] '
                'aggregate to the ID that openstack edge site show '
                f'{self._settings.site} has.',
            )
            return
        else:
            task.there, self._by_site = there, {there.site: [task]}
            self._choose(now)
            is_due = task.outlook.is_changed or task.outlook.due <= now
            # Somebody else may write it until the next time.
            task.must_read = bool(changes) or not is_due
        lost = [it.key for it in changes if there.value(it.key) != it.after]
        if lost:
            self._set_aside(task)
            self._warn(
                ('lost', task.id),
                f'Nova did not keep {spelling.listed(lost)} of the aggregate '
                f'{aggregate.name}; see whether somebody else writes there.',
            )
        elif changes:
            task.failures = 0

    def _set_aside(self, task: _Task) -> None:
        """Leave an aggregate alone for a while; then read it first."""
        task.must_read = True
        aside_s = pace.pause_s(task.failures, _ASIDE_S, _MOST_ASIDE_S)
        task.aside_until = self._monotonic() + aside_s
        task.failures += 1

    def _succeeded(self, job: _Job) -> None:
        """Take that a call succeeded: the next need not wait."""
        # That it can be read does not say that it can be written.
        if job.is_write or not self._is_write_failing:
            if self._pace.failures:
                LOG.info('Nova does again what it is asked for.')
            self._pace.succeeded()
            self._is_write_failing = False

    def _failed(self, job: _Job, error: cloud.CloudError) -> None:
        """Take that a call failed, so that others are made, or none."""
        self.errors += 1
        self._is_write_failing = self._is_write_failing or job.is_write
        task, status = job.task, error.status
        is_away = (
            task is None
            or status in (None, _UNAUTHORIZED, _TOO_MANY)
            or status >= _BROKEN
        )
        self._pace.failed(is_away)
        if task is None:
            self._list_failures += 1
            pause_s = pace.pause_s(self._list_failures)
            self._list_due = self._monotonic() + pause_s
        else:
            self._set_aside(task)
            if self._is_central and status in (_NOT_FOUND, _CONFLICT):
                self._list_within(0)
        # Of what is wrong with all of them once is enough.
        is_common = is_away or status == _FORBIDDEN
        about = None if task is None or is_common else task.id
        self._warn((status, about), str(error))

    def _warn_of_missing(self) -> None:
        """Warn of what is measured that no aggregate has a place for."""
        missing = self._missing()
        if not missing:
            return
        if not self._is_central:
            others = [it for it in missing if it != self._settings.site]
            if others:
                self._warn(
                    'others',
                    f'Figures of {spelling.listed(others)} are not published: '
                    '[edge_latency_agent] aggregate is of site '
                    f'{self._settings.site} alone.',
                )
        else:
            self._warn(
                'missing',
                f'Figures of {spelling.listed(missing)} are not published: '
                'no aggregate has edge:site of that name; make one with: '
                f'openstack edge site create {missing[0]}',
            )

    def _warn_of_host(self) -> None:
        """Warn of a host for which nothing can ever be written."""
        host, seen = self._settings.host, self._seen()
        if host and seen and all(it.own is None for it in seen):
            name = spelling.shown(host)
            self._warn(
                'host',
                f'No figure can be written for host {name} alone: no site has '
                'it in its aggregate; set [edge_latency_agent] host to what '
                'openstack compute service list calls it, or add it with: '
                'openstack aggregate add host <aggregate> <host>',
            )

    def _warn(self, key: collections.abc.Hashable, message: str) -> None:
        """Log a message, unless one like it was logged a while ago."""
        if self._warnings.is_due(key):
            LOG.warning('%s', message)


def _path(site: str, key: str) -> reading.Path:
    """Return what a figure is of, by its key."""
    if key.startswith(metadata.SITE_RTT):
        return reading.Path(site, key.removeprefix(metadata.SITE_RTT), True)
    return reading.Path(site, key.removeprefix(metadata.RTT))
