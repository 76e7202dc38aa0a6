# SPDX-License-Identifier: Apache-2.0

# First of all: it chooses native threads before anything of Nova is imported.
import sandbox  # noqa: F401
