# SPDX-License-Identifier: Apache-2.0
"""EVERY OPTION of the tests, in tempest.conf."""

from oslo_config import cfg

SERVICE_OPT = cfg.BoolOpt(
    'edge_filters',
    default=True,
    help='Whether the schedulers of the cloud have edge-filters enabled.',
)

GROUP = cfg.OptGroup('edge_filters', title='Tests of edge-filters')

OPTS = [
    cfg.ListOpt(
        'sites',
        default=[],
        help='Names of the sites that the tests use. Where it is empty they '
        'use every site that takes servers: every host aggregate that has '
        'edge:site, whose edge:status is unset or active, with a nova-compute '
        'that is enabled and up, and with no host that another site has as '
        'well. Name three or more to keep the tests away from the others.',
    ),
    cfg.BoolOpt(
        'disruptive',
        default=False,
        help='Whether to run the tests that other users of the cloud notice. '
        'They set edge:status of a site to draining and inactive for a while, '
        'and force the nova-compute of a host down in order to evacuate a '
        'server from it. Until they are done that site or host takes no '
        'servers.',
    ),
    cfg.BoolOpt(
        'api_middleware',
        default=False,
        help='Whether the api-paste.ini of nova-api has the filter of '
        'edge-filters, after keystonecontext in both pipelines. If it has, '
        'and this is not set, tests of edge:client_ip may fail: they do not '
        'wait until nova-api has read the prefixes.',
    ),
    cfg.BoolOpt(
        'forwarded_for',
        default=False,
        help='Whether nova-api records whom servers serve ([edge_filters] '
        'record_origin), and believes the X-Forwarded-For of the machine that '
        'the tests run on: its address is among [edge_filters] '
        'trusted_proxies. It needs api_middleware too.',
    ),
]
