"""The version of artdetect."""

__version__ = "0.1.0"
