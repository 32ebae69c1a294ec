# %% [markdown]
# # First steps
#
# This notebook draws a small data set, trains a model on it, asks the model for verdicts, looks at what they rest on,
# and puts a model from elsewhere beside it. All pictures here are drawn by a program. **So the model knows drawn
# pictures only, and its verdicts on other art mean nothing.** The model that comes with artdetect,
# `Detector.load("starter")`, learnt from real art.
#
# [Python and notebooks](../docs/how-to/python.md) describes everything that is used here.

# %%
import os
import tempfile
from pathlib import Path

work = Path(tempfile.mkdtemp(prefix="first-steps-"))
os.environ["ARTDETECT_DATA"] = str(work / "data")  # a project of its own; leave both lines out to work in yours
os.environ["ARTDETECT_ARTIFACTS"] = str(work / "artifacts")

from artdetect import Detector, Pipeline
from artdetect.demo_data import draw

archive = draw(work, styles=("impressionism", "ukiyo_e"), train=32, test=8)
archive.name

# %% [markdown]
# ## Train
#
# A config needs one line, where the pictures are. `status` says what would be built, `run` builds it: the same as
# `artdetect status` and `artdetect run`.

# %%
config = work / "art.toml"
config.write_text(f"""
[download]
url = "{archive}"

[train]
size = 96
degraded_views = 1

[evaluate]
robustness_pictures = 0

[explain]
pictures_per_group = 0
""")
pipeline = Pipeline(config)
pipeline.status()[["stage", "state", "why"]]

# %%
pipeline.run()[["stage", "state"]]

# %% [markdown]
# ## Verdicts
#
# A demonstration must be named: without `"demo"`, `load` gives the champion, your newest own model, or the starter.

# %%
detector = Detector.load("demo")
detector

# %%
pictures = sorted(Path(work, "data").rglob("test/*ukiyo_e*/*"))
verdicts = detector.predict([pictures[0], pictures[-1]])
verdicts[["verdict", "reason", "p_ai", "predicted", "generator"]]

# %% [markdown]
# A PIL picture, an array `uint8 [H, W, 3]`, a folder, a pattern, or a list of these will do, too.

# %%
import numpy as np
from PIL import Image

black = np.zeros((300, 400, 3), np.uint8)
detector.predict([Image.open(pictures[0]), black])[["path", "verdict", "reason", "p_ai"]]

# %% [markdown]
# ## What a verdict rests on

# %%
detector.explain(pictures[-1], method="gradcam")

# %% [markdown]
# ## A model from elsewhere
#
# A function of PIL pictures that gives p(AI), or an ONNX file (`OnnxClassifier`), is evaluated on the same test
# pictures with the same metrics. Here it knows the brightness alone.


# %%
def brightness(pictures):
    return [np.asarray(picture).mean() / 255 for picture in pictures]


evaluation = pipeline.evaluate(brightness, "brightness")
evaluation

# %%
trained = pipeline.status().set_index("stage").artifact["evaluate"]
evaluation.compare(trained)

# %%
import shutil

shutil.rmtree(work)
