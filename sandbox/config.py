# SPDX-License-Identifier: Apache-2.0
"""The configuration files of the cloud, as its operator would write them."""

from collections.abc import Iterable
from collections.abc import Mapping
from importlib import metadata
import pathlib

from sandbox import databases

Options = Mapping[str, Mapping[str, object]]

TRANSPORT_URL = 'fake:/'
NOVA = 'http://nova.sandbox'
PLACEMENT = 'http://placement.sandbox'
GLANCE = 'http://glance.sandbox'
NEUTRON = 'http://neutron.sandbox'

_YEAR_S = 365 * 24 * 3600
# All hosts share the thread pools that a real host has for itself.
_CONCURRENT_TASKS = 50

_EDGE_FILTERS: Options = {
    'filter_scheduler': {
        'available_filters': [
            'nova.scheduler.filters.all_filters',
            'edge_filters.all_filters',
        ],
        'enabled_filters': ','.join(
            (
                'ComputeFilter',
                'ComputeCapabilitiesFilter',
                'ImagePropertiesFilter',
                'ServerGroupAntiAffinityFilter',
                'ServerGroupAffinityFilter',
                'EdgeSiteFilter',
                'EdgeLatencyFilter',
            )
        ),
        # Not repeated: unlike available_filters it is one list.
        'weight_classes': (
            'nova.scheduler.weights.all_weighers,edge_filters.all_weighers'
        ),
    }
}


class Files:
    """Where everything of one cloud lies."""

    def __init__(self, directory: pathlib.Path) -> None:
        self.directory = directory
        self.nova_conf = directory / 'nova.conf'
        self.placement_conf = directory / 'placement.conf'
        self.api_paste = directory / 'api-paste.ini'
        self.log = directory / 'nova.log'
        self.api_database = directory / 'nova_api.sqlite'
        self.database = directory / 'nova.sqlite'
        self.cell0_database = directory / 'nova_cell0.sqlite'
        self.placement_database = directory / 'placement.sqlite'


def write_nova_conf(
    files: Files, options: Options, *, edge_filters: bool
) -> None:
    layers = [_nova(files)]
    if edge_filters:
        layers.append(_EDGE_FILTERS)
    _write(files.nova_conf, *layers, options)


def write_placement_conf(files: Files) -> None:
    _write(
        files.placement_conf,
        {
            'api': {'auth_strategy': 'noauth2'},
            'placement_database': {
                'connection': databases.url(files.placement_database),
                'sqlite_synchronous': False,
                'sync_on_startup': True,
            },
        },
    )


def write_api_paste(files: Files) -> None:
    """Nova's own api-paste.ini with our identity in place of keystone's."""
    files.api_paste.write_text(
        _stock_api_paste()
        .read_text()
        .replace(
            'keystonemiddleware.auth_token:filter_factory',
            'sandbox.identity:filter_factory',
        )
    )


def _stock_api_paste() -> pathlib.Path:
    for file in metadata.files('nova') or ():
        if file.name == 'api-paste.ini':
            return pathlib.Path(str(file.locate()))
    raise RuntimeError('the installed nova has no api-paste.ini')


def _nova(files: Files) -> Options:
    return {
        'DEFAULT': {
            'host': 'controller',
            'compute_driver': 'sandbox.Driver',
            'transport_url': TRANSPORT_URL,
            'state_path': files.directory,
            'tempdir': files.directory,
            'log_file': files.log,
            'max_concurrent_builds': _CONCURRENT_TASKS,
            'max_concurrent_live_migrations': _CONCURRENT_TASKS,
            'max_concurrent_snapshots': _CONCURRENT_TASKS,
            'service_down_time': _YEAR_S,
        },
        'api_database': {
            'connection': databases.url(files.api_database),
            'sqlite_synchronous': False,
        },
        'database': {
            'connection': databases.url(files.database),
            'sqlite_synchronous': False,
        },
        'glance': {'endpoint_override': GLANCE},
        'neutron': {'endpoint_override': NEUTRON} | _credentials(NEUTRON),
        'oslo_concurrency': {'lock_path': files.directory / 'locks'},
        'placement': {'endpoint_override': PLACEMENT}
        | _credentials(PLACEMENT),
        'quota': {'driver': 'nova.quota.NoopQuotaDriver'},
    }


def _credentials(endpoint: str) -> dict[str, object]:
    return {'auth_type': 'admin_token', 'endpoint': endpoint, 'token': 'admin'}


def _write(path: pathlib.Path, *layers: Options) -> None:
    merged: dict[str, dict[str, object]] = {}
    for layer in layers:
        for group, options in layer.items():
            merged.setdefault(group, {}).update(options)
    path.write_text(
        '\n'.join(
            f'[{group}]\n'
            + ''.join(
                f'{name} = {value}\n'
                for name, values in options.items()
                for value in _repeated(values)
            )
            for group, options in merged.items()
        )
    )


def _repeated(value: object) -> Iterable[object]:
    """A list is an option given on several lines (oslo's MultiOpt)."""
    return value if isinstance(value, list) else [value]
