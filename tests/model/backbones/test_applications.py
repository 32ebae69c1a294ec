"""The nets of `keras.applications`: the same output as Keras on scaled pixels, from files and without code."""

import errno
import pickle
import socket
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest

from artdetect.core.errors import ConfigError, ModelError, StorageError
from artdetect.model import backbones, tensorflow_setup
from artdetect.model.backbones import applications

tensorflow_setup.load_tensorflow()
import keras  # noqa: E402
from keras.src.applications.efficientnet import DEFAULT_BLOCKS_ARGS as EFFICIENTNET_BLOCKS  # noqa: E402

PICTURES = np.random.default_rng(3).random((2, 64, 96, 3), np.float32)
SCALED = {
    "caffe": (PICTURES[..., ::-1] * 255 - (103.939, 116.779, 123.68)).astype(np.float32),
    "tf": PICTURES * 2 - 1,
    "torch": ((PICTURES - (0.485, 0.456, 0.406)) / (0.229, 0.224, 0.225)).astype(np.float32),
}
FIVE = ["stride2", "stride4", "stride8", "stride16", "stride32"]


@pytest.fixture(
    scope="module",
    params=[
        ("ResNet50", "resnet50", "caffe"),
        ("MobileNetV2", "MobileNet-v2", "tf"),
        ("DenseNet121", "dense_net 121", "torch"),
    ],
    ids=["caffe", "tf", "torch"],
)
def net(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """One of Keras's nets with random weights, and the same as a backbone from a file with these weights."""
    name, written, mode = request.param
    keras.utils.set_random_seed(5)
    own = getattr(keras.applications, name)(include_top=False, weights=None)
    path = save(own, tmp_path_factory.mktemp("weights") / "net.h5")
    return SimpleNamespace(name=name, own=own, mode=mode, loaded=backbones.load(written, str(path)))


def save(model: keras.Model, path: Path) -> Path:
    """A weights file, in the format that its name says."""
    model.save_weights(path) if path.name.endswith(".weights.h5") else model.save(path)
    return path


def assert_same(found: np.ndarray, expected: np.ndarray) -> None:
    assert np.std(expected) > 0.1 * np.abs(expected).mean()
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())


# --- the same as Keras's own ---


@pytest.mark.slow
def test_a_net_from_a_file_is_keras_own_on_pixels_that_were_scaled(net: SimpleNamespace) -> None:
    assert net.loaded.input_shape == (None, None, None, 3)
    assert net.loaded.name == net.own.name
    expected = net.own(SCALED[net.mode]).numpy()
    assert expected.shape == (2, 2, 3, net.own.output_shape[-1])
    assert_same(net.loaded(PICTURES).numpy(), expected)


@pytest.mark.parametrize(("mode", "module"), [("caffe", "vgg16"), ("tf", "xception"), ("torch", "densenet")])
def test_the_scaling_comes_back_from_a_file_without_code(mode: str, module: str, tmp_path: Path) -> None:
    def build(*, input_tensor, **_) -> SimpleNamespace:
        return SimpleNamespace(output=keras.layers.ZeroPadding2D(1)(input_tensor), name="net")

    build.__module__ = f"keras.applications.{module}"
    model = applications._with_scaling(build, None)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras", safe_mode=True)
    for one in (model, again):
        np.testing.assert_allclose(one(PICTURES).numpy()[:, 1:-1, 1:-1], SCALED[mode], atol=1e-4)


