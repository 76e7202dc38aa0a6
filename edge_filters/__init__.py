# SPDX-License-Identifier: Apache-2.0
"""Place servers at the edge site closest to the people they serve.

Nova loads scheduler classes from dotted paths; a path may name a function
that returns classes. :func:`all_filters` and :func:`all_weighers` are those
functions: they return what the stevedore namespaces of the same names hold,
so that another package can add classes of its own.
"""

import inspect
import typing

from oslo_log import log as logging
import stevedore

LOG = logging.getLogger(__name__)


def all_filters() -> list[type]:
    """Return the classes registered in ``edge_filters.filters``."""
    return _registered_classes('edge_filters.filters')


def all_weighers() -> list[type]:
    """Return the classes registered in ``edge_filters.weighers``."""
    return _registered_classes('edge_filters.weighers')


def _registered_classes(namespace: str) -> list[type]:
    manager = stevedore.ExtensionManager(
        namespace, on_load_failure_callback=_report_load_failure
    )
    classes = []
    for extension in manager:
        if not inspect.isclass(extension.plugin):
            LOG.error(
                'Entry point %(name)s of %(namespace)s is %(target)s, which '
                'is not a class. It is skipped: register a class.',
                {
                    'name': extension.name,
                    'namespace': namespace,
                    'target': extension.entry_point_target,
                },
            )
            continue
        # Nova applies a weigher twice that it is given twice.
        if extension.plugin not in classes:
            classes.append(extension.plugin)
    return classes


def _report_load_failure(
    manager: typing.Any, entry_point: typing.Any, error: BaseException
) -> None:
    LOG.error(
        'Entry point %(name)s (%(target)s) of %(namespace)s could not be '
        'loaded and is skipped: %(error)s. Mend or remove the package that '
        'registers it.',
        {
            'name': entry_point.name,
            'target': entry_point.value,
            'namespace': manager.namespace,
            'error': error,
        },
    )
