# SPDX-License-Identifier: Apache-2.0
"""EVERY OPTION: the group ``[edge_filters]`` of Nova's configuration."""

import collections.abc
import dataclasses
import typing

from oslo_config import cfg
from oslo_config import types

from edge_filters import spelling
from edge_filters.conf import number

GROUP = cfg.OptGroup(
    name='edge_filters',
    title='Placement of servers at the edge site closest to their users',
)


class _Prefix(types.ConfigType):
    """An address or a prefix."""

    def __call__(self, value: typing.Any) -> spelling.Network:
        try:
            return spelling.parse_network(str(value))
        except ValueError as error:
            raise ValueError(
                f'{spelling.shown(str(value))} {error} such as 192.0.2.0/24'
            ) from None

    def _formatter(self, value: typing.Any) -> str:
        return str(value)


OPTIONS = [
    cfg.StrOpt(
        'mode',
        default='enforce',
        choices=[
            ('off', 'Decide nothing, as if the classes were not enabled'),
            ('observe', 'Decide and log, and change nothing'),
            ('enforce', 'Decide, log, and place servers accordingly'),
        ],
        help="""
What edge-filters does with its decisions.

To try edge-filters out on a cloud in production, enable its classes with
``observe``. Every request that says something about the edge then gets its
line of INFO, with what would have been decided; servers are placed exactly as
before. Read the lines for a day, then change to ``enforce``.

Related options:

* ``[filter_scheduler] enabled_filters``
* ``[filter_scheduler] weight_classes``
""",
    ),
    cfg.StrOpt(
        'fallback',
        default='none',
        choices=[
            ('none', 'The server is refused, moves too'),
            ('moves', 'Boots are refused, moves take the nearest host'),
            ('nearest', 'Boots and moves take the nearest host'),
        ],
        help="""
What happens where no candidate host meets the budget of a server.

It holds for servers whose hints and flavor have no ``edge:fallback``. With
``moves`` an evacuation or migration is not refused because the site of a
server is gone: it goes to the nearest host that is known. A host that nobody
has measured, or that is unreachable, is never the nearest.

It decides on the hosts that the filters before it have left. Let ours be the
last, or a site that is down counts as one that meets the budget.

Related options:

* ``[edge_filters] max_age``
* ``[filter_scheduler] enabled_filters``
""",
    ),
    cfg.Opt(
        'edge_latency_weight_multiplier',
        type=number.Finite(min=0, max=10**9),
        default=1500.0,
        help="""
Edge latency weight multiplier ratio.

How strongly ``EdgeLatencyWeigher`` pulls a server towards the site that is
closest to its origin. One millisecond of RTT is worth this number divided by
``rtt_horizon_ms``: 5 points with the defaults. The other weighers of Nova
together can differ by about 4.9 points between two hosts, so that with the
defaults one millisecond beyond ``rtt_band_ms`` outweighs all of them, while
build failures and moves between cells (1,000,000 points each) still win.

A negative number would prefer the farthest site and is refused.

Possible values:

* 0: the weigher has no influence, and what Placement is asked for is not
  narrowed to the nearest sites.
* A number up to 1,000,000,000: the multiplier of the weigher.

Related options:

* ``[edge_filters] rtt_horizon_ms``
* ``[filter_scheduler] weight_classes``
""",
    ),
    cfg.Opt(
        'rtt_horizon_ms',
        type=number.Finite(min=10, max=60000),
        default=300.0,
        help="""
RTT in milliseconds beyond which all sites are equally far.

The score of a host falls linearly from 1 at 0 ms to 0 at this RTT. Known
RTTs at or beyond it all score as one millisecond below it, so that a host
without a figure, which scores 0, never ranks above a measured one. A larger
horizon tells far sites apart, and makes each millisecond worth less.

Possible values:

* A number from 10 to 60000.

Related options:

* ``[edge_filters] edge_latency_weight_multiplier``
* ``[edge_filters] rtt_band_ms``: has to be smaller
""",
    ),
    cfg.Opt(
        'rtt_band_ms',
        type=number.Finite(min=0, max=60000),
        default=2.0,
        help="""
RTT in milliseconds within which sites count as equally near.

Hosts whose RTT exceeds that of the nearest candidate by no more than this tie
with it, so that the other weighers (CPU, RAM, ...) decide among them. Without
a band, noise in the measurements would decide.

Possible values:

* 0: the smallest difference in RTT decides.
* A positive number, smaller than ``rtt_horizon_ms``.

Related options:

* ``[edge_filters] rtt_horizon_ms``
""",
    ),
    cfg.Opt(
        'max_age',
        type=number.Finite(min=1),
        default=2400.0,
        help="""
Age in seconds beyond which a measured figure is stale.

The age of a figure is told by its ``at=``; a figure that was written by hand
without one does not age. For a request with a budget a stale figure is
unmeasured. Without a budget the last figure still orders the sites. A figure
whose ``at=`` lies more than a minute in the future is stale as well, because
nobody can tell its age.

Possible values:

* A positive number of seconds: two to three times the longest interval at
  which figures are published.

Related options:

* ``[edge_filters] fallback``: what happens where all figures are stale
""",
    ),
    cfg.Opt(
        'access_rtt_ms',
        type=number.Finite(min=0, max=60000),
        default=5.0,
        help="""
RTT in milliseconds between users and the site they are attached to.

It is the part of an estimated RTT that is the same for every site: the access
network. The estimate for users attached to one site (``edge:prefixes``) to
another is this plus ``edge:site_rtt``; by distance it is this plus
``estimate_ms_per_km`` for each kilometre.

Possible values:

* A number from 0 to 60000: 5 suits fibre, cellular networks have 10 to 30.

Related options:

* ``[edge_filters] estimate_ms_per_km``
""",
    ),
    cfg.Opt(
        'estimate_ms_per_km',
        type=number.Finite(min=0, max=1),
        default=0.027,
        help="""
RTT in milliseconds that one kilometre of great circle is taken to cost.

It makes an RTT of a distance where users tell their position (``edge:near``)
and sites have theirs (``edge:latitude``, ``edge:longitude``). Light in fibre
alone takes 0.01 ms per km there and back; networks do not follow great
circles. The default is the median over the 69 pairs of Azure regions that are
300 to 1000 km apart, from Azure's published round-trip times; over all pairs
it is 0.017.

Possible values:

* A number from 0 to 1.

Related options:

* ``[edge_filters] access_rtt_ms``
""",
    ),
    cfg.BoolOpt(
        'request_filter',
        default=True,
        help="""
Whether Placement is asked for the sites that can serve a request.

Placement returns at most ``[scheduler] max_placement_results`` candidates, in
an order that knows nothing of latency: in a cloud of more hosts the nearest
site may never reach a filter. So a request that has a budget, or names sites
or tiers, is narrowed to the sites that can serve it, and any other that tells
where its users are to the sites nearest to them. And a request that no site
can serve is refused with a reason that its user can read.

Placement knows which host is at which site from the aggregates that Nova
mirrors there. ``nova-manage placement sync_aggregates`` mends a mirror that
has gaps.

Possible values:

* True: queries are narrowed.
* False: Placement is asked as without edge-filters. The filters and the
  weigher still do what they do.

Related options:

* ``[edge_filters] request_filter_min_hosts``
* ``[edge_filters] refusal_details``
* ``[edge_filters] mode``: with anything but ``enforce`` nothing is narrowed
* ``[scheduler] max_placement_results``
""",
    ),
    cfg.Opt(
        'request_filter_min_hosts',
        type=number.Whole(min=1, max=10000),
        default=200,
        help="""
On how many hosts Placement must have candidates for a query to be narrowed.

Where a query is narrowed to the sites nearest to the users of a server, as
many sites are taken as it needs for this many hosts, or for ten times the
number of servers, if that is more: the filters that come later may refuse
some. Where it would take more than two queries to find so many, it is not
narrowed.

Possible values:

* A number of hosts. More than half of ``max_placement_results`` counts as
  that: Placement would leave out some of the sites that are asked for. Where
  the sites that fit into one query are too small for so many, ten for each
  server are enough.

Related options:

* ``[edge_filters] request_filter``
* ``[scheduler] max_placement_results``
""",
    ),
    cfg.StrOpt(
        'refusal_details',
        default='figures',
        choices=[
            ('none', 'What was asked for, and nothing of the sites'),
            ('figures', 'How far the nearest site is, without its name'),
            ('names', 'The names of sites, too'),
        ],
        help="""
What users may read of sites where a server is refused.

The reason of a refusal is in the fault of the server, which its user sees.
Whoever may boot servers can learn RTTs by asking for ever smaller budgets,
whatever this says.

The log of nova-scheduler has the names and the figures in any case.

Related options:

* ``[edge_filters] request_filter``: without it users see no reason
""",
    ),
    cfg.ListOpt(
        'map_files',
        default=[],
        help="""
Files that tell which prefixes and figures belong to which origin.

They add to what the sites' aggregates say, for what is too much for
aggregates: ALTO network maps (prefix to origin) and cost maps (RFC 7285, with
the metrics of RFC 9439), and the table of projects and their origins. A file
is read again when it changes; while the new one cannot be read, the old one
counts. nova-scheduler and nova-api need the same files.

Possible values:

* Nothing: the aggregates are all there is.
* Paths, separated by commas.

Related options:

* ``[edge_filters] record_origin``
""",
    ),
    cfg.BoolOpt(
        'record_origin',
        default=False,
        help="""
Whether nova-api keeps whom a server serves, where its user does not tell.

The address of the caller is resolved to an origin, which becomes the hint
``edge:origin`` of the server, unless the user gave ``edge:origin``,
``edge:client_ip`` or ``edge:near``. An ``edge:client_ip`` becomes the origin
that it belongs to. So Nova keeps the origin with the server, and not an
address, and every later move knows whom the server serves. As a hint it
counts before the flavor and the table of projects.

A portal or another service that calls nova-api is the caller, if it does not
tell for whom it calls: let it send ``edge:client_ip`` or ``edge:origin``.

It needs the filter of ``edge_filters`` in nova-api's ``api-paste.ini``.

Possible values:

* False: what users give is checked, and kept as they gave it.
* True: origins are kept.

Related options:

* ``[edge_filters] trusted_proxies``
* ``[edge_filters] map_files``
* ``[edge_filters] mode``: with ``observe`` nothing is kept, only logged
""",
    ),
    cfg.ListOpt(
        'trusted_proxies',
        item_type=_Prefix('prefix'),
        default=[],
        help="""
Where the proxies in front of nova-api are: those whose headers are believed.

Each has to append the address of its client to ``X-Forwarded-For`` or
``Forwarded``, or to overwrite the header, and to drop headers with underscores
in their names. The hops are followed from the nearest on, and the first that
is not here is the caller. So a user whose address is here is not known: give
the addresses of the proxies, rather than networks that others are in too.

Possible values:

* Nothing: headers are not believed; who has the connection is the caller.
* Addresses and prefixes, separated by commas, such as
  ``192.0.2.10,2001:db8:1::/64``.

Related options:

* ``[edge_filters] record_origin``
* ``[oslo_middleware] enable_proxy_headers_parsing``: where it is on, the
  filter ``edge_filters_peer`` is needed too
""",
    ),
]


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Make ``conf.edge_filters`` known to ``conf``."""
    # Of its own: what is set in a group, and in its copies, it shares.
    conf.register_group(cfg.OptGroup(GROUP.name, GROUP.title))
    conf.register_opts(OPTIONS, group=GROUP.name)


def list_opts() -> collections.abc.Iterable[
    tuple[cfg.OptGroup, list[cfg.Opt]]
]:
    """Return the options, as oslo-config-generator asks for them."""
    return [(GROUP, OPTIONS)]


@dataclasses.dataclass(frozen=True, slots=True)
class Settings:
    """The values of the options, for code that knows no configuration."""

    mode: str
    fallback: str
    edge_latency_weight_multiplier: float
    rtt_horizon_ms: float
    rtt_band_ms: float
    max_age_s: float
    access_rtt_ms: float
    estimate_ms_per_km: float
    request_filter: bool
    request_filter_min_hosts: int
    refusal_details: str
    map_files: tuple[str, ...]
    record_origin: bool
    trusted_proxies: tuple[spelling.Network, ...]


def read(conf: cfg.ConfigOpts) -> Settings:
    """Return the values of all options.

    :raises ValueError: if one of them cannot be; the message names it
    """
    group = conf.edge_filters
    if group.rtt_band_ms >= group.rtt_horizon_ms:
        raise ValueError(
            f'[edge_filters] rtt_band_ms = {group.rtt_band_ms:g} has to be '
            f'smaller than rtt_horizon_ms = {group.rtt_horizon_ms:g}'
        )
    return Settings(
        mode=group.mode,
        fallback=group.fallback,
        edge_latency_weight_multiplier=group.edge_latency_weight_multiplier,
        rtt_horizon_ms=group.rtt_horizon_ms,
        rtt_band_ms=group.rtt_band_ms,
        max_age_s=group.max_age,
        access_rtt_ms=group.access_rtt_ms,
        estimate_ms_per_km=group.estimate_ms_per_km,
        request_filter=group.request_filter,
        request_filter_min_hosts=group.request_filter_min_hosts,
        refusal_details=group.refusal_details,
        map_files=tuple(group.map_files),
        record_origin=group.record_origin,
        trusted_proxies=tuple(group.trusted_proxies),
    )
