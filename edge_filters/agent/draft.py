# SPDX-License-Identifier: Apache-2.0
"""WHAT IS TO BE WRITTEN INTO AN AGGREGATE, AND WHEN? One call's worth of it.

Pure: what is measured and what is published come in, changes come out.
"""

import collections.abc
import dataclasses
import math
import typing

from edge_filters.agent import change
from edge_filters.agent import choice
from edge_filters.agent import held
from edge_filters.conf import agent as agent_conf
from edge_filters.latency import metadata
from edge_filters.latency import sample

# How many keys are written at once, so that they are one call, however long
# their values are.
MAX_KEYS = 100

# How many times as old as keep_alive a figure of another agent is before it
# counts as abandoned.
ABANDONED = 1.5

Samples = collections.abc.Mapping[str, sample.Sample]
Keys = collections.abc.Set[str]


@dataclasses.dataclass(frozen=True, slots=True)
class World:
    """What has to be known of all sites to speak for what one does not list.

    :param known: the keys of the origins that somebody measures or publishes
    :param users: the sites that users are attached to: they are origins, too
    :param linked: the sites that publish an RTT to a site, by that site
    """

    known: Keys
    users: Keys
    linked: collections.abc.Mapping[str, Keys]


@dataclasses.dataclass(frozen=True, slots=True)
class Case:
    """One aggregate, and what there is to say in it.

    :param settings: what the agent is set to
    :param there: what the aggregate has
    :param others: what the other aggregates of the same site have
    :param is_first: whether it has the lowest ID of them
    :param measured: what is measured from the site, by key
    :param chosen: the keys of what of that is worth one
    :param world: what is known of all sites; None: only this one is known
    """

    settings: agent_conf.Settings
    there: held.Held
    others: collections.abc.Sequence[held.Held]
    is_first: bool
    measured: Samples
    chosen: Keys
    world: World | None


class Outlook(typing.NamedTuple):
    """When there is something to write into an aggregate.

    :param is_changed: whether there is now, as something has changed
    :param due: when something is to be written though it has not changed, in
        seconds since the epoch
    :param look: when to see whether another agent has abandoned a figure, in
        seconds since the epoch
    """

    is_changed: bool = False
    due: float = math.inf
    look: float = math.inf


NOTHING = Outlook()


class _Judged(typing.NamedTuple):
    """One key, the figure for it, and when that is to be written.

    :param why: why it is worth a call now, in words; empty: it is not
    :param due: when it is, though it has not changed
    :param look: when to see whether it is abandoned; until then it is not to
        be written
    """

    key: str
    figure: sample.Sample
    why: str = ''
    due: float = math.inf
    look: float = math.inf


def outlook(case: Case, now: float) -> Outlook:
    """Return when there is something to write."""
    is_changed = False
    due = look = math.inf
    for judged in (*_judged(case, now), *_default(case, _listed(case), now)):
        is_changed = is_changed or bool(judged.why)
        due = min(due, judged.due)
        look = min(look, judged.look)
    return Outlook(is_changed, due, look)


def changes(case: Case, now: float) -> list[change.Change]:
    """Return what is to be written in one call; empty: nothing is due.

    With what is due goes all else that has been measured since, and what is
    no longer worth a key goes away.
    """
    judged = [it for it in _judged(case, now) if it.look == math.inf]
    judged.sort(key=lambda it: not _is_due(it, now))
    default = _default(case, _listed(case), now)
    if not any(_is_due(it, now) for it in (*judged[:1], *default)):
        return []
    site, value = case.there.site, case.there.value
    drafted = [_change(case, it, now) for it in judged]
    drafted += [
        change.Change(
            site, key, value(key), None, 'no longer among the nearest', False
        )
        for key in _unchosen(case)
    ]
    # One key is left for the default, which depends on what is listed then.
    del drafted[MAX_KEYS - 1 :]
    default = _default(case, _listed(case, drafted), now)
    drafted += [
        _change(case, it, now) for it in default if it.look == math.inf
    ]
    # Without the keys that go, the default may be no reason any more.
    return drafted if any(it.is_due for it in drafted) else []


def _change(case: Case, judged: _Judged, now: float) -> change.Change:
    return change.Change(
        case.there.site,
        judged.key,
        case.there.value(judged.key),
        change.value(judged.figure, case.settings.name),
        judged.why or _keeps(judged, now),
        _is_due(judged, now),
    )


def _is_due(judged: _Judged, now: float) -> bool:
    return bool(judged.why) or judged.due <= now


def _keeps(judged: _Judged, now: float) -> str:
    return 'is kept fresh' if judged.due <= now else 'goes with the others'


def _judged(case: Case, now: float) -> collections.abc.Iterator[_Judged]:
    """Yield what may be written, and when it is to be."""
    keep_alive_s = case.settings.keep_alive_s
    hysteresis = hysteresis_of(case.settings)
    for key, figure, there in _pairs(case):
        if there is None:
            yield _Judged(key, figure, 'not there yet')
            continue
        at = there.sample.at
        if at is None:
            yield _Judged(key, figure, 'was written by hand')
        elif at > now + sample.CLOCK_TOLERANCE_S:
            yield _Judged(key, figure, 'was dated ahead')
        elif int(figure.at or 0) <= at:
            # What is repeated does not become fresh.
            continue
        elif _is_of_another(case, there):
            yield _Judged(key, figure, look=at + keep_alive_s * ABANDONED)
        else:
            why = change.difference(there.sample, figure, hysteresis)
            yield _Judged(key, figure, why, at + keep_alive_s)


