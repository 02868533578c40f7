"""Reusable components of the platform; each package is one concern and can be used alone."""
