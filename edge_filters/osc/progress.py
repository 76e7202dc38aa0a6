# SPDX-License-Identifier: Apache-2.0
"""HOW FAR IS IT? A progress bar, for a person who waits."""

import collections.abc
import sys
import typing

import tqdm

_Item = typing.TypeVar('_Item')


def shown(
    aggregates: collections.abc.Iterable[_Item],
) -> collections.abc.Iterator[_Item]:
    """Yield aggregates, with a bar where standard error is a terminal."""
    yield from tqdm.tqdm(
        aggregates,
        unit='aggregate',
        leave=False,
        disable=not sys.stderr.isatty(),
    )
