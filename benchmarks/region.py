"""Previews prod in this process, as a region of the repository's own configuration: nothing is told but how long it takes."""

from .registration import measure

if __name__ == "__main__":
    measure({})
