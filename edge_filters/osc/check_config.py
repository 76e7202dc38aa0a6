# SPDX-License-Identifier: Apache-2.0
"""WHAT IS WRONG WITH nova.conf? As nova-scheduler will read it."""

import collections.abc
import difflib
import functools
import importlib.metadata

from oslo_config import cfg

from edge_filters import conf
from edge_filters import spelling
from edge_filters.osc import finding
from edge_filters.osc import nova_conf

# What Nova is given to load.
_NOVA_FILTERS = 'nova.scheduler.filters.all_filters'
_NOVA_WEIGHERS = 'nova.scheduler.weights.'
_FILTERS = 'edge_filters.all_filters'
_WEIGHERS = 'edge_filters.all_weighers'

_ISOLATION = 'AggregateImagePropertiesIsolation'

# From which share of what Placement returns on truncation is ahead.
_NEARLY = 0.8

_Findings = collections.abc.Iterator[finding.Finding]


def mended(options: cfg.ConfigOpts) -> list[finding.Finding]:
    """Give what cannot be read its default; return what is wrong with it.

    After that every option can be read.
    """
    found = []
    defaults = nova_conf.read()
    for group in nova_conf.GROUPS:
        for name in defaults[group]:
            wrong = _wrong(options, group, name)
            if wrong is not None:
                found.append(wrong)
                options.set_override(name, defaults[group][name], group)
    try:
        conf.read(options)
    except ValueError as error:
        found.append(_invalid('edge_filters', 'rtt_band_ms', error))
        for name in ('rtt_band_ms', 'rtt_horizon_ms'):
            default = defaults[conf.GROUP.name][name]
            options.set_override(name, default, conf.GROUP.name)
    return found


def _wrong(
    options: cfg.ConfigOpts, group: str, name: str
) -> finding.Finding | None:
    """Return why an option cannot be read; None: it can."""
    try:
        if options[group][name] is None:
            return _invalid(group, name, ValueError('it is empty'))
    except (cfg.NoSuchOptError, cfg.TemplateSubstitutionError):
        return finding.Finding(
            'option-not-checked',
            f'[{group}] {name}',
            'refers to an option that is not known here: its default was '
            'taken',
            'write what it stands for into the copy given as --config-file',
        )
    except RecursionError:
        return _invalid(group, name, ValueError('it refers to itself'))
    except (cfg.Error, ValueError) as error:
        return _invalid(group, name, error)
    return None


def _invalid(group: str, name: str, error: Exception) -> finding.Finding:
    text = ' '.join(str(error).split())
    return finding.Finding(
        'option-invalid',
        f'[{group}] {name}',
        'has a value that nova-scheduler cannot use: '
        + (text.partition(' is not valid: ')[2] or text),
        'set a value that the option may have, or remove the line',
    )


def findings(options: cfg.ConfigOpts, hosts: int) -> _Findings:
    """Yield what is wrong with options that can all be read.

    :param hosts: how many compute hosts there are at least
    """
    settings = conf.read(options)
    ours = _classes('edge_filters.filters')
    enabled = list(options.filter_scheduler.enabled_filters)
    weighers = _listed_weighers(options)
    yield from _of_availability(options, ours)
    yield from _of_filters(enabled, ours)
    yield from _of_weighers(options, settings, weighers)
    yield from _of_chance(options)
    if settings.mode != 'enforce':
        yield finding.Finding(
            'mode-not-enforce',
            '[edge_filters] mode',
            f'is {settings.mode}: servers are placed as without edge-filters',
            'set it to enforce when you like what the log says',
        )
    is_narrowed = (
        settings.request_filter
        and settings.mode == 'enforce'
        and bool(weighers or ours.keys() & enabled)
    )
    limit = options.scheduler.max_placement_results
    if hosts > _NEARLY * limit and not is_narrowed:
        yield finding.Finding(
            'truncation',
            '[scheduler] max_placement_results',
            f'is {limit}, with {hosts} hosts: Placement leaves out those '
            'beyond it, whatever their latency, and nothing narrows what it '
            'is asked for',
            'enable EdgeLatencyFilter, with [edge_filters] request_filter = '
            'true and mode = enforce; or raise max_placement_results',
        )


@functools.cache
def _classes(namespace: str) -> collections.abc.Mapping[str, str]:
    """Return the paths of the classes of a namespace, by their names.

    They are not loaded, as that would need Nova.
    """
    paths = [
        it.value.replace(':', '.')
        for it in importlib.metadata.entry_points(group=namespace)
    ]
    return {path.rpartition('.')[2]: path for path in sorted(paths)}


