"""``python -m sandbox.plugins hcloud``: the provider plugin that the engine starts."""

import sys

from .packages import NAMES
from .server import serve

if len(sys.argv) < 2 or sys.argv[1] not in NAMES:
    print(f"usage: python -m sandbox.plugins {{{','.join(NAMES)}}}", file=sys.stderr)
    sys.exit(2)
sys.exit(serve(sys.argv[1]))
