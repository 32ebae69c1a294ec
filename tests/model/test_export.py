import json
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from artdetect.cli import main
from artdetect.core import installing
from artdetect.core.errors import ConfigError, ModelError, StorageError
from artdetect.model import export as exports
from artdetect.model import onnx_convert, output_check, tensorflow_setup
from artdetect.model.card import read_card
from artdetect.model.detector import Detector
from artdetect.model.evidence import MARGIN
from artdetect.model.export import CARD, FORMATS, ONNX_FILE, ExportResult, Format, export
from artdetect.model.onnx_runtime import FEATURES
from artdetect.model.output_check import TOLERANCE
from artdetect.pictures.images import Geometry
from tests.tiny_dataset import write

SIZE = 16
OUTPUTS = {"probabilities": 2, "generators": 3, "novelty": 1, "embedding": 4}

every_format = pytest.mark.parametrize("format", FORMATS)


@pytest.fixture(scope="module")
def plain() -> Detector:
    """A net with one unnamed output."""
    tensorflow_setup.load_tensorflow()
    import keras
    from keras import layers

    keras.utils.set_random_seed(5)
    net = keras.Sequential(
        [
            keras.Input((None, None, 3), name="picture"),
            layers.Conv2D(4, 3, strides=2),
            layers.BatchNormalization(),
            layers.GlobalAveragePooling2D(),
            layers.Dropout(0.5),
            layers.Dense(2, activation="softmax"),
        ]
    )
    return Detector(net, "plain", Geometry(SIZE, "crop"), {"seed": 5, "trained_on": 44}, digest="0123456789")


@pytest.fixture(scope="module")
def named(plain: Detector) -> Detector:
    """A net with named outputs, features pooled as in artnet, and constants that are not weights."""
    import keras
    from keras import layers, ops

    picture = keras.Input((None, None, 3), name="picture")
    x = layers.Normalization(mean=[0.5, 0.4, 0.3], variance=[0.1, 0.2, 0.3])(picture)
    x = layers.ReLU(6.0)(layers.DepthwiseConv2D(3, padding="same")(layers.Conv2D(6, 3, strides=2)(x)))
    x = ops.concatenate([ops.mean(x, axis=(1, 2)), ops.sqrt(ops.var(x, axis=(1, 2)) + 1e-6)], axis=-1)
    embedding = layers.Dense(OUTPUTS["embedding"], name="embedding")(x)
    outputs = {
        "probabilities": layers.Dense(2, activation="softmax", name="probabilities")(embedding),
        "generators": layers.Dense(OUTPUTS["generators"], activation="softmax", name="generators")(embedding),
        "novelty": ops.sqrt(ops.sum(ops.square(embedding), axis=-1, keepdims=True)),
        "embedding": embedding,
    }
    return Detector(keras.Model(picture, outputs), "named", Geometry(SIZE, "crop"), {})


def pixels(number: int) -> np.ndarray:
    return np.random.default_rng(number).random((number, SIZE, SIZE, 3), np.float32)


def run(exported: ExportResult, pictures: np.ndarray) -> dict[str, np.ndarray]:
    """The outputs of an export, run without artdetect."""
    if exported.path.name == ONNX_FILE:
        import onnxruntime

        session = onnxruntime.InferenceSession(exported.path)
        names = [output.name for output in session.get_outputs() if not output.name.startswith((MARGIN, FEATURES))]
        return dict(zip(names, session.run(names, {"picture": pictures}), strict=True))
    import tensorflow as tf

    loaded = tf.saved_model.load(exported.path)
    return {name: value.numpy() for name, value in loaded.serve(pictures).items()}


def changed_after(format: Format, change: Callable[[np.ndarray], np.ndarray]):
    """A writer that changes the model's weights afterwards, as if writing had gone wrong."""
    right = exports._WRITERS[format]

    def writer(detector: Detector, folder: Path):
        written = right(detector, folder)
        detector.model.set_weights([change(weight) for weight in detector.model.get_weights()])
        return written

    return writer


# --- exports ---


