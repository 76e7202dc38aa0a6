# SPDX-License-Identifier: Apache-2.0
"""HOW IS IT SPELT? Names and numbers in metadata, hints and flavors.

Every function takes text that somebody else wrote and returns the value, or
raises ValueError with the end of a sentence that begins with the text:
"'12,4' " + "is not a number".
"""

import math
import re

NAME_PATTERN = r'[a-zA-Z0-9_:.\-]{1,64}'
NUMBER_PATTERN = r'(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?'

_NAME = re.compile(NAME_PATTERN)
_NUMBER = re.compile(NUMBER_PATTERN)


def parse_name(text: str) -> str:
    """Return the name of an origin or a site in its one spelling.

    Lower case, because MySQL and MariaDB compare the keys of aggregate
    metadata without case.
    """
    text = text.strip()
    # Matched before it is folded: the Kelvin sign folds to an ASCII k.
    if not _NAME.fullmatch(text):
        raise ValueError(
            'is not a name: use 1 to 64 of the letters a-z, digits and -_:.'
        )
    return text.lower()


def parse_number(text: str, maximum: float = math.inf) -> float:
    """Return a finite number between 0 and ``maximum``."""
    text = text.strip()
    if not _NUMBER.fullmatch(text):
        raise ValueError('is not a number of 0 or more, such as 12.5')
    number = float(text)
    if math.isinf(number):
        raise ValueError('is too large a number')
    if number > maximum:
        raise ValueError(f'is more than {maximum:g}')
    return number


def shown(text: object) -> str:
    """Return what somebody wrote as it may stand in a log: quoted, short."""
    quoted = ascii(text)
    return quoted if len(quoted) <= 80 else quoted[:77] + '...'
