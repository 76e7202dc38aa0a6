# SPDX-License-Identifier: Apache-2.0
"""WHAT IS A NUMBER? Types of options, stricter than those of oslo.config."""

import math
import typing

from oslo_config import types


class Finite(types.Float):
    """A number; to oslo.config NaN is in any range, and nothing is None."""

    def __call__(self, value: typing.Any) -> float:
        number = super().__call__(value)
        if number is None or not math.isfinite(number):
            raise ValueError('Should be a finite number')
        return float(number)


class Whole(types.Integer):
    """A whole number; to oslo.config nothing is None."""

    def __call__(self, value: typing.Any) -> int:
        number = super().__call__(value)
        if number is None:
            raise ValueError('Should be a whole number')
        return int(number)
