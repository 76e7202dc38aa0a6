# SPDX-License-Identifier: Apache-2.0
"""EVERY OPTION of the agent: the group ``[edge_latency_agent]``.

Beside it the agent's configuration has ``[edge_filters] max_age``, and in
``[nova]`` how to reach Nova, in the words of keystoneauth.
"""

import collections.abc
import copy
import dataclasses
import re
import socket

from keystoneauth1 import loading
from oslo_config import cfg
from oslo_config import types

from edge_filters import conf
from edge_filters import spelling
from edge_filters.conf import number

GROUP = cfg.OptGroup(
    name='edge_latency_agent',
    title='Measurement of the latency between origins and sites',
)

# Where the agent is told how to reach Nova.
NOVA = cfg.OptGroup(name='nova', title='How to reach Nova')

# Nova may be as slow as this; without a limit an agent would wait forever.
_API_TIMEOUT_S = 60

# How many calls there has to be time for in a keep-alive.
_CALLS = 20

_HOST = re.compile(r'[a-zA-Z0-9_.\-]{1,255}')

OPTIONS = [
    cfg.StrOpt(
        'name',
        default=None,
        sample_default='<the name of this host>',
        help="""
Name of this agent, which is written beside its figures.

An agent leaves a fresh figure of another agent alone. By its name it knows its
own after it was restarted: give it one where the name of its host changes, as
in containers.

Possible values:

* 1 to 64 of the letters a-z, digits and ``-_:.``, unlike that of any other
  agent.
""",
    ),
    cfg.StrOpt(
        'site',
        default=None,
        help="""
Site that this agent is at, and measures from.

It is needed where there are beacons to measure; an agent that only reads
Prometheus is at no site.

Related options:

* ``[edge_latency_agent] origin``
* ``[edge_latency_agent] to_site``
""",
    ),
    cfg.StrOpt(
        'host',
        default=None,
        help="""
Host of Nova that this agent is at: its name in ``openstack compute service
list``.

Where another agent speaks for the site, what differs from its figures by more
than the hysteresis is written for this host alone.

Possible values:

* Nothing: this agent speaks for its site only.
* The name of a host of the site.
""",
    ),
    cfg.MultiStrOpt(
        'origin',
        default=[],
        help="""
An origin and its beacons: whom to measure the RTT to, in its place.

The option is repeated, once for each origin. A beacon is an address or a name
that answers pings, or ``tcp://HOST:PORT``, where the time of a TCP handshake
is taken. An IPv6 address with a port has brackets: ``tcp://[2001:db8::1]:443``.
The figure of an origin is that of all its beacons that answer.

Possible values:

* The name of the origin and one beacon or more, separated by spaces, such as
  ``paris 192.0.2.1 2001:db8::1 tcp://beacon.example:443``.
""",
    ),
    cfg.MultiStrOpt(
        'to_site',
        default=[],
        help="""
Another site and its beacons, written as those of an origin.

The figures become ``edge:site_rtt:<site>``: from them the RTT of the users
attached to one site to another is estimated.
""",
    ),
    cfg.Opt(
        'interval',
        type=number.Finite(min=1, max=86400),
        default=60.0,
        help="""
Seconds from one measurement to the next.

The probes of a beacon are spread over the interval. A change is published
within two intervals.

Related options:

* ``[edge_latency_agent] probes``
* ``[edge_filters] max_age``: has to be at least three times as long
""",
    ),
    cfg.Opt(
        'probes',
        type=number.Whole(min=1, max=1000),
        default=10,
        help="""
How many probes go to each beacon in an interval.

A figure is made of as many. Loss is counted over more: a loss of 0.1 percent
counts for a budget from 3000 probes on, which takes 300 intervals with the
default.

Related options:

* ``[edge_latency_agent] max_probes_per_second``
""",
    ),
    cfg.Opt(
        'probe_timeout',
        type=number.Finite(min=0.05, max=60),
        default=2.0,
        help="""
Seconds after which a probe without an answer is lost.
""",
    ),
    cfg.Opt(
        'max_probes_per_second',
        type=number.Finite(min=0.1, max=10000),
        default=200.0,
        help="""
How many probes are sent in a second, to all beacons together.

Where that is too few for ``probes`` in an ``interval``, a measurement takes
longer than an interval, and the log says so.
""",
    ),
    cfg.StrOpt(
        'statistic',
        default='median',
        choices=[
            ('median', 'Half of the probes are faster'),
            ('p95', '95 percent of the probes are faster'),
            ('min', 'The fastest: the path without its queues'),
        ],
        help="""
Which RTT of the probes of an interval is published.

It does not change what Prometheus is asked for: there the query says it.
""",
    ),
    cfg.URIOpt(
        'prometheus_url',
        schemes=['http', 'https'],
        default=None,
        secret=True,
        help="""
Prometheus that scrapes the sites, such as ``http://127.0.0.1:9090``.

Its series have to have the labels ``site`` and ``origin``, or ``site`` and
``to_site`` for the RTT between two sites; relabelling gives them to series of
blackbox_exporter and smokeping_prober. So one agent beside the control plane
publishes for all sites, and no site has credentials of OpenStack.

Possible values:

* Nothing: only beacons are measured.
* A URL; with a user and a password where it asks for them.

Related options:

* ``[edge_latency_agent] prometheus_rtt_query``
* ``[edge_latency_agent] prometheus_loss_query``
""",
    ),
    cfg.StrOpt(
        'prometheus_cafile',
        default=None,
        help="""
File with the certificates of those who may vouch for Prometheus.
""",
    ),
    cfg.Opt(
        'prometheus_timeout',
        type=number.Finite(min=0.1, max=3600),
        default=30.0,
        help="""
Seconds that Prometheus has for the whole answer to a query.
""",
    ),
    cfg.StrOpt(
        'prometheus_rtt_query',
        default='quantile_over_time(0.5,'
        ' (probe_icmp_duration_seconds{phase="rtt"} > 0)[1m:15s])',
        help="""
Query for RTTs, in seconds.

The default suits the ICMP prober of blackbox_exporter, scraped every 15 s: it
says 0 where no answer came, which a query has to leave out. For
smokeping_prober: ``histogram_quantile(0.5, sum by (site, origin, to_site, le)
(rate(smokeping_response_duration_seconds_bucket[1m])))``.
""",
    ),
    cfg.StrOpt(
        'prometheus_jitter_query',
        default='quantile_over_time(0.95,'
        ' (probe_icmp_duration_seconds{phase="rtt"} > 0)[5m:15s])'
        ' - min_over_time('
        '(probe_icmp_duration_seconds{phase="rtt"} > 0)[5m:15s])',
        help="""
Query for jitter, in seconds; nothing: jitter is not published.

The default is the packet delay variation of RFC 5481: what 95 percent of the
probes stay within, above the fastest.
""",
    ),
    cfg.StrOpt(
        'prometheus_loss_query',
        default='1 - avg_over_time(probe_success[5m])'
        ' * max_over_time(probe_success[1m])',
        help="""
Query for the share of probes that are lost, 0 to 1; nothing: loss is not
published, and no site is ever unreachable.

The default says 1 as soon as no probe of a whole minute is answered: 5 minutes
would hide a link that is cut.
""",
    ),
    cfg.StrOpt(
        'prometheus_count_query',
        default='count_over_time(probe_success[5m])',
        help="""
Query for how many probes the loss was measured with; nothing: no budget for
loss is ever met.
""",
    ),
    cfg.StrOpt(
        'prometheus_time_query',
        default='max_over_time(timestamp(probe_success)[1m:15s])',
        help="""
Query for when the figures were measured, in seconds since the epoch; nothing:
they count as measured when Prometheus is asked.
""",
    ),
    cfg.Opt(
        'hysteresis_ms',
        type=number.Finite(min=0, max=60000),
        default=1.0,
        help="""
Milliseconds that an RTT has to change by to be published at once.

It has to change by ``hysteresis_pct``, too.

Related options:

* ``[edge_latency_agent] keep_alive``: when it is published anyway
""",
    ),
    cfg.Opt(
        'hysteresis_pct',
        type=number.Finite(min=0, max=100),
        default=10.0,
        help="""
Percent that an RTT has to change by to be published at once.

It has to change by ``hysteresis_ms``, too.
""",
    ),
    cfg.Opt(
        'keep_alive',
        type=number.Finite(min=1, max=86400),
        default=1000.0,
        help="""
Age in seconds at which a figure is published again though it did not change.

A fresh figure of another agent is left alone until it is half as old again.

Related options:

* ``[edge_filters] max_age``: has to be at least twice as long
""",
    ),
    cfg.Opt(
        'nearest_sites',
        type=number.Whole(min=1, max=10000),
        default=64,
        help="""
How many sites, the nearest, publish a figure to an origin.

Of the other sites ``edge:rtt_default`` says what those origins are farther
than. Nova loads an aggregate as hosts x keys rows: more sites make it slow.
""",
    ),
    cfg.Opt(
        'aggregate',
        type=types.Integer(min=1),
        default=None,
        help="""
ID of the aggregate of this agent's site, where it may see no other.

Which sites are nearest to an origin it does not know then: the 64 nearest
origins of its site are published.

Possible values:

* Nothing: the agent lists the aggregates, and finds the sites by
  ``edge:site``.
* An ID, as ``openstack aggregate list`` has it.

Related options:

* ``[edge_latency_agent] site``
""",
    ),
    cfg.Opt(
        'max_api_calls_per_second',
        type=number.Finite(min=0.01, max=100),
        default=2.0,
        help="""
How many calls to Nova's API are made in a second, at most.

Each tells every scheduler of one aggregate. What has to wait is published with
the figures that are known by then.
""",
    ),
    cfg.HostAddressOpt(
        'metrics_address',
        default='127.0.0.1',
        help="""
Address that the metrics for Prometheus are at.
""",
    ),
    cfg.PortOpt(
        'metrics_port',
        default=9723,
        help="""
Port that the metrics for Prometheus are at; 0: there are none.
""",
    ),
]


