# SPDX-License-Identifier: Apache-2.0


class CloudError(Exception):
    """What went wrong, in one sentence with a next step, for the person."""
