# SPDX-License-Identifier: Apache-2.0

from tests.cloud import base
from tests.cloud import record
from tests.unit import recordings


class RecordedTest(base.TestCase):
    def test_recordings(self):
        """What unit tests take for the API's answers still has their form."""
        connections = record.connect()
        for connection in connections:
            self.addCleanup(connection.close)
        taken = record.record(*connections)
        files = {path.stem for path in recordings.FOLDER.iterdir()}
        self.assertEqual(files, taken.keys())
        for name, now in taken.items():
            then = recordings.read(name)
            self.assertEqual(then['status'], now['status'], name)
            self.assertEqual(
                [],
                list(
                    recordings.differences(then['answer'], now['answer'], name)
                ),
            )
