# SPDX-License-Identifier: Apache-2.0
"""WHAT DOES nova.conf SAY? The options of nova-scheduler, as operators set it.

Nova is not needed on the machine that ``openstack`` runs on: the few options
of Nova's own that matter are declared here, with the defaults they have there.
"""

import argparse
import collections.abc
import contextlib

from osc_lib import exceptions
from oslo_config import cfg

from edge_filters import conf
from edge_filters.osc import files

# As nova/conf/scheduler.py of Nova 34 has them.
_OF_NOVA = {
    'filter_scheduler': [
        cfg.MultiStrOpt(
            'available_filters', default=['nova.scheduler.filters.all_filters']
        ),
        cfg.ListOpt(
            'enabled_filters',
            default=[
                'ComputeFilter',
                'ComputeCapabilitiesFilter',
                'ImagePropertiesFilter',
                'ServerGroupAntiAffinityFilter',
                'ServerGroupAffinityFilter',
            ],
        ),
        cfg.ListOpt(
            'weight_classes', default=['nova.scheduler.weights.all_weighers']
        ),
        cfg.IntOpt('host_subset_size', default=1, min=1),
        cfg.BoolOpt('shuffle_best_same_weighed_hosts', default=False),
    ],
    'scheduler': [
        cfg.IntOpt('max_placement_results', default=1000, min=1),
    ],
}

# Whose options are known.
GROUPS = (conf.GROUP.name, *_OF_NOVA)


def add_config_file(
    parser: argparse.ArgumentParser,
    without: str = 'every option has its default',
) -> None:
    """Add the configuration of nova-scheduler.

    :param without: what there is without it, in words
    """
    parser.add_argument(
        '--config-file',
        metavar='<file>',
        action='append',
        default=[],
        dest='config_files',
        help=(
            'A copy of the nova.conf of nova-scheduler (repeat option for '
            'several, of which the last counts most); else ' + without
        ),
    )


def read(paths: collections.abc.Sequence[str] = ()) -> cfg.ConfigOpts:
    """Return the options that files set; no file: their defaults.

    :raises osc_lib.exceptions.CommandError: if a file cannot be read
    """
    options = cfg.ConfigOpts()
    conf.register_opts(options)
    for group, its in _OF_NOVA.items():
        options.register_opts(its, group=group)
    try:
        for path in paths:
            files.check(path)
        options([], default_config_files=list(paths), default_config_dirs=[])
    except (cfg.Error, OSError, ValueError) as error:
        raise _unreadable(paths, error) from None
    return options


def read_settings(paths: collections.abc.Sequence[str] = ()) -> conf.Settings:
    """Return the options of ours that files set; no file: their defaults.

    :raises osc_lib.exceptions.CommandError: if a file cannot be read
    """
    with _saying(paths):
        return conf.read(read(paths))


def read_enabled_filters(
    paths: collections.abc.Sequence[str],
) -> collections.abc.Sequence[str]:
    """Return the names of the filters that files enable.

    :raises osc_lib.exceptions.CommandError: if a file cannot be read
    """
    with _saying(paths):
        return list(read(paths).filter_scheduler.enabled_filters)


@contextlib.contextmanager
def _saying(
    paths: collections.abc.Sequence[str],
) -> collections.abc.Iterator[None]:
    """Say what cannot be read, where oslo.config raises."""
    try:
        yield
    except RecursionError:
        error = ValueError('an option refers to itself')
        raise _unreadable(paths, error) from None
    except (cfg.Error, ValueError) as error:
        raise _unreadable(paths, error) from None


def _unreadable(
    paths: collections.abc.Sequence[str], error: Exception
) -> exceptions.CommandError:
    told = getattr(error, 'strerror', None) or error
    why = ' '.join(str(told).split()).rstrip('.')
    return exceptions.CommandError(
        f'{", ".join(paths)} cannot be read: {why}; give --config-file the '
        'nova.conf that nova-scheduler starts with'
    )
