# SPDX-License-Identifier: Apache-2.0
"""CAN THE MAP FILES BE READ? What they say, and what they say in vain."""

import collections.abc
import pathlib

from edge_filters.origins import map_file
from edge_filters.osc import files
from edge_filters.osc import finding


def read(
    paths: collections.abc.Iterable[str],
) -> tuple[map_file.MapFile, list[finding.Finding]]:
    """Return what the map files say, and what is wrong with them.

    A file that cannot be read is left out.
    """
    documents = []
    found = []
    for path in dict.fromkeys(paths):
        try:
            files.check(path)
            content = pathlib.Path(path).read_bytes()
            documents.append(map_file.decode(path, content))
        except map_file.Broken as error:
            found.append(_broken(path, error.why))
        except files.NeverReadError as error:
            found.append(_broken(path, f'cannot be read: {error}'))
        except (OSError, ValueError) as error:
            why = getattr(error, 'strerror', None) or error
            found.append(
                finding.Finding(
                    'map-file-not-checked',
                    path,
                    f'cannot be read: {why}',
                    'give a copy of it as --map-file',
                )
            )
    maps = map_file.merge(documents)
    for problem in maps.problems:
        found.append(
            finding.Finding(
                'map-file-skipped',
                problem.file,
                f'{problem.name} {problem.why}',
                'mend the file',
            )
        )
    if maps.more_problems:
        found.append(
            finding.Finding(
                'map-file-skipped',
                'map files',
                f'have {maps.more_problems} more problems',
                'mend those that are named first',
            )
        )
    return maps, found


def _broken(path: str, why: str) -> finding.Finding:
    return finding.Finding(
        'map-file-broken',
        path,
        f'{why}: a nova-scheduler that starts leaves it out',
        'mend the file',
    )
