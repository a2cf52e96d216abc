"""Which build is tested: that of this Python, or the one that MADANG_NATIVE_BIN names."""

from __future__ import annotations

import os

# A sanitizer's library is put before everything in this process, for the module; the commands
# bring their own, and the ordinary ones that they are compared with need none.
os.environ.pop("LD_PRELOAD", None)
