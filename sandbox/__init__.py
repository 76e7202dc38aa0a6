# SPDX-License-Identifier: Apache-2.0
"""A whole small cloud in one process, for the demo and the tests.

Importing it chooses native threads for Nova, which has to be done before
anything else of Nova is imported.
"""

import os

os.environ.setdefault('OS_NOVA_DISABLE_EVENTLET_PATCHING', 'True')

from nova import monkey_patch

monkey_patch.patch(backend='threading')
