# SPDX-License-Identifier: Apache-2.0
"""Place servers at the edge site closest to the people they serve.

Nova loads scheduler classes from dotted paths; a path may name a function
that returns classes. :func:`all_filters` and :func:`all_weighers` are those
functions: they return what the stevedore namespaces of the same names hold,
so that another package can add classes of its own.
"""

import importlib.metadata
import inspect

from oslo_log import log as logging
import stevedore

from edge_filters import spelling

LOG = logging.getLogger(__name__)


def all_filters() -> list[type]:
    """Return the classes registered in ``edge_filters.filters``."""
    return _registered_classes('edge_filters.filters', 'filter_all')


def all_weighers() -> list[type]:
    """Return the classes registered in ``edge_filters.weighers``."""
    return _registered_classes('edge_filters.weighers', 'weigh_objects')


def _registered_classes(namespace: str, method: str) -> list[type]:
    """Return the classes of a namespace that have the method Nova calls."""
    manager = stevedore.ExtensionManager(
        namespace, on_load_failure_callback=_report_load_failure
    )
    classes: dict[str, type] = {}
    for extension in sorted(manager, key=_ours_first):
        found = extension.plugin
        if not inspect.isclass(found) or not hasattr(found, method):
            _report(
                extension.entry_point, namespace, f'it has no class.{method}()'
            )
        elif classes.setdefault(found.__name__, found) is not found:
            # Nova knows filters by bare class name; the last would win.
            _report(
                extension.entry_point,
                namespace,
                f'there is another class {found.__name__}',
            )
    return list(classes.values())


def _ours_first(
    extension: 'stevedore.extension.Extension[type]',
) -> tuple[bool, str]:
    target = extension.entry_point_target
    return not target.startswith('edge_filters.'), target


def _report_load_failure(
    manager: 'stevedore.ExtensionManager[type]',
    entry_point: importlib.metadata.EntryPoint,
    error: BaseException,
) -> None:
    why = f'it cannot be loaded: {spelling.shown(str(error))}'
    _report(entry_point, manager.namespace, why)


def _report(
    entry_point: importlib.metadata.EntryPoint, namespace: str, why: str
) -> None:
    LOG.error(
        'Entry point %(name)s (%(target)s) of %(namespace)s is skipped, as '
        '%(why)s. Mend or remove the package that registers it.',
        {
            'name': entry_point.name,
            'target': entry_point.value,
            'namespace': namespace,
            'why': why,
        },
    )
