# SPDX-License-Identifier: Apache-2.0
"""HOW IS A VALUE SHOWN? To people in words, to machines as it is."""

from cliff import columns

# The units of ages, with how many seconds they have, and from which age on the
# next one is used.
_UNITS = (('s', 1, 120), ('min', 60, 7200), ('h', 3600, 172800))


class Known(columns.FormattableColumn):  # type: ignore[type-arg]
    """A value, or None: nobody knows it, and people see nothing.

    In order, what is not known comes last.
    """

    def __lt__(self, other: object) -> bool:
        if not isinstance(other, Known):
            return NotImplemented
        if self._value is None or other._value is None:
            return self._value is not None
        return bool(self._value < other._value)

    def human_readable(self) -> str:
        """Return it in words."""
        return '' if self._value is None else self._words()

    def _words(self) -> str:
        value = self._value
        return f'{value:g}' if isinstance(value, float) else str(value)


class Age(Known):
    """An age in seconds, which people read in minutes, hours or days."""

    def _words(self) -> str:
        age_s = abs(self._value)
        name, length = next(
            ((name, length) for name, length, end in _UNITS if age_s < end),
            ('d', 86400),
        )
        words = f'{age_s / length:.0f} {name}'
        return f'{words} ahead' if self._value < 0 else words


class Lines(columns.FormattableColumn):  # type: ignore[type-arg]
    """Several values, of which people read one a line."""

    def human_readable(self) -> str:
        """Return one a line."""
        return '\n'.join(self._value)


class Terms(columns.FormattableColumn):  # type: ignore[type-arg]
    """What to ask, by name, as ``openstack server create --hint`` has it."""

    def human_readable(self) -> str:
        """Return one after the other."""
        return ' '.join(f'{name}={it}' for name, it in self._value.items())
