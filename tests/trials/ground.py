# SPDX-License-Identifier: Apache-2.0
"""WHAT DOES A TRIAL STAND ON? Settings, sites and an agent made ready."""

import concurrent.futures
import pathlib
import time

from smallcloud import backing
from smallcloud import layout
from smallcloud import processes
from tests.cloud import base
from tests.trials import breakages
from tests.trials import load

# A service that has lost a call is given up this soon, not after a minute.
RPC_TIMEOUT_S = 15
SPARE = 'trials-spare'
MEASURED = 'measured'
_PATIENCE_S = 120
_NOVA_CONF = base.FOLDER / 'etc' / 'nova.conf'
_LINES = f"""
# tests/trials
[DEFAULT]
rpc_response_timeout = {RPC_TIMEOUT_S}
[edge_filters]
map_files = {breakages.MAP}
"""


def knows_budgets():
    """Whether edge-filters is enabled in the cloud that is up."""
    return 'EdgeLatencyFilter' in _NOVA_CONF.read_text()


def prepare(services):
    """Have the services ready for trials; it does nothing if they are.

    :returns: load.Cloud
    """
    breakages.write_map()
    if _LINES not in _NOVA_CONF.read_text():
        with _NOVA_CONF.open('a') as conf:
            conf.write(_LINES)
        _restart_nova(services)
    cloud = load.Cloud()
    _make_spare_site(cloud)
    if breakages.AGENT not in services.names():
        _start_agent(services, cloud)
    return cloud


def _restart_nova(services):
    names = [it for it in services.names() if it.startswith('nova-')]
    with concurrent.futures.ThreadPoolExecutor(len(names)) as pool:
        list(pool.map(services.kill, names))
    for name in names:
        services.restart(name)
    deadline = time.monotonic() + _PATIENCE_S
    while not backing.answers(layout.Port.COMPUTE):
        if time.monotonic() > deadline:
            raise OSError(f'nova-api does not answer after {_PATIENCE_S} s')
        time.sleep(0.2)
    # The schedulers come up beside it; the first boots wait for the rest.
    time.sleep(10)


def _make_spare_site(cloud):
    """Make the host without a site one, whose figure changes only once.

    Whoever was interrupted in the middle of it may have left a part of it.

    :raises OSError: if it cannot be made
    """
    if SPARE not in cloud.sites:
        made = cloud.call(
            'POST', 'compute', '/os-aggregates', {'aggregate': {'name': SPARE}}
        )
        cloud.sites[SPARE] = load.done(made).body['aggregate']['id']
        cloud.hosts[SPARE] = []
    if layout.SPARE_HOST not in cloud.hosts[SPARE]:
        path = f'/os-aggregates/{cloud.sites[SPARE]}/action'
        host = {'add_host': {'host': layout.SPARE_HOST}}
        load.done(cloud.call('POST', 'compute', path, host))
        cloud.hosts[SPARE] = [layout.SPARE_HOST]
    load.done(cloud.set_metadata(SPARE, site=SPARE))


def _start_agent(services, cloud):
    """Start an agent at the site that suffers; its beacon is Keystone."""
    environment = next(
        pathlib.Path(line.partition('PATH=')[2].partition(':')[0])
        for line in (base.FOLDER / 'openrc').read_text().splitlines()
        if line.startswith('export PATH=')
    )
    conf = base.FOLDER / 'etc' / f'{breakages.AGENT}.conf'
    conf.touch(mode=0o600)
    auth = cloud.openstack.config.get_auth_args()
    conf.write_text(
        '[edge_latency_agent]\n'
        f'site = {breakages.SITE}\n'
        f'origin = {MEASURED} tcp://{layout.ADDRESS}:'
        f'{layout.Port.IDENTITY.value}\n'
        'interval = 10\n'
        'probes = 5\n'
        'probe_timeout = 1\n'
        'max_api_calls_per_second = 1\n'
        '[nova]\n'
        'auth_type = password\n'
        + ''.join(f'{name} = {value}\n' for name, value in auth.items())
    )
    services.start(
        processes.Service(
            breakages.AGENT,
            (
                str(environment / breakages.AGENT),
                f'--config-file={conf}',
            ),
        )
    )