@every_format
def test_an_export_gives_the_models_outputs_for_any_number_of_pictures(
    plain: Detector, format: Format, tmp_path: Path
) -> None:
    exported = export(plain, format, tmp_path / "out")
    for number in (1, 2, 7):
        outputs = run(exported, pixels(number))
        assert list(outputs) == ["probabilities"]
        expected = plain.model(pixels(number), training=False).numpy()
        np.testing.assert_allclose(outputs["probabilities"], expected, atol=1e-6)
    assert list(exported.differences) == ["probabilities"]
    assert 0 <= exported.differences["probabilities"] <= TOLERANCE


@every_format
def test_outputs_keep_their_names(named: Detector, format: Format, tmp_path: Path) -> None:
    exported = export(named, format, tmp_path / "out")
    outputs = run(exported, pixels(3))
    assert {name: value.shape for name, value in outputs.items()} == {name: (3, k) for name, k in OUTPUTS.items()}
    for name, expected in named.model(pixels(3), training=False).items():
        np.testing.assert_allclose(outputs[name], expected.numpy(), atol=1e-5)
    assert exported.differences.keys() == OUTPUTS.keys()
    assert all(0 <= difference <= TOLERANCE for difference in exported.differences.values())


@every_format
def test_the_card_is_the_models_and_names_it(plain: Detector, format: Format, tmp_path: Path) -> None:
    plain.save(tmp_path / "model.keras")
    exported = export(plain, format, tmp_path / "out")
    card = json.loads((tmp_path / "out" / CARD).read_text())
    assert card == read_card(tmp_path / "model.keras") | {"model": "plain-01234567"}
    assert (card["geometry"], card["classes"]) == ({"size": SIZE, "fit": "crop"}, ["AI", "human"])
    assert exported.path == tmp_path / "out" / (ONNX_FILE if format == "onnx" else "")
    assert {path.name for path in tmp_path.iterdir()} == {"model.keras", "out"}


def test_onnx_takes_pictures_of_the_geometrys_size_and_old_runtimes_read_it(plain: Detector, tmp_path: Path) -> None:
    import onnx

    net = onnx.load(export(plain, "onnx", tmp_path / "out").path)
    onnx.checker.check_model(net, full_check=True)
    (picture,) = net.graph.input
    assert [dim.dim_param or dim.dim_value for dim in picture.type.tensor_type.shape.dim] == ["N", SIZE, SIZE, 3]
    assert {opset.version for opset in net.opset_import if not opset.domain} == {17}
    assert not net.graph.doc_string


