"""The Python API: what scripts and notebooks call. `artdetect` exports its names; docs/how-to/python.md shows them."""
