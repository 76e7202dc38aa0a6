# SPDX-License-Identifier: Apache-2.0
"""WHICH LINES OF nova.conf DOES NOBODY READ? Names of ours that are misspelt.

Of what is not ours nobody here knows what it may be.
"""

import collections.abc
import difflib
import pathlib
import typing

from oslo_config import cfg
from oslo_config import iniparser

from edge_filters import conf
from edge_filters.osc import finding

# How like another a name has to be, to be meant for it; 1: the same.
_LIKENESS = 0.8


def findings(
    paths: collections.abc.Iterable[str],
) -> collections.abc.Iterator[finding.Finding]:
    """Yield the sections and options that are none.

    :param paths: files that could be read as a nova.conf
    """
    ours = conf.GROUP.name
    names = [option.dest for option in conf.OPTIONS]
    for section, lines in _sections(paths).items():
        # Sections are read in any case of their letters, options are not.
        if section.lower() == ours:
            for name in lines:
                if name not in names:
                    yield _unknown(
                        f'[{ours}] {name}', _like(name, names), 'the line'
                    )
        elif _like(section, [ours]):
            yield _unknown(f'[{section}]', [f'[{ours}]'], 'the section')


def _sections(
    paths: collections.abc.Iterable[str],
) -> dict[str, dict[str, typing.Any]]:
    """Return the options that files have, by section."""
    sections: dict[str, dict[str, typing.Any]] = {}
    for path in paths:
        try:
            cfg.ConfigParser(
                str(pathlib.Path(path).expanduser()), sections
            ).parse()
        except (iniparser.ParseError, OSError, ValueError, RuntimeError):
            # It was read before, and has gone since.
            continue
    return sections


def _like(name: str, names: list[str]) -> list[str]:
    return difflib.get_close_matches(name.lower(), names, 1, _LIKENESS)


def _unknown(subject: str, like: list[str], what: str) -> finding.Finding:
    remedy = f'spell it {like[0]}' if like else f'remove {what}'
    return finding.Finding(
        'option-unknown',
        subject,
        'is not known to edge-filters: nova-scheduler passes over it without '
        'a word',
        remedy,
    )
