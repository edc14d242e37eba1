"""Prints how many appended pages a second the device makes durable, one after the other. The same line before every engine tells whether
something else was at work.

device.py FOLDER
"""

import json
import os
import sys
import time
from pathlib import Path

SECONDS = 1.0

file = Path(sys.argv[1]) / "device"
page = bytes(4096)
syncs = 0
descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
begun = time.perf_counter()
while (took := time.perf_counter() - begun) < SECONDS:
    os.write(descriptor, page)
    os.fdatasync(descriptor)
    syncs += 1
os.close(descriptor)
file.unlink()
print(json.dumps({"syncs_per_s": round(syncs / took)}))
