"""The pipeline from Python, and models from elsewhere on its test pictures."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import artdetect
from artdetect import Evaluation, OnnxClassifier, Pipeline
from artdetect import config as configs
from artdetect.artifacts import stages, store
from artdetect.cli import main
from artdetect.core import paths
from artdetect.core.errors import ArtifactError, ConfigError, DataError, ModelError


@pytest.fixture(scope="module")
def pipeline(unpacked: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """Over the drawn pictures, in a root of this module's own with the stages up to balance built."""
    root = tmp_path_factory.mktemp("pipeline")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ARTDETECT_DATA", str(root / "data"))
        patch.setenv("ARTDETECT_ARTIFACTS", str(root / "artifacts"))
        yield built_pipeline(unpacked)


def built_pipeline(pictures: Path) -> Pipeline:
    from artdetect import audit, balance, download, index, plans
    from artdetect.index import scan

    made = Pipeline(configs.parse({"download": {"url": str(pictures)}, "evaluate": {"bootstrap_resamples": 200}}))
    config = made.config
    built = {}

    def build(name: str, inputs: dict, run) -> None:  # type: ignore[no-untyped-def,type-arg]
        plan = plans.plan(name, getattr(config, name), inputs)
        with store.build(name, plan.key, plan.parts) as out:
            run(out)
        built[name] = store.load(name, plan.key)

    build("download", {}, lambda out: download.run(config.download, out))
    root = download.folder(built["download"].folder)
    found = scan.scan(root, tables=download.tables(built["download"].folder))
    build("index", {"pictures": found}, lambda out: index.run(config.index, found, out))
    build("audit", {"index": built["index"]}, lambda out: audit.run(config.audit, built["index"].folder, root, out))
    inputs = {name: built[name] for name in stages.STAGES["balance"].inputs}
    folders = [artifact.folder for artifact in inputs.values()]
    build("balance", inputs, lambda out: balance.run(config.balance, *folders, out))
    return made


def brightness(pictures: Sequence[Image.Image]) -> list[float]:
    """A model from elsewhere."""
    return [float(np.asarray(picture).mean() / 255) for picture in pictures]


def test_status_is_a_row_a_stage(pipeline: Pipeline) -> None:
    table = pipeline.status()
    assert list(table.columns) == ["stage", "state", "why", "artifact"]
    assert list(table.stage) == [stage.name for stage in stages.CHAIN]
    assert list(table.state) == 4 * ["current"] + 4 * ["missing"]
    assert table.artifact[3].name == store.stored("balance")[0].key
    assert "<table" in pipeline._repr_html_()
    with pytest.raises(ArtifactError, match=r"report is missing: .*Pipeline\.run"):
        pipeline.report  # noqa: B018


