# SPDX-License-Identifier: Apache-2.0
"""HAVE THE FILES CHANGED? Follows the map files of this machine.

All of them are read together, and what they say takes the place of what they
said before as a whole. Whoever reads it takes no lock.
"""

import collections.abc
import os
import stat
import time

from oslo_log import log as logging

from edge_filters import background
from edge_filters import ratelimit
from edge_filters.origins import map_file

LOG = logging.getLogger(__name__)

LOOK_INTERVAL_S = 5

# When a file was written, or its rights, its size, and which file it is; None:
# there is none.
_Look = tuple[int, int, int, int] | None

# By what is wrong, with what content of a file: at what level that is said,
# and how.
_Complaints = collections.abc.Mapping[tuple[str, int], tuple[int, str]]


class MapFiles:
    """Keeps what the map files say.

    :param paths: the files; where they disagree, the first one counts
    """

    def __init__(
        self,
        paths: collections.abc.Iterable[str],
    ) -> None:
        #: The files, each once.
        self.paths = tuple(dict.fromkeys(paths))
        self._current = map_file.MapFile()
        # How the files looked when they were read, and what came of it.
        self._seen: dict[str, _Look] | None = None
        self._outcome: collections.abc.Mapping[str, object] | None = None
        # Those whose maps are in use.
        self._in_use: frozenset[str] = frozenset()
        # Of those that are not; of single entries of those that are; and what
        # of it has been said.
        self._broken: _Complaints = {}
        self._skipped: _Complaints = {}
        self._said: set[tuple[str, int]] = set()
        self._warnings = ratelimit.RateLimit()
        self._follower = background.Background(
            'edge-filters-maps', self._follow
        )

    @property
    def current(self) -> map_file.MapFile:
        """What the files say, as far as it is known."""
        return self._current

    @property
    def are_read(self) -> bool:
        """Whether it is what all of the files say."""
        return self._in_use.issuperset(self.paths)

    def follow(self) -> None:
        """Read the files whenever they change, from now on.

        Called with each request, and not when the files are read first:
        threads do not survive the fork of the workers.
        """
        if not self.paths:
            return
        failure: RuntimeError | None = None
        try:
            self._follower.start()
        except RuntimeError as error:
            # The next request will try again.
            failure = error
        # Not while it is handled: oslo.log would say it twice.
        if failure is not None and self._warnings.is_due('thread'):
            LOG.warning('The map files are not followed: %s', failure)

    def _follow(self) -> None:
        while True:
            # At once: the parent may have read long before it forked.
            self.read()
            time.sleep(LOOK_INTERVAL_S)

    def read(self) -> None:
        """Read the files if they have changed since they were read last."""
        # At each look: what was not due to be said may be now.
        for step in (self._read, self._complain):
            try:
                step()
            except Exception as error:
                if self._warnings.is_due(type(error).__name__):
                    LOG.exception('The map files stay as they were')

    def _read(self) -> None:
        seen = {path: _look(path) for path in self.paths}
        if seen == self._seen:
            return
        contents = {path: _content(path) for path in self.paths}
        if seen != {path: _look(path) for path in self.paths}:
            # Somebody is writing. The next look will find it finished.
            return
        outcome = {
            path: str(content)
            if isinstance(content, OSError)
            else hash(content)
            for path, content in contents.items()
        }
        if outcome != self._outcome:
            # Until it has worked.
            self._outcome = None
            self._take(contents)
            self._outcome = outcome
        # What cannot be read may be at the next look, though nothing of the
        # file has changed.
        self._seen = {
            path: look
            for path, look in seen.items()
            if look is None or isinstance(contents[path], bytes)
        }

    def _take(
        self, contents: collections.abc.Mapping[str, bytes | OSError]
    ) -> None:
        """Put what is read in place of what was, if it can be."""
        documents = []
        broken: dict[str, tuple[str, int]] = {}
        for path, content in contents.items():
            try:
                if isinstance(content, OSError):
                    why = content.strerror or str(content)
                    raise map_file.Broken(path, f'cannot be read: {why}')
                documents.append(map_file.decode(path, content))
            except map_file.Broken as error:
                is_read = isinstance(content, bytes)
                broken[path] = (str(error), hash(content) if is_read else 0)
        is_kept = not self._in_use.isdisjoint(broken)
        consequence = (
            'What the map files said before counts until it is repaired'
            if is_kept
            else 'It is left out until it is repaired'
        )
        self._broken = {
            it: (logging.WARNING, f'Map file {it[0]}. {consequence}')
            for it in broken.values()
        }
        if not is_kept and (documents or self._in_use):
            maps = map_file.merge(documents)
            self._in_use = frozenset(document.file for document in documents)
            self._current = maps
            self._skipped = _skipped(maps)
            _say_read(maps)

    def _complain(self) -> None:
        """Say what is wrong, once for each content.

        Whoever writes it may do so all the time: the same is not said often,
        but later.
        """
        complaints = {**self._broken, **self._skipped}
        self._said &= complaints.keys()
        for complaint, (level, text) in complaints.items():
            what, _ = complaint
            if complaint not in self._said and self._warnings.is_due(what):
                self._said.add(complaint)
                LOG.log(level, '%s.', text)


def _say_read(maps: map_file.MapFile) -> None:
    places = [*maps.samples.values(), *maps.host_samples.values()]
    LOG.info(
        'The map files are read: %(prefixes)d prefixes, %(figures)d figures, '
        '%(origins)d origins, %(sites)d sites, %(hosts)d hosts, '
        '%(projects)d projects.',
        {
            'prefixes': len(maps.prefix_table),
            'figures': sum(map(len, places)),
            'origins': len(maps.origins),
            'sites': len(maps.samples),
            'hosts': len(maps.host_samples),
            'projects': len(maps.projects),
        },
    )


def _skipped(maps: map_file.MapFile) -> _Complaints:
    """Return what of maps is left out."""
    said = [(logging.WARNING, str(problem)) for problem in maps.problems]
    if maps.more_problems:
        more = f'{maps.more_problems} more problems are in the map files'
        said.append((logging.INFO, more))
    said += maps.prefix_table.complaints()
    return {(text, 0): (level, text) for level, text in said}


def _look(path: str) -> _Look:
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    return (
        status.st_mtime_ns,
        status.st_ctime_ns,
        status.st_size,
        status.st_ino,
    )


def _content(path: str) -> bytes | OSError:
    try:
        with open(path, 'rb', opener=_open) as file:
            status = os.fstat(file.fileno())
            # What is no regular file may never end.
            if not stat.S_ISREG(status.st_mode):
                return OSError('it is no regular file')
            if status.st_size > map_file.MAX_BYTES:
                limit = map_file.MAX_BYTES // 1024**2
                return OSError(f'it has more than {limit} MiB')
            # If it grows now it is read again.
            return file.read(status.st_size)
    except OSError as error:
        return error
    except ValueError as error:
        return OSError(str(error))


def _open(path: str, flags: int) -> int:
    # To open a pipe would wait for who writes into it.
    return os.open(path, flags | os.O_NONBLOCK)
