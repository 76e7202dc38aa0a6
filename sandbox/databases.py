# SPDX-License-Identifier: Apache-2.0
"""The SQLite files behind Nova and Placement."""

from collections.abc import Iterable
import contextlib
import pathlib
import sqlite3
import threading
from typing import Any

from nova import context as nova_context
from nova import objects
from nova.db import migration
from nova.objects import cell_mapping
import sqlalchemy
from sqlalchemy import engine as sa_engine
from sqlalchemy import event

CELL1_UUID = '5eed0000-0000-4000-8000-0000000000c1'
BUSY_TIMEOUT_S = 60

_IS_SETTLED = """
SELECT task_state IS NULL AND vm_state != 'building' AND NOT EXISTS (
    SELECT 1 FROM migrations
    WHERE instance_uuid = instances.uuid AND status NOT IN (
        'cancelled', 'completed', 'confirmed', 'done', 'error', 'failed',
        'finished', 'reverted'
    )
)
FROM instances WHERE uuid = ? AND deleted = 0
"""


def create(path: pathlib.Path) -> None:
    """Make an empty database whose readers and writers do not wait."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute('PRAGMA journal_mode = WAL')


def url(path: pathlib.Path) -> str:
    return f'sqlite:///{path}?timeout={BUSY_TIMEOUT_S}'


class Watch:
    """Tells when Nova is done with a server, for less than an API call."""

    def __init__(self, cells: Iterable[pathlib.Path]) -> None:
        self._lock = threading.Lock()
        self._connections = [
            sqlite3.connect(path, check_same_thread=False) for path in cells
        ]

    def is_settled(self, server_id: str) -> bool:
        """No task and no move is under way.

        A server can be ACTIVE without a task while its move is not over yet.
        """
        with self._lock:
            for connection in self._connections:
                rows = connection.execute(_IS_SETTLED, (server_id,)).fetchall()
                if rows:
                    return bool(rows[0][0])
        return False

    def close(self) -> None:
        for connection in self._connections:
            connection.close()


def take_locks_late() -> None:
    """Begin transactions at their first write, and wait for the lock there.

    oslo.db begins with a plain BEGIN. A transaction that first reads and
    then writes fails at once with "database is locked" when another one
    wrote in between; SQLite does not wait for the busy timeout there.
    """
    event.listen(sa_engine.Engine, 'begin', _leave_begin_to_the_driver)


def take_locks_early() -> None:
    """Undo take_locks_late()."""
    if event.contains(sa_engine.Engine, 'begin', _leave_begin_to_the_driver):
        event.remove(sa_engine.Engine, 'begin', _leave_begin_to_the_driver)


def _leave_begin_to_the_driver(connection: sqlalchemy.Connection) -> None:
    if connection.dialect.name != 'sqlite':
        return
    driver: Any = connection.connection.driver_connection
    driver.isolation_level = 'IMMEDIATE'
    connection.info['in_transaction'] = True


def fill(main: pathlib.Path, cell0: pathlib.Path, transport_url: str) -> None:
    """Create the tables and map the two cells, as nova-manage does."""
    migration.db_sync(database='api')
    migration.db_sync(database='main')
    _copy(main, cell0)
    context = nova_context.get_admin_context()
    for uuid, name, transport, path in (
        (cell_mapping.CellMapping.CELL0_UUID, 'cell0', 'none:///', cell0),
        (CELL1_UUID, 'cell1', transport_url, main),
    ):
        objects.CellMapping(
            context,
            uuid=uuid,
            name=name,
            transport_url=transport,
            database_connection=url(path),
        ).create()


def _copy(source: pathlib.Path, target: pathlib.Path) -> None:
    with (
        contextlib.closing(sqlite3.connect(source)) as reader,
        contextlib.closing(sqlite3.connect(target)) as writer,
    ):
        reader.backup(writer)
        writer.execute('PRAGMA journal_mode = WAL')
