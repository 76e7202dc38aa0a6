# SPDX-License-Identifier: Apache-2.0
"""WHAT MAY BE WRONG, AND HOW BAD IS IT? Every check of a deployment."""

import collections.abc
import enum
import itertools
import operator
import typing

from edge_filters import spelling

# The exit status where something is found: 1 is a command that failed, and 2
# one that cannot be read.
FOUND = 3


class Severity(enum.IntEnum):
    """How bad it is; the worst comes first."""

    # Servers are refused or placed wrongly, or the scheduler does not start.
    ERROR = 0
    # It may come to that, or costs what it need not.
    WARNING = 1
    # Good to know, and nothing that has to be mended.
    NOTE = 2


# The checks there are. Scripts know them by these names: they stay.
CHECKS: collections.abc.Mapping[str, Severity] = {
    # What was not looked at.
    'config-not-checked': Severity.NOTE,
    'hosts-not-checked': Severity.WARNING,
    'map-file-not-checked': Severity.NOTE,
    'option-not-checked': Severity.NOTE,
    'placement-not-checked': Severity.WARNING,
    'not-asked': Severity.NOTE,
    # nova.conf.
    'filter-not-available': Severity.ERROR,
    'filter-not-enabled': Severity.WARNING,
    'filter-not-last': Severity.WARNING,
    'image-properties-isolation': Severity.WARNING,
    'mode-not-enforce': Severity.NOTE,
    'nova-weighers-missing': Severity.WARNING,
    'option-invalid': Severity.ERROR,
    'option-unknown': Severity.WARNING,
    'shuffle': Severity.NOTE,
    'subset': Severity.WARNING,
    'truncation': Severity.WARNING,
    'weigher-missing': Severity.ERROR,
    'weigher-off': Severity.WARNING,
    'weigher-twice': Severity.WARNING,
    # Sites, figures and prefixes.
    'clock-ahead': Severity.WARNING,
    'figures-contradict': Severity.WARNING,
    'figures-stale': Severity.WARNING,
    'host-in-two-sites': Severity.WARNING,
    'host-unknown': Severity.WARNING,
    'key-skipped': Severity.WARNING,
    'key-unread': Severity.WARNING,
    'map-file-broken': Severity.ERROR,
    'map-file-skipped': Severity.WARNING,
    'map-file-unread': Severity.WARNING,
    'no-sites': Severity.WARNING,
    'prefix-overlap': Severity.NOTE,
    'prefix-twice': Severity.WARNING,
    'site-contradicts': Severity.WARNING,
    'site-rtt-asymmetric': Severity.WARNING,
    'site-rtt-unread': Severity.WARNING,
    'site-unnamed': Severity.ERROR,
    'site-without-hosts': Severity.WARNING,
    'site-without-position': Severity.NOTE,
    'too-many-keys': Severity.WARNING,
    'too-many-rows': Severity.WARNING,
    # Placement.
    'mirror-incomplete': Severity.ERROR,
    'shared-storage-outside': Severity.WARNING,
}


class Finding(typing.NamedTuple):
    """Something that a check found.

    :param check: which of CHECKS
    :param subject: what it is about: a site, an aggregate, a host, an option
    :param what: what is wrong with it, in words that go after its name
    :param remedy: how to mend it
    """

    check: str
    subject: str
    what: str
    remedy: str

    @property
    def severity(self) -> Severity:
        """How bad it is."""
        return CHECKS[self.check]


def in_order(findings: collections.abc.Iterable[Finding]) -> list[Finding]:
    """Return findings, the worst first, then by check and subject."""
    return sorted(findings, key=lambda it: (it.severity, it))


def folded(
    findings: collections.abc.Iterable[Finding],
) -> collections.abc.Iterator[Finding]:
    """Yield few findings in place of many that are alike.

    What is said of several subjects in the same words is said once. Of one
    check a few are left, and a last one stands for all others.

    :param findings: findings in their order
    """
    for check, its in itertools.groupby(
        findings, operator.attrgetter('check')
    ):
        alike: dict[tuple[str, str], list[str]] = {}
        for it in its:
            alike.setdefault((it.what, it.remedy), []).append(it.subject)
        for (what, remedy), subjects in itertools.islice(
            alike.items(), spelling.MAX_LISTED
        ):
            subject = spelling.listed(list(dict.fromkeys(subjects)))
            yield Finding(check, subject, what, remedy)
        others = [*alike.values()][spelling.MAX_LISTED :]
        if others:
            names = [*dict.fromkeys(itertools.chain.from_iterable(others))]
            yield Finding(
                check,
                spelling.listed(names),
                f'{sum(map(len, others))} more like those above',
                'see each of them with --all',
            )
