# SPDX-License-Identifier: Apache-2.0
"""WHICH EXTRA SPECS DOES A FLAVOR KNOW? Checked by nova-api.

From compute API microversion 2.86 on, nova-api refuses flavors whose
``edge:`` extra specs are not known, or whose values cannot be read.
"""

from nova.api.validation.extra_specs import base

from edge_filters.origins import request


def register() -> list[base.ExtraSpecValidator]:
    """Return the validators, as Nova's entry point asks for them."""
    return [_validator(term) for term in request.FLAVOR_VOCABULARY.values()]


def _validator(term: request.Term) -> base.ExtraSpecValidator:
    one = rf'\s*{term.pattern}\s*'
    more = rf'(?:,{one}){{0,{request.MAX_VALUES - 1}}}'
    return base.ExtraSpecValidator(
        name=term.name,
        description=term.meaning,
        value={
            'type': str,
            'pattern': one + more if term.repeats else one,
        },
    )
