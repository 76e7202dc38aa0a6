# SPDX-License-Identifier: Apache-2.0
"""The services the cloud asks for but does not have.

They stand in at the wire: Nova's own clients talk to them over HTTP.
"""

import threading
from typing import Any
import uuid

import webob
import webob.dec
import webob.exc

IMAGE_ID = '5eed0000-0000-4000-8000-000000000001'
OTHER_IMAGE_ID = '5eed0000-0000-4000-8000-000000000002'

_IMAGE_SCHEMA = {
    'name': 'image',
    'properties': {
        name: {'type': type_}
        for name, type_ in (
            ('id', 'string'),
            ('name', ['null', 'string']),
            ('status', 'string'),
            ('visibility', 'string'),
            ('owner', ['null', 'string']),
            ('disk_format', ['null', 'string']),
            ('container_format', ['null', 'string']),
            ('min_disk', 'integer'),
            ('min_ram', 'integer'),
            ('size', ['null', 'integer']),
            ('checksum', ['null', 'string']),
            ('protected', 'boolean'),
            ('tags', 'array'),
            ('created_at', 'string'),
            ('updated_at', 'string'),
            ('file', 'string'),
            ('schema', 'string'),
        )
    },
    'additionalProperties': {'type': 'string'},
}


def _image(image_id: str, **properties: Any) -> dict[str, Any]:
    return {
        'id': image_id,
        'name': image_id,
        'status': 'active',
        'visibility': 'public',
        'disk_format': 'raw',
        'container_format': 'bare',
        'min_disk': 0,
        'min_ram': 0,
        'size': 1048576,
        'checksum': None,
        'owner': None,
        'protected': False,
        'tags': [],
        'created_at': '2026-01-01T00:00:00Z',
        'updated_at': '2026-01-01T00:00:00Z',
        'file': f'/v2/images/{image_id}/file',
        'schema': '/v2/schemas/image',
    } | properties


# Stands in for glance: every boot, rebuild and shelve asks about an image,
# and no guest here ever reads one.
class Images:
    """Two public images, and those that snapshots add."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._images = {
            image_id: _image(image_id)
            for image_id in (IMAGE_ID, OTHER_IMAGE_ID)
        }

    @webob.dec.wsgify
    def __call__(self, request: webob.Request) -> webob.Response:
        match request.method, request.path.strip('/').split('/'):
            case 'GET', ['v2', 'schemas', 'image']:
                return webob.Response(json=_IMAGE_SCHEMA)
            case 'GET', ['v2', 'images']:
                return webob.Response(
                    json={'images': list(self._images.values())}
                )
            case 'POST', ['v2', 'images']:
                image = _image(str(uuid.uuid4()), **request.json)
                with self._lock:
                    self._images[image['id']] = image
                return webob.Response(json=image, status=201)
            case 'GET', ['v2', 'images', image_id] if image_id in self._images:
                return webob.Response(json=self._images[image_id])
            case 'DELETE', ['v2', 'images', image_id]:
                with self._lock:
                    self._images.pop(image_id, None)
                return webob.Response(status=204)
        raise webob.exc.HTTPNotFound()


# Stands in for neutron: Nova asks it about ports and security groups even
# for servers without networks, which is what every server here is.
@webob.dec.wsgify
def networks(request: webob.Request) -> webob.Response:
    """A network service that has nothing."""
    if request.method != 'GET':
        raise webob.exc.HTTPNotFound()
    collection = request.path.strip('/').split('/')[-1].replace('-', '_')
    return webob.Response(json={collection: []})