def register_opts(config: cfg.ConfigOpts) -> None:
    """Make all options of the agent known to a configuration."""
    conf.register_opts(config)
    config.register_group(cfg.OptGroup(GROUP.name, GROUP.title))
    config.register_opts(OPTIONS, group=GROUP.name)
    for register in (
        loading.register_auth_conf_options,
        loading.register_session_conf_options,
        loading.register_adapter_conf_options,
    ):
        register(config, NOVA.name)
    config.set_default('timeout', _API_TIMEOUT_S, NOVA.name)


def list_opts() -> collections.abc.Iterable[
    tuple[cfg.OptGroup, list[cfg.Opt]]
]:
    """Return the options, as oslo-config-generator asks for them."""
    max_age = [it for it in conf.OPTIONS if it.name == 'max_age']
    nova = copy.deepcopy(
        [
            *loading.get_auth_common_conf_options(),
            *loading.get_auth_plugin_conf_options('v3applicationcredential'),
            *loading.get_session_conf_options(),
            *loading.get_adapter_conf_options(),
        ]
    )
    cfg.set_defaults(nova, timeout=_API_TIMEOUT_S)
    return [(GROUP, OPTIONS), (conf.GROUP, max_age), (NOVA, nova)]


@dataclasses.dataclass(frozen=True, slots=True)
class Settings:
    """The values of the options, for code that knows no configuration."""

    name: str
    site: str
    host: str
    origin: tuple[str, ...]
    to_site: tuple[str, ...]
    interval_s: float
    probes: int
    probe_timeout_s: float
    max_probes_per_second: float
    statistic: str
    prometheus_url: str
    prometheus_cafile: str
    prometheus_timeout_s: float
    prometheus_rtt_query: str
    prometheus_jitter_query: str
    prometheus_loss_query: str
    prometheus_count_query: str
    prometheus_time_query: str
    hysteresis_ms: float
    hysteresis_pct: float
    keep_alive_s: float
    nearest_sites: int
    aggregate: int | None
    max_api_calls_per_second: float
    metrics_address: str
    metrics_port: int
    max_age_s: float


