# SPDX-License-Identifier: Apache-2.0
"""The cloud that ``tools/cloud up`` has started, seen from outside."""

from importlib import metadata
import os
import pathlib
import re
import sys

import openstack
from oslotest import base

FOLDER = pathlib.Path(__file__).parents[2] / '.cloud'
LOGS = FOLDER / 'logs'

# oslo.log begins a line with date, time and process ID.
_DECISION = re.compile(
    r'^\S+ \S+ (\d+) .* Edge decision .* for server ([0-9a-f-]+)'
)


def workers_by_server():
    """Return which worker decided, as (scheduler, process ID), by server."""
    decided = {}
    for log in LOGS.glob('nova-scheduler-*.log'):
        for line in log.read_text(errors='replace').splitlines():
            if match := _DECISION.match(line):
                decided[match[2]] = (log.stem, int(match[1]))
    return decided


def environment(user='admin'):
    """Return the environment variables of a user of the cloud.

    :param user: a cloud of ``clouds.yaml``
    """
    # Those of another cloud would win over what clouds.yaml says.
    ours = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith('OS_')
    }
    programs = pathlib.Path(sys.executable).parent
    return {
        **ours,
        'OS_CLIENT_CONFIG_FILE': str(FOLDER / 'clouds.yaml'),
        'OS_CLOUD': user,
        'PATH': f'{programs}:{os.environ["PATH"]}',
    }


def connect(user='admin', **options):
    """Return a connection to the cloud.

    :param user: a cloud of ``clouds.yaml``
    :param options: more than ``clouds.yaml`` says of it
    :raises AssertionError: if there is none
    """
    release = metadata.version('nova').partition('.')[0]
    openrc = FOLDER / 'openrc'
    if not openrc.exists() or f'nova-{release}' not in openrc.read_text():
        # Its message bus carries the objects of one release.
        raise AssertionError(f'No Nova {release} is up: tools/cloud up')
    return openstack.connection.from_config(
        cloud=user,
        options=None,
        load_yaml_config=True,
        config=openstack.config.OpenStackConfig(
            config_files=[str(FOLDER / 'clouds.yaml')]
        ).get_one(user, **options),
    )


class TestCase(base.BaseTestCase):
    """A test whose docstring is the rule it holds."""

    def setUp(self):
        super().setUp()
        self.openstack = connect()
        self.addCleanup(self.openstack.close)

    def set_metadata(self, site, **metadata):
        """Set metadata of a site's aggregate; None deletes a key."""
        aggregate = self.openstack.compute.find_aggregate(site)
        self.openstack.compute.set_aggregate_metadata(
            aggregate,
            {f'edge:{key}': value for key, value in metadata.items()},
        )

    def boot(self, hints):
        """Return the host that a server comes to, or why it does not.

        :raises openstack.exceptions.HttpException: nova-api refuses it
        """
        compute = self.openstack.compute
        server = compute.create_server(
            name='whither',
            flavor_id=compute.find_flavor('m1.tiny').id,
            image_id=self.openstack.image.find_image('ubuntu').id,
            networks='none',
            scheduler_hints=hints,
        )
        try:
            return compute.wait_for_server(server, interval=0.2).compute_host
        except openstack.exceptions.ResourceFailure:
            return compute.get_server(server).fault['message']
        finally:
            compute.delete_server(server)
            compute.wait_for_delete(server, interval=0.2)
