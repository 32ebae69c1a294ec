"""Which regions of a picture speak for its verdict.

* Methods: `explainer`, what all share; `xrai`, the method of choice, from `model_access`,
  `integrated_gradients`, `segmentation`, `regions` and `ranking`; `methods`, the others, with `saliency_bridge`.
* What comes out: `explanation`; drawn by `figures` with `drawing` and `colours`.
* Whether it explains: `quality`, from `curves`, `randomised` and `information`.
* Use: `settings`, the config; `subjects`, pictures in files, explained once; `choose` and `stage`, test pictures for
  the report; `folder` with `parts`, any pictures.
"""

from artdetect.explain.stage import ExplainConfig, run

__all__ = ["ExplainConfig", "run"]