def read(config: cfg.ConfigOpts) -> Settings:
    """Return the values of all options.

    :raises ValueError: if one of them cannot be; the message names it
    """
    group = config.edge_latency_agent
    max_age_s = config.edge_filters.max_age
    _check(
        group.probe_timeout < group.interval,
        'probe_timeout has to be shorter than interval',
    )
    _check(
        3 * group.interval <= max_age_s,
        f'interval has to be at most a third of [edge_filters] max_age = '
        f'{max_age_s:g}: figures would go stale',
    )
    _check(
        group.keep_alive * group.max_api_calls_per_second >= _CALLS,
        f'keep_alive times max_api_calls_per_second has to be at least '
        f'{_CALLS}: aggregates are read, too',
    )
    _check(
        bool(group.prometheus_rtt_query.strip() or not group.prometheus_url),
        'prometheus_rtt_query is empty, and prometheus_url is set: nothing '
        'would be measured',
    )
    _check(
        (config.nova.timeout or 0) > 0,
        f'needs a [{NOVA.name}] timeout of more than 0',
    )
    _check(
        not group.host or _HOST.fullmatch(group.host.strip()) is not None,
        f'host = {spelling.shown(group.host)} is not the name of a host',
    )
    _check(
        2 * group.keep_alive <= max_age_s,
        f'keep_alive has to be at most half of [edge_filters] max_age = '
        f'{max_age_s:g}: figures would go stale',
    )
    _check(
        bool(group.origin or group.to_site or group.prometheus_url),
        'there is nothing to measure: set prometheus_url, or site and origin',
    )
    needs_site = group.origin or group.to_site or group.aggregate
    _check(
        bool(group.site or not needs_site),
        'origin, to_site and aggregate need site: where this agent is',
    )
    return Settings(
        name=_name('name', group.name or socket.gethostname()[:64]),
        site=_name('site', group.site) if group.site else '',
        host=(group.host or '').strip().lower(),
        origin=tuple(group.origin),
        to_site=tuple(group.to_site),
        interval_s=group.interval,
        probes=group.probes,
        probe_timeout_s=group.probe_timeout,
        max_probes_per_second=group.max_probes_per_second,
        statistic=group.statistic,
        prometheus_url=group.prometheus_url or '',
        prometheus_cafile=group.prometheus_cafile or '',
        prometheus_timeout_s=group.prometheus_timeout,
        prometheus_rtt_query=group.prometheus_rtt_query,
        prometheus_jitter_query=group.prometheus_jitter_query,
        prometheus_loss_query=group.prometheus_loss_query,
        prometheus_count_query=group.prometheus_count_query,
        prometheus_time_query=group.prometheus_time_query,
        hysteresis_ms=group.hysteresis_ms,
        hysteresis_pct=group.hysteresis_pct,
        keep_alive_s=group.keep_alive,
        nearest_sites=group.nearest_sites,
        aggregate=group.aggregate,
        max_api_calls_per_second=group.max_api_calls_per_second,
        metrics_address=group.metrics_address,
        metrics_port=group.metrics_port,
        max_age_s=max_age_s,
    )


def _check(is_so: bool, otherwise: str) -> None:
    if not is_so:
        raise ValueError(f'[{GROUP.name}] {otherwise}')


def _name(option: str, text: str) -> str:
    try:
        return spelling.parse_name(text)
    except ValueError as error:
        raise ValueError(
            f'[{GROUP.name}] {option} = {spelling.shown(text)} {error}'
        ) from None
