"""The platform's Pulumi program: reads the stack's configuration, builds it, exports its outputs."""

from pathlib import Path

from stacks.program import main

main(Path(__file__).resolve().parent)
