# SPDX-License-Identifier: Apache-2.0
"""WHAT DOES A HOST COST? Our filter and weigher in Nova's own handlers."""

from collections.abc import Iterator
import functools
import itertools
import pathlib
from typing import Any

from nova.scheduler import filters
from nova.scheduler import host_manager
from nova.scheduler import weights
from nova.scheduler.filters import aggregate_instance_extra_specs

from edge_filters.scheduler import latency_filter
from edge_filters.scheduler import latency_weigher
from sandbox import big_hosts
from sandbox import big_world
from sandbox import config
from sandbox import services
from sandbox import turns

# What has the in-tree filter look at the aggregates.
_EXTRA_SPEC = f'aggregate_instance_extra_specs:{big_world.OTHER_KEY}'

# A budget that every site meets, so that nobody has less to do than others.
_BUDGET_MS = '5000'


class EmptyFilter(filters.BaseHostFilter):
    """A filter that does nothing, which costs what Nova's handler does."""

    def filter_all(self, filter_obj_list: Any, spec_obj: Any) -> Any:
        return filter_obj_list


class TrivialWeigher(weights.BaseHostWeigher):
    """The weigher that costs least of those written as Nova tells."""

    def _weigh_object(self, obj: Any, weight_properties: Any) -> float:
        return 1.0


def configure(
    folder: pathlib.Path, options: config.Options, *, edge_filters: bool
) -> config.Files:
    """Configure Nova in this process, and log as it does in production."""
    folder.mkdir()
    files = config.Files(folder)
    config.write_nova_conf(files, options, edge_filters=edge_filters)
    services.configure(files.nova_conf)
    services.Logging()
    return files


def prepare(world: big_world.World, folder: pathlib.Path) -> turns.Measures:
    """Prepare what figures 1, 2, 4 and 5 compare."""
    files = configure(folder, {}, edge_filters=False)
    aggregates = big_hosts.aggregates(world)
    stock = big_hosts.manager(aggregates)
    config.write_nova_conf(files, {}, edge_filters=True)
    services.reconfigure()
    ours = big_hosts.manager(aggregates)
    hosts = big_hosts.host_states(world, ours)
    filter_handler = filters.HostFilterHandler()
    weight_handler = weights.HostWeightHandler()
    requests = _requests(world)

    def run(
        handle: Any, one: Any, requests: Iterator[Any] = requests
    ) -> turns.Measure:
        return _per_host(
            world, requests, lambda spec: handle([one], hosts, spec)
        )

    run_filter = functools.partial(run, filter_handler.get_filtered_objects)
    run_weigher = functools.partial(run, weight_handler.get_weighed_objects)

    def decided() -> Iterator[Any]:
        """Return requests that another class of ours has decided on."""
        for spec in requests:
            edge_filter.filter_all(hosts, spec)
            yield spec

    def run_all(manager: host_manager.HostManager) -> turns.Measure:
        return _per_host(
            world,
            iter(big_hosts.request, None),
            lambda spec: manager.get_weighed_hosts(
                manager.get_filtered_hosts(hosts, spec), spec
            ),
        )

    in_tree = aggregate_instance_extra_specs
    edge_filter = latency_filter.EdgeLatencyFilter()
    edge_weigher = latency_weigher.EdgeLatencyWeigher()
    return {
        'filter': run_filter(edge_filter),
        'second filter': run_filter(edge_filter, decided()),
        'aggregate filter': run_filter(
            in_tree.AggregateInstanceExtraSpecsFilter()
        ),
        'empty filter': run_filter(EmptyFilter()),
        'weigher': run_weigher(edge_weigher),
        'second weigher': run_weigher(edge_weigher, decided()),
        'trivial weigher': run_weigher(TrivialWeigher()),
        'all': run_all(ours),
        'stock': run_all(stock),
    }


def prepare_mapped(
    world: big_world.World, folder: pathlib.Path, map_file: pathlib.Path
) -> turns.Measures:
    """Prepare the filter with the figures of a map file."""
    options = {'edge_filters': {'map_files': map_file}}
    configure(folder, options, edge_filters=True)
    manager = big_hosts.manager(big_hosts.aggregates(world))
    hosts = big_hosts.host_states(world, manager)
    handler = filters.HostFilterHandler()
    one = latency_filter.EdgeLatencyFilter()
    return {
        'filter': _per_host(
            world,
            _requests(world),
            lambda spec: handler.get_filtered_objects([one], hosts, spec),
        )
    }


def _requests(world: big_world.World) -> Iterator[Any]:
    """Return requests, each from another origin than the one before."""
    for origin in itertools.cycle(range(world.origins)):
        yield big_hosts.request(
            {
                'edge:origin': [big_world.origin_name(origin)],
                'edge:max_rtt_ms': [_BUDGET_MS],
            },
            {_EXTRA_SPEC: 'true'},
        )


def _per_host(
    world: big_world.World, requests: Iterator[Any], serve: Any
) -> turns.Measure:
    """Return what measures microseconds per host; all hosts have to pass."""

    def measure() -> float:
        spec = next(requests)
        passing: list[Any] = []
        seconds = turns.cpu_s(lambda: passing.extend(serve(spec)))
        if len(passing) != world.host_count:
            raise AssertionError(f'{len(passing)} hosts pass')
        return seconds / world.host_count * 1e6

    return measure