@every_format
@pytest.mark.usefixtures("conversions")
def test_converters_are_quiet_and_the_same_model_gives_the_same_bytes(
    plain: Detector, format: Format, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    exported = export(plain, format, tmp_path / "out")
    if format == "onnx":
        again = export(plain, format, tmp_path / "again")
        assert again.path.read_bytes() == exported.path.read_bytes()
    print("still shown", file=sys.stderr)
    assert capfd.readouterr() == ("", "still shown\n")


# --- refusals ---


@every_format
@pytest.mark.parametrize("change", [lambda weight: weight * 1.01, lambda weight: weight * np.nan])
def test_an_export_with_other_outputs_is_refused_and_an_earlier_one_stays(
    plain: Detector,
    format: Format,
    change: Callable[[np.ndarray], np.ndarray],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    earlier = write(tmp_path / "earlier" / CARD, b"{}")
    weights = plain.model.get_weights()
    monkeypatch.setitem(exports._WRITERS, format, changed_after(format, change))
    try:
        for name in ("earlier", "out"):
            with pytest.raises(
                ModelError, match=rf"plain-01234567: the {format} export gives other outputs: probabilities"
            ):
                export(plain, format, tmp_path / name)
    finally:
        plain.model.set_weights(weights)
    assert [path.name for path in tmp_path.iterdir()] == ["earlier"]
    assert earlier.read_text() == "{}"


@pytest.mark.parametrize("given", [{"novelty": np.zeros(1)}, {"probabilities": np.zeros((1, 2))}])
def test_another_name_or_shape_is_no_rounding(given: dict[str, np.ndarray]) -> None:
    wanted = {"probabilities": np.zeros((5, 2))}
    assert output_check.differences(lambda _: wanted, lambda _: given, SIZE) == dict.fromkeys(given, np.inf)


@pytest.mark.parametrize("slope", [1.0, 1e3])
def test_noise_of_features_is_no_reason_to_refuse_a_steep_head(slope: float) -> None:
    """A steep head turns it into a difference of probabilities; another model differs by more than noise."""
    random = np.random.default_rng(4)
    features, kernel = random.standard_normal((5, 40)), slope * random.standard_normal(40)

    def outputs(noise: float) -> dict[str, np.ndarray]:
        logits = (features + noise * random.standard_normal(features.shape)) @ kernel
        p_ai = 1 / (1 + np.exp(-np.clip(logits - np.median(logits), -30, 30)))
        return {"probabilities": np.stack([p_ai, 1 - p_ai], axis=1)}

    exact = outputs(0)
    noisy = output_check.differences(lambda _: exact, lambda _: outputs(1e-5), SIZE)
    other = output_check.differences(lambda _: exact, lambda _: outputs(10), SIZE)
    output_check.require_same(noisy, "onnx")
    with pytest.raises(ModelError, match="the onnx export gives other outputs: probabilities differs by"):
        output_check.require_same(other, "onnx")


def test_an_op_that_onnx_lacks_is_named_and_the_other_format_has_it(plain: Detector, tmp_path: Path) -> None:
    import keras
    from keras import layers, ops

    picture = keras.Input((SIZE, SIZE, 3), name="picture")
    x = ops.erfinv(layers.Flatten()(picture) / 2)
    lacking = replace(plain, runtime=keras.Model(picture, layers.Dense(2, activation="softmax")(x)))
    with pytest.raises(
        ModelError, match=r"cannot be exported as onnx \(.*Erfinv.*\)\. .*Try the other format"
    ) as error:
        export(lacking, "onnx", tmp_path / "out")
    assert "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == []
    assert export(lacking, "saved_model", tmp_path / "out").path.is_dir()


@pytest.mark.parametrize("package", ["tf2onnx", "onnx"])
def test_a_missing_package_is_one_line_that_says_how_to_get_it(
    plain: Detector, package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx_convert, "find_spec", lambda name: None if name == package else True)
    with pytest.raises(ConfigError, match=re.escape(f"ONNX needs {package}. Run `{installing.extra('export')}`")):
        export(plain, "onnx", tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
    export(plain, "saved_model", tmp_path / "out")


# --- the folder ---


def test_an_earlier_export_is_replaced_as_a_whole(plain: Detector, tmp_path: Path) -> None:
    export(plain, "saved_model", tmp_path / "new" / "out")
    export(plain, "onnx", tmp_path / "new" / "out")
    assert {path.name for path in (tmp_path / "new" / "out").iterdir()} == {ONNX_FILE, CARD}
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["out"]


def test_an_empty_folder_becomes_the_export(plain: Detector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "out").mkdir()
    monkeypatch.chdir(tmp_path)
    assert export(plain, "saved_model", Path("out")).path == tmp_path / "out"
    assert (tmp_path / "out" / "saved_model.pb").is_file()


@pytest.mark.parametrize("there", ["a file", "a foreign SavedModel", "an export with a file added"])
def test_anything_else_is_left_alone(plain: Detector, there: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    files = {
        "a file": [out],
        "a foreign SavedModel": [out / "saved_model.pb"],
        "an export with a file added": [out / ONNX_FILE, out / CARD, out / "mine.txt"],
    }[there]
    for path in files:
        write(path, b"mine")
    with pytest.raises(StorageError, match=rf"{out}: this exists and is not an export\. Name a folder"):
        export(plain, "saved_model", out)
    assert all(path.read_text() == "mine" for path in files)
    assert list(tmp_path.iterdir()) == [out]


# --- the command ---


@every_format
def test_the_command_prints_the_path_and_the_differences(
    plain: Detector, format: Format, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain.save(tmp_path / "model.keras")
    places = ["--model", str(tmp_path / "model.keras"), "--out", str(tmp_path / "out")]
    assert main(["export", "--format", format, *places]) == 0
    path, message = capsys.readouterr().out.splitlines()
    assert Path(path) == tmp_path / "out" / (ONNX_FILE if format == "onnx" else "")
    assert re.fullmatch(r"Its outputs equal the model's; largest differences: probabilities \d\.\de[-+]\d\d", message)
    assert main(["export", "--format", format, "--model", str(tmp_path / "model.keras"), "--out", str(tmp_path)]) == 2
    assert "this exists and is not an export" in capsys.readouterr().err
