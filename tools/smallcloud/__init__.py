# SPDX-License-Identifier: Apache-2.0
"""A real OpenStack of separate processes, small enough for a laptop.

Everything but the Debian packages and the Python environments lies in one
folder, listens on loopback only, and is gone after ``tools/cloud down``.
Nothing here imports more than the standard library: on a bare machine there is
nothing else yet. Only :mod:`smallcloud.populate` runs inside the environment.
"""