def test_an_efficientnet_from_a_file_is_what_keras_makes_of_the_file_it_downloads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such files hold standard deviations in place of variances, which Keras corrects only for its own downloads."""
    monkeypatch.setattr("keras.src.applications.efficientnet.DEFAULT_BLOCKS_ARGS", EFFICIENTNET_BLOCKS[:1])  # quicker
    with monkeypatch.context() as patch:
        patch.setattr("keras.src.utils.file_utils.get_file", lambda *_, **__: "downloaded.h5")
        patch.setattr(keras.Model, "load_weights", lambda *_: None)
        own = keras.applications.EfficientNetB0(include_top=False)
    layer = normalisation(own)
    layer.set_weights([np.array((0.485, 0.456, 0.406)), np.array((0.229, 0.224, 0.225)), np.array(0)])
    layer.finalize_state()
    loaded = backbones.load("EfficientNetB0", str(save(own, tmp_path / "net.weights.h5")))
    assert_same(loaded(PICTURES).numpy(), own(PICTURES * 255).numpy())
    np.testing.assert_allclose(normalisation(loaded)(PICTURES).numpy(), SCALED["torch"], rtol=1e-4, atol=1e-5)


def test_the_normalisation_of_an_efficientnet_that_was_never_on_imagenet_stays() -> None:
    model = keras.Sequential([keras.Input((64, 96, 3)), keras.layers.Normalization()])
    applications._fix_variance(model)
    np.testing.assert_array_equal(model(PICTURES).numpy(), PICTURES)


def normalisation(model: keras.Model) -> keras.layers.Normalization:
    (layer,) = (layer for layer in model.layers if isinstance(layer, keras.layers.Normalization))
    return layer


# --- block outputs ---


@pytest.mark.slow
def test_block_outputs_are_the_last_of_each_resolution_to_the_end(net: SimpleNamespace) -> None:
    outputs = backbones.block_outputs(net.loaded)
    assert list(outputs) == FIVE
    assert list(outputs.values())[-1] is net.loaded.output
    shapes = keras.Model(net.loaded.input, list(outputs.values())).compute_output_shape((1, 64, 96, 3))
    assert [shape[1:3] for shape in shapes] == [(32, 48), (16, 24), (8, 12), (4, 6), (2, 3)]
    channels = {
        "ResNet50": [64, 256, 512, 1024, 2048],
        "MobileNetV2": [96, 144, 192, 576, 1280],
        "DenseNet121": [64, 128, 256, 512, 1024],
    }
    assert [shape[3] for shape in shapes] == channels[net.name]


@pytest.mark.parametrize(
    ("name", "names", "channels"),
    [
        ("VGG16", ["stride1", *FIVE], [64, 128, 256, 512, 512, 512]),
        ("Xception", FIVE, [64, 128, 256, 728, 2048]),
        ("ConvNeXtTiny", FIVE[1:], [96, 192, 384, 768]),
    ],
)
def test_block_outputs_are_where_branches_meet(name: str, names: list[str], channels: list[int]) -> None:
    """They are not on one of two paths, the wider one in Xception."""
    model = applications._with_scaling(getattr(keras.applications, name), None)
    outputs = backbones.block_outputs(model)
    assert list(outputs) == names
    assert [output.shape[-1] for output in outputs.values()] == channels
    assert list(outputs.values())[-1] is model.output


# --- refusals ---


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("resnet51", "Did you mean ResNet50 or"),
        ("EfficientNet-Lite0", "Did you mean efficientnet-lite0 or efficientnet-lite2"),
        ("mobilenetv", "MobileNetV2"),
        (
            "alexnet!",
            r"Known are efficientnet-lite0, efficientnet-lite2 and those of https://keras\.io/api/applications",
        ),
        ("", "unknown backbone ''"),
        ("resnet", "unknown backbone 'resnet'"),  # a module of Keras, not a net
        ("__builtins__", "unknown backbone"),
    ],
)
def test_an_unknown_net_is_one_line_that_suggests_similar_names(name: str, hint: str) -> None:
    with pytest.raises(ConfigError, match=hint) as error:
        backbones.load(name)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["absent.h5", "absent.weights.h5", "", "there.keras", "there.pkl", "folder.h5"])
def test_a_file_that_is_not_there_or_no_weights_file_is_one_line(name: str, tmp_path: Path) -> None:
    (tmp_path / "folder.h5").mkdir()
    for there in ("there.keras", "there.pkl"):
        (tmp_path / there).write_bytes(pickle.dumps(print))
    with pytest.raises(ModelError, match="no such weights file"):
        backbones.load("MobileNetV2", str(tmp_path / name))


@pytest.mark.parametrize("suffix", [".weights.h5", ".h5"])
@pytest.mark.parametrize("how", ["noise", "another net", "truncated", "elsewhere"])
def test_a_file_that_does_not_fit_is_one_line(
    how: str, suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`elsewhere` is a data set that HDF5 would read from another file of this machine."""
    monkeypatch.setattr(applications, "_with_scaling", lambda *_: small())
    path = save(small(), tmp_path / f"net{suffix}")
    if how == "noise":
        path.write_bytes(np.random.default_rng(1).bytes(5000))
    elif how == "another net":
        save(small(channels=5), path)
    elif how == "truncated":
        path.write_bytes(path.read_bytes()[:-2000])
    else:
        move_kernel_elsewhere(path, tmp_path / "secret")
    with pytest.raises(ModelError, match="these weights do not fit MobileNetV2") as error:
        backbones.load("MobileNetV2", str(path))
    assert "\n" not in str(error.value)


def small(channels: int = 4) -> keras.Model:
    return keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(channels, 3, name="conv")])


def move_kernel_elsewhere(path: Path, secret: Path) -> None:
    secret.write_bytes(bytes(3 * 3 * 3 * 4 * 4))
    with h5py.File(path, "r+") as file:
        names: list[str] = []
        file.visititems(lambda name, item: names.append(name) if getattr(item, "shape", ()) == (3, 3, 3, 4) else None)
        (name,) = names
        del file[name]
        file.create_dataset(name, (3, 3, 3, 4), "f4", external=[(str(secret), 0, h5py.h5f.UNLIMITED)])


# --- without a network ---


@pytest.fixture
def nothing_downloaded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("keras.src.backend.config._KERAS_DIR", str(tmp_path))


@pytest.fixture
def through(nothing_downloaded: None) -> Iterator[Callable[[int], None]]:
    """Sends downloads to a port of this machine."""

    def install(port: int) -> None:
        proxy = urllib.request.ProxyHandler({"https": f"http://127.0.0.1:{port}"})
        urllib.request.install_opener(urllib.request.build_opener(proxy))

    yield install
    urllib.request.install_opener(None)  # type: ignore[arg-type]


@pytest.mark.parametrize(("listens", "reason"), [(False, "Connection refused"), (True, "timed out")])
def test_without_a_network_it_says_so_at_once(
    listens: bool, reason: str, through: Callable[[int], None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(applications, "DOWNLOAD_TIMEOUT", 0.3)
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        if listens:  # and never answers
            server.listen()
        through(server.getsockname()[1])
        with pytest.raises(
            ModelError, match=f"VGG16: its ImageNet weights could not be downloaded .*{reason}"
        ) as error:
            backbones.load("vgg16")
    assert "Name a file that holds them in train.weights, or use efficientnet-lite0" in str(error.value)
    assert "\n" not in str(error.value)
    assert socket.getdefaulttimeout() is None
    assert not list((tmp_path / "models").iterdir())


@pytest.mark.usefixtures("nothing_downloaded")
def test_a_full_disk_is_not_taken_for_a_missing_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "weights.h5")

    monkeypatch.setattr("keras.src.utils.file_utils.urlretrieve", full)
    with pytest.raises(StorageError, match="the disk is full"):
        backbones.load("vgg16")
