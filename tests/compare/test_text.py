"""The comparison as JSON, as text and as Markdown."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np

from artdetect.compare import compare, render_markdown, render_text

from .conftest import NEW, OLD, evaluated, pictures, predicted


def test_the_result_is_json_without_nan(pair: tuple[Path, Path]) -> None:
    result = compare(*pair, 20)
    assert json.loads(json.dumps(result, allow_nan=False)) == result


def test_the_same_seed_gives_the_same_result_and_another_other_intervals(pair: tuple[Path, Path]) -> None:
    assert compare(*pair, 20) == compare(*pair, 20)
    assert compare(*pair, 20)["metrics"] != compare(*pair, 20, seed=1)["metrics"]


def test_the_text_answers_first_and_has_all_parts(pair: tuple[Path, Path]) -> None:
    text = render_text(compare(*pair, 100))
    titles = [line for line in text.splitlines() if line and not line.startswith(" ")]
    assert [re.sub(r"\d+", "N", title.split(",")[0]) for title in titles[1:]] == [
        "Art from other sources", "Evaluations", "What changed", "Pictures", "Test metrics", "Right before",
        "Wrong before", "Accuracy by generator", "Accuracy by style",
    ]  # fmt: skip
    assert "On the 240 common test pictures (160 AI, 80 human) the new one is better in accuracy," in text
    assert re.search(r"package +keras +3.14.0 +3.15.1 +balance, train, evaluate", text)
    assert re.search(r"code +artdetect.pictures.images +11111111 +33333333", text)
    assert re.search(r"train +AI +8 +16 +latent_diffusion 4 → 13, stable_diffusion 4 → 3\n", text)
    assert re.search(r"ROC-AUC +0\.\d{4} +0\.\d{4} +\+0\.\d{4} +\+0\.\d{4} to \+0\.\d{4}  better\n", text)


NASTY = "test/a|b\\|c`d`*_[x](y)<img>&lt;\n\x1b[31m~$#.jpg"


def nasty() -> dict[str, Any]:
    old = predicted(pictures(30), 1, 9).assign(path=NASTY)
    new = old.assign(p_ai=1 - old.p_ai, verdict=np.where(old.p_ai >= 0.5, "human", "AI"), style="a|b")
    return compare(evaluated(OLD, old), evaluated(NEW, new, {"note": "x|y\x1b"}), 20)


def test_names_cannot_steer_the_terminal() -> None:
    text = render_text(nasty())
    assert all(line.isprintable() for line in text.splitlines())
    assert r"<img>&lt;\n\x1b[31m~$#.jpg" in text


def test_names_cannot_leave_their_cell_in_markdown() -> None:
    text = render_markdown(nasty())
    assert all(line.isprintable() for line in text.splitlines())
    assert r"test/a&#124;b\\&#124;c\`d\`\*\_\[x\](y)&lt;img&gt;&amp;lt;\\n\\x1b\[31m\~\$\#.jpg |" in text
    bars: list[int] = []
    for line in text.splitlines():
        bars = [*bars, line.count("|")] if line.startswith("|") else []
        assert len(set(bars)) <= 1, line
        assert line.startswith("|") == ("|" in line)
    assert len(re.findall("^## ", text, re.M)) == 1
    assert len(re.findall("^### ", text, re.M)) == 9
