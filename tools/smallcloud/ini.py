# SPDX-License-Identifier: Apache-2.0
"""HOW IS IT WRITTEN? The files that oslo.config reads."""

import collections.abc
import pathlib

# An option with a list of values is written on several lines.
Options = collections.abc.Mapping[
    str, collections.abc.Mapping[str, object | list[object]]
]


def text(options: Options) -> str:
    return '\n'.join(
        f'[{group}]\n'
        + ''.join(
            f'{name} = {value}\n'
            for name, values in section.items()
            for value in (values if isinstance(values, list) else [values])
        )
        for group, section in options.items()
    )


def write(path: pathlib.Path, options: Options, *more: str) -> pathlib.Path:
    """Write a file that only its owner may read: it has passwords."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_text('\n'.join([text(options), *more]))
    return path
