# SPDX-License-Identifier: Apache-2.0
"""HOW FAR IS IT? A progress bar, for a person who waits."""

import collections.abc
import sys
import typing

import tqdm

_Item = typing.TypeVar('_Item')


def shown(
    items: collections.abc.Iterable[_Item], unit: str = 'aggregate'
) -> collections.abc.Iterator[_Item]:
    """Yield items, with a bar where standard error is a terminal."""
    yield from tqdm.tqdm(
        items,
        unit=unit,
        leave=False,
        disable=not sys.stderr.isatty(),
    )