def _pairs(
    case: Case,
) -> collections.abc.Iterator[tuple[str, sample.Sample, held.Figure | None]]:
    """Yield the keys that are this aggregate's, what is for them and there."""
    there = case.there
    for key in sorted(case.chosen):
        its = there.figures.get(key)
        if its or _is_new(case, [key in it.figures for it in case.others]):
            yield key, case.measured[key], its
    if there.own is not None:
        for key, figure in _origins(case).items():
            own = there.own.get(key)
            if own or _is_worth_own(case, key, figure):
                origin = key.removeprefix(metadata.RTT)
                host = case.settings.host
                yield metadata.rtt_key(origin, host), figure, own


def _origins(case: Case) -> Samples:
    """Return what is measured to origins, by key."""
    return {
        key: it
        for key, it in case.measured.items()
        if key.startswith(metadata.RTT)
    }


def _is_new(case: Case, are_there: collections.abc.Iterable[bool]) -> bool:
    """Return whether what no aggregate of the site has is to come here.

    :param are_there: whether the others have it
    """
    return case.is_first and not any(are_there)


def _is_worth_own(case: Case, key: str, figure: sample.Sample) -> bool:
    """Return whether what others say of the site is otherwise at the host."""
    hysteresis = hysteresis_of(case.settings)
    theirs = [
        it.figures[key]
        for it in (case.there, *case.others)
        if key in it.figures
    ]
    return bool(theirs) and all(
        _is_of_another(case, it)
        and change.difference(it.sample, figure, hysteresis)
        for it in theirs
    )


def _is_of_another(case: Case, figure: held.Figure) -> bool:
    """Return whether another agent keeps a figure fresh.

    It counts how old it was when it was seen: it may be another by now.
    """
    at = figure.sample.at
    return (
        at is not None
        and figure.agent not in ('', case.settings.name)
        and not sample.is_stale(
            case.there.seen - at, case.settings.keep_alive_s * ABANDONED
        )
    )


def _unchosen(case: Case) -> collections.abc.Iterator[str]:
    """Yield the keys of agents' figures that are no longer worth one."""
    for key, figure in case.there.figures.items():
        if (
            key in case.measured
            and key not in case.chosen
            and not figure.is_by_hand
            and not _is_of_another(case, figure)
        ):
            yield key


def _default(case: Case, listed: Keys, now: float) -> list[_Judged]:
    """Return what is to be said of what the site does not list, if anything.

    A default by hand stays. So does one that another agent keeps fresh, as
    long as it is not wrong. One that an agent wrote and that can no longer be
    said becomes a bound of 0, which says nothing: keys are seldom deleted.

    :param listed: the keys that the site has
    """
    there, key = case.there.default, metadata.RTT_DEFAULT
    if there is None:
        if not _is_new(case, [bool(it.default) for it in case.others]):
            return []
        bound = _bound(case, listed)
        return [_Judged(key, bound, 'not there yet')] if bound else []
    at = there.sample.at
    if at is None:
        return []
    keep_alive_s = case.settings.keep_alive_s
    figure = _bound(case, listed) or _nothing(case)
    if choice.is_false(there.sample, _origins(case), listed):
        return [_Judged(key, figure, 'something is nearer')]
    if at > now + sample.CLOCK_TOLERANCE_S:
        return [_Judged(key, figure, 'was dated ahead')]
    if int(figure.at or 0) <= at:
        return []
    if _is_of_another(case, there):
        return [_Judged(key, figure, look=at + keep_alive_s * ABANDONED)]
    return [_Judged(key, figure, due=at + keep_alive_s)]


def _bound(case: Case, listed: Keys) -> sample.Sample | None:
    """Return what is true of all that is not listed; None: it is not known."""
    if case.world is None:
        return None
    known = case.world.known - _estimated(case.there.site, case.world, listed)
    hysteresis = hysteresis_of(case.settings)
    return choice.bound(_origins(case), listed, known, hysteresis)


def _nothing(case: Case) -> sample.Sample:
    """Return a bound of 0, as new as what is measured."""
    at = max((it.at or 0 for it in case.measured.values()), default=0)
    return sample.Sample(0.0, at=at, kind=sample.Kind.BOUND)


def _estimated(site: str, world: World, listed: Keys) -> set[str]:
    """Return the keys of those for whom an estimate comes before a default.

    They are the users attached to a site, if an RTT between it and this one
    is published.
    """
    linked = {site, *world.linked.get(site, ())}.union(
        key.removeprefix(metadata.SITE_RTT)
        for key in listed
        if key.startswith(metadata.SITE_RTT)
    )
    return set(map(metadata.rtt_key, world.users & linked))


def _listed(
    case: Case, drafted: collections.abc.Iterable[change.Change] = ()
) -> set[str]:
    """Return the keys that the aggregates of a site have after changes."""
    listed = set(case.there.figures)
    for it in drafted:
        if it.after is None:
            listed.discard(it.key)
        else:
            listed.add(it.key)
    return listed.union(*(it.figures for it in case.others))


def hysteresis_of(settings: agent_conf.Settings) -> change.Hysteresis:
    """Return by how much an RTT has to change."""
    return change.Hysteresis(settings.hysteresis_ms, settings.hysteresis_pct)
