"""Which regions of a picture speak for its verdict.

`explainer` is what all methods share, `xrai` the method of choice, `methods` the others; `explanation` is what comes
out, `quality` checks it beside its controls, `figures` draws it. `choose` picks test pictures, `stage` explains them
for a report and `folder` explains any folder. Inside XRAI: `model_access`, `integrated_gradients`, `segmentation`,
`regions`, `ranking`.
"""

from artdetect.explain.stage import ExplainConfig, run

__all__ = ["ExplainConfig", "run"]
