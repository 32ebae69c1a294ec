"""The Python API: what scripts and notebooks call. `artdetect` exports its names; docs/python.md shows them."""
