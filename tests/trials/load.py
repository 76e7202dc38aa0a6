# SPDX-License-Identifier: Apache-2.0
"""HOW IS A CLOUD KEPT BUSY? Calls at their times, each of them on record."""

import concurrent.futures
import dataclasses
import time
import typing

from keystoneauth1 import exceptions as ksa_exceptions
from openstack import exceptions as sdk_exceptions

from tests.cloud import base

# An administrator may say which host a server boots on, and hints are shown.
MICROVERSIONS = {'compute': '2.100', 'placement': '1.39'}
FLAVOR, IMAGE = 'm1.tiny', 'ubuntu'
_PATIENCE_S = 40


@dataclasses.dataclass(frozen=True)
class Call:
    """A call and its answer.

    :ivar sent: seconds since the epoch
    :ivar replied: the same, or when it was given up
    :ivar status: of HTTP; 0: no answer came
    :ivar body: the JSON of the answer, or what went wrong as a text
    """

    sent: float
    replied: float
    status: int
    body: typing.Any

    @property
    def is_done(self):
        """Whether the cloud says that it did what it was asked."""
        return 200 <= self.status < 300


class Cloud:
    """The cloud that is up, for any number of threads.

    :ivar sites: the IDs of the aggregates, by their names
    :ivar hosts: the names of their hosts, by the names of the aggregates
    """

    def __init__(self):
        self.openstack = base.connect(api_timeout=_PATIENCE_S)
        aggregates = list(self.openstack.compute.aggregates())
        self.sites = {it.name: it.id for it in aggregates}
        self.hosts = {it.name: list(it.hosts) for it in aggregates}
        compute = self.openstack.compute
        self._flavor = compute.find_flavor(FLAVOR, ignore_missing=False).id
        self._image = self.openstack.image.find_image(
            IMAGE, ignore_missing=False
        ).id
        # What the services can do is asked before threads ask it at once.
        self.call('GET', 'placement', '/resource_providers')

    def close(self):
        self.openstack.close()

    def call(self, method, service, path, body=None):
        """Call once, whatever comes of it.

        :returns: Call
        """
        sent = time.time()
        try:
            answer = getattr(self.openstack, service).request(
                path,
                method,
                json=body,
                microversion=MICROVERSIONS[service],
                connect_retries=0,
                raise_exc=False,
            )
        except (
            ksa_exceptions.ClientException,
            sdk_exceptions.SDKException,
            OSError,
        ) as error:
            status = getattr(error, 'http_status', None) or 0
            return Call(sent, time.time(), status, str(error))
        try:
            content = answer.json() if answer.content else None
        except ValueError:
            content = answer.text
        return Call(sent, time.time(), answer.status_code, content)

    def boot(self, name, hints):
        """Ask for a server.

        :param hints: of the scheduler, by their whole names
        :returns: Call; its body has the ID of the server
        """
        return self.call(
            'POST',
            'compute',
            '/servers',
            {
                'server': {
                    'name': name,
                    'flavorRef': self._flavor,
                    'imageRef': self._image,
                    'networks': 'none',
                },
                'OS-SCH-HNT:scheduler_hints': hints,
            },
        )

    def delete(self, server):
        return self.call('DELETE', 'compute', f'/servers/{server}')

    def set_metadata(self, site, /, **metadata):
        """Set metadata of a site's aggregate; None removes a key.

        :param metadata: by names without ``edge:``
        """
        return self.call(
            'POST',
            'compute',
            f'/os-aggregates/{self.sites[site]}/action',
            {
                'set_metadata': {
                    'metadata': {
                        f'edge:{name}': value
                        for name, value in metadata.items()
                    }
                }
            },
        )

    def servers(self):
        """Return all servers of all projects, as Nova's API has them.

        :raises OSError: if Nova does not answer
        """
        return self._listed('/servers/detail?')

    def names(self, status=''):
        """Return the names of servers by ID, which costs Nova less.

        :param status: the only ones; empty: all
        :raises OSError: if Nova does not answer
        """
        query = f'status={status}&' if status else ''
        return {
            it['id']: it['name'] for it in self._listed(f'/servers?{query}')
        }

    def _listed(self, path):
        call = self.call('GET', 'compute', f'{path}all_tenants=1&limit=1000')
        if not call.is_done:
            raise OSError(f'servers: {call.status} {call.body}')
        return call.body['servers']


def done(call):
    """Return a call that was done.

    :raises OSError: if it was not
    """
    if not call.is_done:
        raise OSError(f'{call.status}: {call.body}')
    return call


class Pace:
    """Work that begins at set times, whether what began before has ended.

    :param threads: how much of it may go on at once
    """

    def __init__(self, threads):
        self._pool = concurrent.futures.ThreadPoolExecutor(threads)

    def start(self, start_s, interval_s, tasks):
        """Begin a task each interval, in a thread of its own.

        :param start_s: when the first begins, by ``time.monotonic()``
        :returns: a future of each, in order
        """
        return [
            self._pool.submit(_at, start_s + number * interval_s, task)
            for number, task in enumerate(tasks)
        ]

    def close(self):
        self._pool.shutdown(cancel_futures=True)


def _at(when_s, task):
    sleep_until(when_s)
    return task()


def sleep_until(when_s):
    """Sleep until a time of ``time.monotonic()``."""
    time.sleep(max(0.0, when_s - time.monotonic()))
