# SPDX-License-Identifier: Apache-2.0
"""HOW DOES IT JOIN ``openstack``? What OpenStackClient asks of a plugin.

There is no API of ours, and so no version to choose: the one there is names
the group of the commands in setup.cfg.
"""

import typing

from edge_filters import cloud

if typing.TYPE_CHECKING:
    import argparse

    from osc_lib import clientmanager

API_NAME = 'edge'
API_VERSION_OPTION = 'os_edge_api_version'
API_VERSIONS = ('1',)
DEFAULT_API_VERSION = '1'


def make_client(instance: 'clientmanager.ClientManager') -> cloud.Cloud:
    """Return what commands find as ``client_manager.edge``."""
    # Commands that can do without a cloud ask for it as late as this.
    instance._auth_required = True
    instance.setup_auth()
    return cloud.Cloud(instance.sdk_connection)


def build_option_parser(
    parser: 'argparse.ArgumentParser',
) -> 'argparse.ArgumentParser':
    """Add no global option."""
    return parser
