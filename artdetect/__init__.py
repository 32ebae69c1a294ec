"""artdetect tells AI-generated from human-made art, shows which regions speak for it, and keeps its model current.

The library behind the flows: pure functions on files and tables, never importing Prefect.
"""

__version__ = "0.1.0"