def _of_availability(
    options: cfg.ConfigOpts, ours: collections.abc.Mapping[str, str]
) -> _Findings:
    """Yield the filters that are enabled, and that Nova does not find."""
    given = options.filter_scheduler.available_filters
    names = {path.rpartition('.')[2] for path in given}
    # What other functions give to Nova nobody knows here.
    is_known = all(
        path in (_NOVA_FILTERS, _FILTERS)
        or path.rpartition('.')[2][:1].isupper()
        for path in given
    )
    for name in dict.fromkeys(options.filter_scheduler.enabled_filters):
        near = difflib.get_close_matches(name, ours, 1, 0.8)
        missing = _FILTERS if name in ours else _NOVA_FILTERS
        remedy = (
            f'add the line available_filters = {missing} to '
            '[filter_scheduler], beside those that are there'
        )
        if name not in ours and near:
            remedy = f'spell it {near[0]} in enabled_filters'
        elif missing in given:
            continue
        if name not in names and (name in ours or is_known):
            yield finding.Finding(
                'filter-not-available',
                name,
                'is enabled and not available: every server is refused',
                remedy,
            )


def _of_filters(
    enabled: list[str], ours: collections.abc.Mapping[str, str]
) -> _Findings:
    for name, path in ours.items():
        if name not in enabled and path.startswith('edge_filters.'):
            yield finding.Finding(
                'filter-not-enabled',
                name,
                'is not enabled: what servers ask of their site, or of its '
                'latency, is not held',
                'add it at the end of [filter_scheduler] enabled_filters',
            )
    first = next((it for it, name in enumerate(enabled) if name in ours), None)
    others = [name for name in enabled[first:] if name not in ours]
    if first is not None and others:
        yield finding.Finding(
            'filter-not-last',
            enabled[first],
            f'comes before {spelling.listed(others)}: hosts that those refuse '
            'count as hosts within the budget, so that edge:fallback does not '
            'come to pass',
            'move the filters of edge-filters to the end of '
            '[filter_scheduler] enabled_filters',
        )
    if _ISOLATION in enabled:
        yield finding.Finding(
            'image-properties-isolation',
            _ISOLATION,
            'is enabled: it logs a warning for each host and each key of an '
            'aggregate, at every boot',
            'remove it from [filter_scheduler] enabled_filters',
        )


def _listed_weighers(options: cfg.ConfigOpts) -> list[str]:
    """Return which of what Nova is given to load has our weigher."""
    ours = (_WEIGHERS, *_classes('edge_filters.weighers').values())
    return [
        path
        for path in options.filter_scheduler.weight_classes
        if path in ours and path.startswith('edge_filters.')
    ]


def _of_weighers(
    options: cfg.ConfigOpts, settings: conf.Settings, weighers: list[str]
) -> _Findings:
    subject = '[filter_scheduler] weight_classes'
    given = options.filter_scheduler.weight_classes
    if not weighers:
        yield finding.Finding(
            'weigher-missing',
            subject,
            f'has no {_WEIGHERS}: no host is preferred for being near',
            f'add ,{_WEIGHERS} to its line; it is one list, and of two lines '
            'the last would count',
        )
    elif len(weighers) > 1:
        yield finding.Finding(
            'weigher-twice',
            subject,
            f'has the weigher {len(weighers)} times, as '
            f'{spelling.listed(weighers)}: it counts so many times as much',
            f'leave {_WEIGHERS} there, once',
        )
    if not any(path.startswith(_NOVA_WEIGHERS) for path in given):
        yield finding.Finding(
            'nova-weighers-missing',
            subject,
            'has none of the weighers of Nova: CPU, memory and failed builds '
            'no longer count',
            f'begin its line with {_NOVA_WEIGHERS}all_weighers,',
        )
    if weighers and not settings.edge_latency_weight_multiplier:
        yield finding.Finding(
            'weigher-off',
            '[edge_filters] edge_latency_weight_multiplier',
            'is 0: no host is preferred for being near',
            'remove the line, which makes it 1500',
        )


def _of_chance(options: cfg.ConfigOpts) -> _Findings:
    """Yield what lets chance choose among hosts."""
    size = options.filter_scheduler.host_subset_size
    if size > 1:
        yield finding.Finding(
            'subset',
            '[filter_scheduler] host_subset_size',
            f'is {size}: chance chooses among the {size} best hosts, near or '
            'far',
            'set it to 1',
        )
    if options.filter_scheduler.shuffle_best_same_weighed_hosts:
        yield finding.Finding(
            'shuffle',
            '[filter_scheduler] shuffle_best_same_weighed_hosts',
            'is true: chance chooses among hosts that weigh the same',
            'set it to false, unless all hosts of a site are alike',
        )
