"""Which regions of a picture speak for its verdict: XRAI for chosen pictures, as arrays and as figures.

`choose` picks the pictures, `xrai` explains them, `arrays` keeps the result, `figures` draws it, `stage` puts them
together. A change to the drawing does not count as a change to the attributions: each is its own module.
"""

from artdetect.explain.stage import ExplainConfig, run

__all__ = ["ExplainConfig", "run"]
