# SPDX-License-Identifier: Apache-2.0
"""WHERE DO FIGURES GO? Into JSON, for those who compare runs."""

import argparse
import json
import pathlib

_STANDARD_OUTPUT = '-'


def add_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        '--json',
        metavar='FILE',
        help='where to write the figures as JSON; "-" is standard output',
    )


def write(figures: object, where: str | None) -> None:
    """Write figures to where the option says; None: nowhere."""
    if where is None:
        return
    text = json.dumps(figures, indent=2)
    if where == _STANDARD_OUTPUT:
        print(text)
    else:
        pathlib.Path(where).write_text(f'{text}\n')
