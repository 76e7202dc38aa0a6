# SPDX-License-Identifier: Apache-2.0
"""HOW IS A FILE WRITTEN? As a whole, or not at all."""

import contextlib
import os
import stat

from osc_lib import exceptions

# What is another one after a file was written.
State = tuple[int, ...]


def state(path: str) -> State:
    """Return the state of a file; empty: it is not there."""
    try:
        it = os.stat(path)
    except (OSError, ValueError):
        return ()
    return it.st_dev, it.st_ino, it.st_size, it.st_mtime_ns


def write(path: str, text: str, read: State | None = None) -> None:
    """Put a text in place of what a file has, and keep its rights.

    Whoever reads the file meanwhile, or after a crash, finds all of the one or
    all of the other.

    :param read: the state of the file that the text comes from; None: it
        comes from elsewhere
    :raises osc_lib.exceptions.CommandError: if it cannot be written, or was
        written by another since
    """
    try:
        _write(os.path.realpath(path), text, read)
    except (OSError, ValueError) as error:
        why = getattr(error, 'strerror', None) or error
        raise exceptions.CommandError(
            f'{path or "(no name)"} cannot be written: {why}; give a file in '
            'a directory that you may write into'
        ) from None


def _write(path: str, text: str, read: State | None) -> None:
    before = os.stat(path) if os.path.exists(path) else None
    if before is not None and not stat.S_ISREG(before.st_mode):
        raise OSError('it is no regular file')
    directory, name = os.path.split(path)
    beside = os.path.join(directory, f'.{name}.{os.getpid()}')
    # Nobody may read it before its rights are those of the other.
    mode = 0o666 if before is None else 0o600
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with open(handle, 'w', encoding='utf-8', newline='') as file:
            if before is not None:
                # nova-scheduler may read by its group alone.
                with contextlib.suppress(PermissionError):
                    os.fchown(handle, before.st_uid, before.st_gid)
                os.fchmod(handle, stat.S_IMODE(before.st_mode))
            file.write(text)
            file.flush()
            os.fsync(handle)
        if read is not None and read != state(path):
            raise exceptions.CommandError(
                f'{path} was written by another meanwhile; give the command '
                'again'
            )
        os.replace(beside, path)
    except BaseException:
        os.unlink(beside)
        raise
    parent = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(parent)
    finally:
        os.close(parent)