def test_the_default_is_the_projects_config(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (file := tmp_path / "art.toml").write_text(f'[download]\nurl = "{tmp_path}"\n')
    monkeypatch.setenv("ARTDETECT_CONFIG", str(file))
    assert Pipeline(changes=["train.epochs=3"]).config == Pipeline(str(file), ["train.epochs=3"]).config
    assert repr(Pipeline()) == f"<Pipeline {file} (ARTDETECT_CONFIG)>"
    pd.testing.assert_frame_equal(artdetect.status(), Pipeline(file).status())
    with pytest.raises(ConfigError, match="Did you mean train"):
        Pipeline(changes=["trian.epochs=3"])


def test_a_model_from_elsewhere_gets_the_metrics_of_the_stage(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluation = pipeline.evaluate(brightness, "brightness", threshold=0.4)
    predictions = evaluation.predictions
    files = [paths.picture(Path(pipeline.config.download.url), path) for path in predictions.path]
    expected = brightness([Image.open(file).convert("RGB") for file in files])
    assert np.allclose(predictions.p_ai, expected, atol=1e-6)
    assert list(predictions.predicted) == ["AI" if p >= 0.4 else "human" for p in predictions.p_ai]
    accuracy = (predictions.predicted == predictions.label).mean()
    assert evaluation.metrics["accuracy"]["value"] == pytest.approx(accuracy)
    assert evaluation.metrics["accuracy"]["low"] <= accuracy <= evaluation.metrics["accuracy"]["high"]
    assert list(evaluation.table().metric[:3]) == ["accuracy", "balanced accuracy", "ROC-AUC"]
    assert "brightness" in evaluation._repr_html_()
    assert pipeline.evaluate(brightness, "brightness", threshold=0.4).folder == evaluation.folder

    other = pipeline.evaluate(lambda pictures: [1 - p for p in brightness(pictures)], "darkness")
    compared = other.compare(evaluation.folder)
    assert str(compared).startswith("brightness → darkness\n")
    assert compared._repr_markdown_().startswith("## brightness → darkness\n")
    assert compared.result["metrics"]["roc_auc"]["old"] == pytest.approx(
        1 - compared.result["metrics"]["roc_auc"]["new"]
    )
    assert "no longer exist" not in str(compared)
    assert main(["compare", evaluation.artifact.key, "newest"]) == 0
    assert capsys.readouterr().out.rstrip() == str(compared)
    assert main(["gc", "--keep-days", "1"]) == 0
    assert {artifact.key for artifact in store.stored("evaluate")} >= {evaluation.artifact.key, other.artifact.key}


@pytest.mark.slow
def test_an_onnx_file_and_a_function_stand_on_one_page_from_the_command_line(
    pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.toml").write_text(configs.dump(pipeline.config))
    (tmp_path / "theirs.py").write_text("def half(pictures):\n    return [0.25] * len(pictures)\n")
    options = ["--config", "config.toml", "--set", "evaluate.robustness_pictures=6"]
    assert main(["evaluate", "theirs:half", *options]) == 0
    half = store.stored("evaluate")[-1]
    assert capsys.readouterr().out.startswith("half on 18 test pictures, 95 % intervals:\naccuracy ")
    onnx_file(tmp_path / "red.onnx", [None, 8, 8, 3])
    given = ["red.onnx", "--threshold", "0.4", "--beside", half.key, "--html", "page.html"]
    assert main(["evaluate", *given, *options]) == 0
    assert f"Compare: artdetect compare {half.key} " in capsys.readouterr().out
    metrics = pipeline.evaluate(OnnxClassifier("red.onnx"), "red", threshold=0.4).metrics
    page = (tmp_path / "page.html").read_text()
    for value, kind in ((metrics["accuracy"]["value"], "num"), (6 / 18, "num second")):
        assert f'<td class="{kind}">{value:.3f} <span class="hint">' in page
    assert "A model from elsewhere, <code>red</code>, judged the test pictures" in page
    assert 'id="robustness"' in page
    assert "The other model was not judged on the same degraded pictures" in page
    assert page.count('<figure class="card" id="mistakes-') == round(18 * (1 - metrics["accuracy"]["value"]))
    assert page.count('<img src="data:image/webp') >= page.count('<figure class="card"')
    assert "<script" not in page
    written = Evaluation(store.load("evaluate", half.key), "half").report(tmp_path / "half.html", half.folder)
    assert "a difference of 0 points" in written.read_text()


@pytest.mark.parametrize(
    ("model", "says"),
    [
        ("none.onnx", "none.onnx: there is no such file"),
        ("half", "half: expected an ONNX file, or MODULE:FUNCTION"),
        ("not_there:half", "not_there:half: No module named"),
        ("math:pi", "math:pi: it is not a function, but a float"),
    ],
)
def test_what_is_no_model_is_one_line(
    model: str, says: str, pipeline: Pipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", model, "--set", f"download.url={pipeline.config.download.url}"]) == 2
    assert f"artdetect: {says}" in capsys.readouterr().err


@pytest.mark.parametrize("wrong", [[0.5], 2.0, float("nan")])
def test_a_model_that_gives_no_probabilities_is_an_error(pipeline: Pipeline, wrong: object) -> None:
    with pytest.raises(DataError, match=r"the model must give a p\(AI\) in \[0, 1\] for each of \d+ pictures"):
        pipeline.evaluate(lambda pictures: wrong if isinstance(wrong, list) else [wrong] * len(pictures), "wrong")


def test_stages_that_are_not_built_are_named(roots: Path, unpacked: Path) -> None:
    with pytest.raises(ArtifactError, match=r"download is missing: never built\. Build it with Pipeline\.run"):
        Pipeline(configs.parse({"download": {"url": str(unpacked)}})).evaluate(brightness, "brightness")


def onnx_file(path: Path, shape: list[object], softmax: bool = False) -> Path:
    """A net that gives the mean of each channel but the last; with `softmax`, as logits of two classes."""
    from onnx import TensorProto, helper, numpy_helper, save

    axes = [2, 3] if shape[1] == 3 else [1, 2]
    nodes = [
        helper.make_node("ReduceMean", ["picture"], ["means"], axes=axes, keepdims=0),
        helper.make_node("Gather", ["means", "columns"], ["out"], axis=1),
    ]
    columns = numpy_helper.from_array(np.array([0, 1] if softmax else [0]), "columns")
    graph = helper.make_graph(
        nodes,
        "means",
        [helper.make_tensor_value_info("picture", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, [None, 2 if softmax else 1])],
        [columns],
    )
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    return path


@pytest.mark.parametrize("shape", [[None, 8, 8, 3], [None, 3, 8, 8], [None, 3, "h", "w"]])
def test_an_onnx_file_is_a_model_whatever_its_layout(tmp_path: Path, shape: list[object]) -> None:
    red = Image.new("RGB", (20, 10), (255, 0, 51))
    model = OnnxClassifier(onnx_file(tmp_path / "m.onnx", shape), size=8)
    assert np.allclose(model([red, red]), [1.0, 1.0])
    shifted = OnnxClassifier(onnx_file(tmp_path / "m.onnx", shape), size=8, mean=(0.5,) * 3, std=(2,) * 3, logits=True)
    assert np.allclose(shifted([red]), 1 / (1 + np.exp(-0.25)))


def test_an_onnx_file_with_two_logits_and_one_that_is_none(tmp_path: Path) -> None:
    red = Image.new("RGB", (20, 10), (255, 0, 0))
    model = OnnxClassifier(onnx_file(tmp_path / "m.onnx", [None, 8, 8, 3], softmax=True), logits=True, ai=1)
    assert np.allclose(model([red]), 1 / (1 + np.e))
    (broken := tmp_path / "broken.onnx").write_bytes(b"no")
    with pytest.raises(ModelError, match=r"broken\.onnx: ONNX Runtime cannot load it"):
        OnnxClassifier(broken)
    with pytest.raises(ModelError, match="give its side as `size`"):
        OnnxClassifier(onnx_file(tmp_path / "open.onnx", [None, 3, "h", "w"]))
    with pytest.raises(ModelError, match=r"expected \[N, size, size, 3\]"):
        OnnxClassifier(onnx_file(tmp_path / "grey.onnx", [None, 1, 8, 8]))
