# SPDX-License-Identifier: Apache-2.0
"""WHAT MAY BE WRITTEN AFTER A COMMAND? What several commands have in common.

A type of argparse raises ArgumentTypeError, which becomes the usage and a
sentence.
"""

import argparse
import collections.abc
import typing

from edge_filters import spelling


def _typed(
    parse: collections.abc.Callable[..., typing.Any], **limits: float
) -> collections.abc.Callable[[str], typing.Any]:
    """Return a type of argparse that reads text as the metadata is read."""

    def read(text: str) -> typing.Any:
        try:
            return parse(text, **limits)
        except ValueError as error:
            raise argparse.ArgumentTypeError(
                f'{spelling.shown(text)} {error}'
            ) from None

    return read


name = _typed(spelling.parse_name)
number = _typed(spelling.parse_number)
network = _typed(spelling.parse_network)
latitude = _typed(spelling.parse_degrees, maximum=90)
longitude = _typed(spelling.parse_degrees, maximum=180)


def add_map_files(parser: argparse.ArgumentParser) -> None:
    """Add the map files that are to be read beside the aggregates."""
    parser.add_argument(
        '--map-file',
        metavar='<file>',
        action='append',
        default=[],
        dest='map_files',
        help=(
            'A file of this machine to read in place of [edge_filters] '
            'map_files (repeat option for several, in the same order)'
        ),
    )


def add_files(parser: argparse.ArgumentParser) -> None:
    """Add the files that are to be read in place of the cloud."""
    parser.add_argument(
        '--file',
        metavar='<file>',
        action='append',
        default=[],
        dest='offline',
        help=(
            'A file that openstack edge export writes, to read in place of '
            'the cloud (repeat option for several): nothing is asked then'
        ),
    )
