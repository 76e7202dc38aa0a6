# SPDX-License-Identifier: Apache-2.0

import pathlib
import sys

# The tool is no package that anybody installs: it runs on a bare machine.
sys.path.append(str(pathlib.Path(__file__).parents[2] / 'tools'))
