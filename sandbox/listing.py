# SPDX-License-Identifier: Apache-2.0
"""WHAT DOES NOVA'S API LIST? A big world, answered at once.

It is not Nova: nothing is read from a database. Answers are bytes that were
made before, so that whoever asks is measured, and not who answers.
"""

from collections.abc import Iterator
from collections.abc import Sequence
import contextlib
from http import server
import json
import threading
from typing import Any
from urllib import parse

from sandbox import big_world

ROOT = '/v2.1'
AGGREGATES = '/os-aggregates'
HYPERVISORS = '/os-hypervisors/detail'

# How many hypervisors Nova lists at once, unless it is told otherwise.
PAGE = 1000

VCPUS = 64
MEMORY_MB = 262144

Answers = dict[str, bytes]


def answers(world: big_world.World, url: str) -> Answers:
    """Return what is answered, by what is asked for: a path and its query.

    :param url: where it will be asked for
    """
    hosts = list(world.all_hosts())
    listed: dict[str, Any] = {
        ROOT: _version(url),
        ROOT + AGGREGATES: {
            'aggregates': [_aggregate(it) for it in world.aggregates()]
        },
    }
    for start in range(0, len(hosts), PAGE):
        page = [
            _hypervisor(number, host)
            for number, host in enumerate(hosts[start : start + PAGE], start)
        ]
        content: dict[str, Any] = {'hypervisors': page}
        if start + PAGE < len(hosts):
            marker = page[-1]['id']
            content['hypervisors_links'] = [
                {
                    'rel': 'next',
                    'href': f'{url}{ROOT}{HYPERVISORS}?marker={marker}',
                }
            ]
        query = f'?marker={_id(start - 1)}' if start else ''
        listed[f'{ROOT}{HYPERVISORS}{query}'] = content
    return {asked: json.dumps(it).encode() for asked, it in listed.items()}


@contextlib.contextmanager
def serving(world: big_world.World) -> Iterator[str]:
    """Answer on a free port of loopback; yield the endpoint of Nova."""
    with server.ThreadingHTTPServer(('127.0.0.1', 0), _Handler) as listener:
        url = f'http://127.0.0.1:{listener.server_port}'
        listener.answers = answers(world, url)  # type: ignore[attr-defined]
        thread = threading.Thread(target=listener.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield url + ROOT
        finally:
            listener.shutdown()
            thread.join()


class _Handler(server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    # Else the body waits for the headers to be acknowledged.
    wbufsize = -1

    def do_GET(self) -> None:
        listed: Answers = self.server.answers  # type: ignore[attr-defined]
        path, _, query = self.path.partition('?')
        marker = parse.parse_qs(query).get('marker')
        path = path.rstrip('/')
        body = listed.get(f'{path}?marker={marker[0]}' if marker else path)
        self.send_response(404 if body is None else 200)
        self.send_header('Content-Type', 'application/json')
        self.send_header('Content-Length', str(len(body or b'')))
        self.end_headers()
        self.wfile.write(body or b'')

    def log_message(self, format: str, *arguments: Sequence[object]) -> None:
        """Say nothing."""


def _id(number: int) -> str:
    return f'5eed0000-0000-4000-b000-{number:012x}'


def _version(url: str) -> dict[str, Any]:
    return {
        'version': {
            'id': 'v2.1',
            'status': 'CURRENT',
            'version': '2.104',
            'min_version': '2.1',
            'updated': '2013-07-23T11:33:21Z',
            'links': [{'rel': 'self', 'href': f'{url}{ROOT}/'}],
            'media-types': [
                {
                    'base': 'application/json',
                    'type': 'application/vnd.openstack.compute+json;'
                    'version=2.1',
                }
            ],
        }
    }


def _aggregate(aggregate: big_world.Aggregate) -> dict[str, Any]:
    return {
        'availability_zone': None,
        'created_at': '2026-11-23T09:00:00.000000',
        'deleted': False,
        'deleted_at': None,
        'hosts': aggregate.hosts,
        'id': aggregate.id,
        'metadata': aggregate.metadata,
        'name': aggregate.name,
        'updated_at': None,
        'uuid': aggregate.uuid,
    }


def _hypervisor(number: int, host: str) -> dict[str, Any]:
    vcpus_used = number % (VCPUS + 1)
    memory_mb_used = 512 + 1024 * vcpus_used
    return {
        'cpu_info': {
            'arch': 'x86_64',
            'features': ['pge', 'clflush'],
            'model': 'Nehalem',
            'topology': {'cores': 1, 'sockets': 4, 'threads': 1},
            'vendor': 'Intel',
        },
        'current_workload': 0,
        'disk_available_least': 0,
        'free_disk_gb': 1028,
        'free_ram_mb': MEMORY_MB - memory_mb_used,
        'host_ip': '192.0.2.1',
        'hypervisor_hostname': host,
        'hypervisor_type': 'QEMU',
        'hypervisor_version': 8002002,
        'id': _id(number),
        'local_gb': 1028,
        'local_gb_used': 0,
        'memory_mb': MEMORY_MB,
        'memory_mb_used': memory_mb_used,
        'running_vms': vcpus_used,
        'service': {'disabled_reason': None, 'host': host, 'id': _id(number)},
        'state': 'up',
        'status': 'enabled',
        'vcpus': VCPUS,
        'vcpus_used': vcpus_used,
    }
