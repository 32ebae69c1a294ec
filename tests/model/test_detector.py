import io
import json
import pickle
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest

from artdetect.artifacts import file_names
from artdetect.core.errors import ModelError
from artdetect.model.card import read_card
from artdetect.model.decision import DecisionRule
from artdetect.model.detector import Detector
from artdetect.model.frozen_backbone import LAYER
from artdetect.model.scores import Scores
from artdetect.pictures.images import Geometry

pytestmark = pytest.mark.bits


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    return np.random.default_rng(6).integers(0, 256, (300, 32, 32, 3), np.uint8)


def rewritten(model: Path, target: Path, **members: bytes | None) -> Path:
    """A copy of a model file with changed members; None removes one. `__` stands for the dot in a name."""
    changed = {name.replace("__", "."): content for name, content in members.items()}
    with zipfile.ZipFile(model / file_names.MODEL) as source, zipfile.ZipFile(target, "w") as archive:
        for name in source.namelist():
            content = changed.get(name, source.read(name))
            if content is not None:
                archive.writestr(name, content)
    return target


def net_with_all_outputs(last: str = "mean"):
    """A net with all outputs: the embedding is the mean colour, in a layer named `last`, novelty is the mean blue."""
    import keras
    from keras import ops

    picture = keras.Input((32, 32, 3), name="picture")
    mean = keras.layers.GlobalAveragePooling2D(name=last)(picture)
    logit = ops.multiply(mean[:, :1] - mean[:, 1:2], 5.0)
    outputs = {
        "probabilities": keras.layers.Softmax(name="probabilities")(ops.concatenate([logit, -logit], axis=1)),
        "novelty": mean[:, 2:],
        "generators": keras.layers.Softmax(name="generators")(3 * mean),
        "embedding": 1 * mean,
    }
    return keras.Model(picture, outputs, name="all_outputs")


def lambda_model(**options: object):
    import keras

    return keras.Sequential([keras.Input((32, 32, 3)), keras.layers.Lambda(lambda x: x[:, 0, 0, :2], **options)])


# --- use ---


def test_p_ai_of_many_is_that_of_each_alone(model: Path, pixels: np.ndarray) -> None:
    """Neither the size of a batch nor its other pictures may change the result."""
    detector = Detector.load(model)
    together = detector.p_ai(pixels)
    assert together.shape == (300,)
    assert together.dtype == np.float64
    assert np.unique(together).size > 250
    for number in (0, 1, 255, 256, 299):
        assert detector.p_ai(pixels[number : number + 1])[0] == together[number]
    np.testing.assert_array_equal(detector.p_ai(pixels[:257]), together[:257])


def test_p_ai_is_the_models_own_first_output_on_zero_to_one(model: Path, pixels: np.ndarray) -> None:
    detector = Detector.load(model)
    expected = detector.model.predict(pixels[:20].astype(np.float32) / 255, verbose=0)[:, 0]
    np.testing.assert_allclose(detector.p_ai(pixels[:20]), expected, atol=1e-6)


def test_nothing_in_nothing_out(model: Path, pixels: np.ndarray) -> None:
    detector = Detector.load(model)
    assert detector.p_ai(pixels[:0]).shape == (0,)


@pytest.mark.parametrize(("p_ai", "verdict"), [(1.0, "AI"), (0.5, "AI"), (0.4999, "human"), (0.0, "human")])
def test_without_a_rule_of_its_own_the_verdict_is_the_likelier_class(p_ai: float, verdict: str) -> None:
    rule = Detector(None, "notebook", Geometry(32, "squash"), {}).rule
    p = np.array([p_ai])
    assert (rule.predicted(p).tolist(), rule.verdicts(p, rule.reasons(p)).tolist()) == ([verdict], [verdict])


def test_scores_are_the_outputs_by_name_bit_for_bit_whatever_the_batches(pixels: np.ndarray) -> None:
    detector = Detector(net_with_all_outputs(), "artnet", Geometry(32, "squash"), {}, families=("SD", "LD", "MJ"))
    scores = detector.scores(pixels)
    mean = pixels.astype(np.float32).mean((1, 2)) / 255
    np.testing.assert_allclose(scores.p_ai, 1 / (1 + np.exp(-10 * (mean[:, 0] - mean[:, 1]))), atol=1e-5)
    np.testing.assert_allclose(scores.novelty, mean[:, 2], atol=1e-6)
    np.testing.assert_allclose(scores.embedding, mean, atol=1e-6)
    assert scores.generators is not None
    assert scores.generators.shape == (300, 3)
    few = detector.scores(pixels[250:260])
    for name in ("p_ai", "novelty", "generators", "embedding"):
        assert getattr(few, name).dtype == np.float64
        np.testing.assert_array_equal(getattr(few, name), getattr(scores, name)[250:260])
    assert detector.scores(pixels[:0]).embedding.shape == (0, 3)


def test_a_model_with_a_frozen_part_gives_the_same_scores_in_two_steps(pixels: np.ndarray) -> None:
    plain, split = (
        Detector(net_with_all_outputs(last), "artnet", Geometry(32, "squash"), {}, families=("SD", "LD", "MJ"))
        for last in ("mean", LAYER)
    )
    assert plain.frozen is None
    assert split.frozen is not None
    features = split.features(pixels)
    assert features.shape == (300, split.frozen.width)
    expected, scores = plain.scores(pixels), split.scores(pixels)
    for name in ("p_ai", "novelty", "generators", "embedding"):
        np.testing.assert_allclose(getattr(scores, name), getattr(expected, name), atol=1e-6)
        np.testing.assert_array_equal(getattr(split.scores_from_features(features), name), getattr(scores, name))
        np.testing.assert_array_equal(
            getattr(split.scores_from_features(features[7:9]), name), getattr(scores, name)[7:9]
        )
    assert split.features(pixels[:0]).shape == (0, 3)


def test_the_id_of_a_frozen_part_depends_on_what_it_computes(tmp_path: Path) -> None:
    """It does not depend on the head, and saving and loading does not change it."""

    def detector(name: str, kernel: float, head: float) -> Detector:
        import keras

        picture = keras.Input((32, 32, 3), name="picture")
        x = keras.layers.Conv2D(2, 3, kernel_initializer=keras.initializers.Constant(kernel), name="look")(picture)
        x = keras.layers.GlobalAveragePooling2D(name=LAYER)(x)
        x = keras.layers.Dense(2, "softmax", kernel_initializer=keras.initializers.Constant(head), name=name)(x)
        return Detector(keras.Model(picture, x, name=name), "artnet", Geometry(32, "squash"), {})

    first = detector("one", 0.5, 1)
    first.save(tmp_path / file_names.MODEL)
    ids = [
        one.frozen.id
        for one in (first, Detector.load(tmp_path), detector("two", 0.5, 2), detector("one", 0.25, 1))
        if one.frozen
    ]
    assert ids[0] == ids[1] == ids[2] != ids[3]
    assert len(ids) == 4


def test_a_generator_is_named_where_it_is_likely_and_other_where_none_is(pixels: np.ndarray) -> None:
    detector = Detector(net_with_all_outputs(), "artnet", Geometry(32, "squash"), {}, families=("SD", "LD", "MJ"))
    shares = np.array([[0.2, 0.7, 0.1], [0.5, 0.3, 0.2], [0.49, 0.31, 0.2]])
    names, likely = detector.predicted_generator(Scores(np.ones(3), generators=shares))
    assert names.tolist() == ["LD", "SD", "other"]
    assert likely.tolist() == [0.7, 0.5, 0.49]


def test_the_classifier_is_the_model_with_its_probabilities_alone(model: Path, pixels: np.ndarray) -> None:
    detector = Detector(
        net := net_with_all_outputs(), "artnet", Geometry(32, "squash"), {}, families=("SD", "LD", "MJ")
    )
    x = pixels[:5].astype(np.float32) / 255
    np.testing.assert_array_equal(detector.classifier(x), net(x)["probabilities"])
    plain = Detector.load(model)
    assert plain.classifier is plain.model


def test_pixels_that_were_scaled_already_are_refused(model: Path, pixels: np.ndarray) -> None:
    with pytest.raises(TypeError, match="uint8"):
        Detector.load(model).p_ai(pixels[:3].astype(np.float32) / 255)


def test_weights_that_are_not_finite_are_a_model_error(pixels: np.ndarray) -> None:
    import keras

    net = keras.Sequential([keras.Input((32, 32, 3)), keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(2)])
    net.set_weights([np.full(weight.shape, np.nan) for weight in net.get_weights()])
    broken = Detector(net, "notebook", Geometry(32, "squash"), {})
    with pytest.raises(ModelError, match="not finite"):
        broken.p_ai(pixels[:3])


# --- the file ---


def test_a_saved_model_gives_the_same_probabilities_and_the_same_bytes(
    model: Path, pixels: np.ndarray, tmp_path: Path
) -> None:
    first = Detector.load(model)
    for number in range(2):
        Detector(first.model, first.preset, first.geometry, {"seed": 129}).save(tmp_path / f"{number}.keras")
    assert (tmp_path / "0.keras").read_bytes() == (tmp_path / "1.keras").read_bytes()
    second = Detector.load(tmp_path / "0.keras")
    np.testing.assert_allclose(second.p_ai(pixels), first.p_ai(pixels), atol=1e-6)  # of two runtimes
    assert (second.preset, second.geometry) == (first.preset, first.geometry)
    assert second.metadata["seed"] == 129
    assert {path.name for path in tmp_path.iterdir()} == {"0.keras", "1.keras"}


def test_no_clock_and_no_address_is_in_a_model_file(model: Path) -> None:
    with zipfile.ZipFile(model / file_names.MODEL) as archive:
        assert {member.date_time for member in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert b"date_saved" not in archive.read("metadata.json")
        shared = re.findall(r'"shared_object_id": (\d+)', archive.read("config.json").decode())
    assert all(int(number) < 1000 for number in shared)


def test_rule_families_and_all_outputs_travel_with_the_model(pixels: np.ndarray, tmp_path: Path) -> None:
    rule, families = DecisionRule(0.7, 0.3, 0.95, 3.5, 56, 2.0), ("SD", "LD", "MJ")
    Detector(net_with_all_outputs(), "artnet", Geometry(32, "squash"), {}, rule, families).save(
        tmp_path / "model.keras"
    )
    loaded = Detector.load(tmp_path / "model.keras")
    assert (loaded.rule, loaded.families) == (rule, families)
    original = Detector(net_with_all_outputs(), "artnet", Geometry(32, "squash"), {})
    for name in ("p_ai", "novelty", "generators", "embedding"):
        np.testing.assert_array_equal(getattr(loaded.scores(pixels), name), getattr(original.scores(pixels), name))


def test_a_file_from_before_there_were_rules_and_families_is_loaded_with_defaults(
    model: Path, pixels: np.ndarray, tmp_path: Path
) -> None:
    card = read_card(model / file_names.MODEL)
    del card["rule"], card["families"]
    old = Detector.load(rewritten(model, tmp_path / "model.keras", artdetect__json=json.dumps(card).encode()))
    assert (old.rule, old.families) == (DecisionRule(), ())
    np.testing.assert_allclose(old.p_ai(pixels), Detector.load(model).p_ai(pixels), atol=1e-6)  # of two runtimes


def test_a_file_whose_rule_has_a_margin_is_loaded_with_a_band(model: Path, tmp_path: Path) -> None:
    card = read_card(model / file_names.MODEL) | {"rule": {"threshold": 0.5, "margin": 2.0, "novelty": 3.0}}
    old = Detector.load(rewritten(model, tmp_path / "model.keras", artdetect__json=json.dumps(card).encode()))
    assert old.rule.band() == pytest.approx((1 / (1 + np.exp(2)), 1 / (1 + np.exp(-2))))
    assert (old.rule.threshold, old.rule.novelty, old.rule.min_side) == (0.5, 3.0, 0)


@pytest.mark.parametrize("families", [(), ("SD", "LD"), ("SD", "LD", "MJ", "DE")])
def test_a_net_with_other_generators_than_its_card_names_is_one_line(families: tuple[str, ...], tmp_path: Path) -> None:
    Detector(net_with_all_outputs(), "artnet", Geometry(32, "squash"), {}, families=families).save(
        tmp_path / "model.keras"
    )
    with pytest.raises(ModelError, match=f"outputs for 3 generators, but its card names {len(families)}"):
        Detector.load(tmp_path / "model.keras")


def test_the_card_says_what_the_model_is_without_loading_it(model: Path) -> None:
    card = read_card(model / file_names.MODEL)
    assert card["preset"] == "notebook"
    assert card["geometry"] == {"size": 32, "fit": "squash"}
    assert card["classes"] == ["AI", "human"]
    assert (card["seed"], card["trained_on"]) == (129, 44)


def test_the_id_names_preset_and_content(model: Path) -> None:
    from artdetect.core.digests import file_digest

    assert Detector.load(model).id == f"notebook-{file_digest(model / file_names.MODEL)[:8]}"


def test_a_file_and_its_folder_are_the_same_model(model: Path) -> None:
    assert Detector.load(model).id == Detector.load(model / file_names.MODEL).id


@pytest.mark.parametrize("name", ["absent.keras", "absent", ""])
def test_no_model_is_one_line_that_says_how_to_get_one(tmp_path: Path, name: str) -> None:
    with pytest.raises(ModelError, match=r"no such model\. Train one with `artdetect run`"):
        Detector.load(tmp_path / name)


def garbage(how: str, model: Path, target: Path) -> Path:
    if how == "empty":
        target.write_bytes(b"")
    elif how == "garbage":
        target.write_bytes(np.random.default_rng(1).bytes(5000))
    elif how == "a pickle":
        target.write_bytes(pickle.dumps({"weights": [1, 2, 3]}))
    elif how == "a zip":
        with zipfile.ZipFile(target, "w") as archive:
            archive.writestr("hello.txt", "hello")
    elif how == "a foreign keras model":
        rewritten(model, target, artdetect__json=None)
    elif how == "truncated":
        target.write_bytes((model / file_names.MODEL).read_bytes()[:-500])
    return target


@pytest.mark.parametrize("how", ["empty", "garbage", "a pickle", "a zip", "a foreign keras model", "truncated"])
def test_a_file_that_is_not_ours_is_one_line(how: str, model: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="not a model file of artdetect") as error:
        Detector.load(garbage(how, model, tmp_path / "model.keras"))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "card",
    [
        b"", b"[]", b"null", b"{}", b"\xff",
        b'{"preset": 3, "geometry": {"size": 32, "fit": "squash"}, "classes": ["AI", "human"]}',
        b'{"preset": "x", "geometry": {"size": -1, "fit": "squash"}, "classes": ["AI", "human"]}',
        b'{"preset": "x", "geometry": {"size": 32, "fit": "squash", "more": 1}, "classes": ["AI", "human"]}',
        b'{"preset": "x", "geometry": [32, "squash"], "classes": ["AI", "human"]}',
        b'{"preset": "x", "geometry": {"size": 32, "fit": "squash"}, "classes": ["human", "AI"]}',
        b'{"preset": "x", "geometry": {"size": 32, "fit": "squash"}, "classes": null}',
        b'{"preset": "x", "geometry": {"size": 32, "fit": "squash"}}',
        *(
            b'{"preset": "x", "geometry": {"size": 32, "fit": "squash"}, "classes": ["AI", "human"], %s}' % more
            for more in (
                b'"rule": null', b'"rule": 3', b'"rule": {"threshold": "0.5"}', b'"rule": {"threshold": 0}',
                b'"rule": {"threshold": NaN}', b'"rule": {"margin": -1}', b'"rule": {"margin": null}',
                b'"rule": {"novelty": 0}', b'"rule": {"more": 1}', b'"families": 3', b'"families": [1, 2]',
                b'"families": null',
            )
        ),
    ],
)  # fmt: skip
def test_a_card_with_other_content_is_one_line(card: bytes, model: Path, tmp_path: Path) -> None:
    path = rewritten(model, tmp_path / "model.keras", artdetect__json=card)
    with pytest.raises(ModelError, match=r"not a model file of artdetect|its classes are") as error:
        Detector.load(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("member", ["config__json", "model__weights__h5"])
@pytest.mark.parametrize("content", [b"", b"{}", None])
def test_a_damaged_member_is_one_line(member: str, content: bytes | None, model: Path, tmp_path: Path) -> None:
    path = rewritten(model, tmp_path / "model.keras", **{member: content})
    with pytest.raises(ModelError, match="Keras cannot load it") as error:
        Detector.load(path)
    assert "\n" not in str(error.value)


def test_code_in_a_model_file_is_not_run(model: Path, tmp_path: Path) -> None:
    """Keras would unmarshal a Lambda layer's function; in safe mode it refuses."""
    geometry = Geometry(32, "squash")
    Detector(lambda_model(output_shape=(2,)), "notebook", geometry, {}).save(tmp_path / "model.keras")
    with pytest.raises(ModelError, match="Keras cannot load it"):
        Detector.load(tmp_path / "model.keras")


def test_a_config_that_names_a_function_of_python_is_not_run(model: Path, tmp_path: Path) -> None:
    """As in CVE-2025-1550: a module and a name that are not a Keras object."""
    target = tmp_path / "touched"
    config = {
        "module": "os", "class_name": "function", "config": "system", "registered_name": "system",
        "build_config": None, "inbound_nodes": [{"args": [f"touch {target}"], "kwargs": {}}], "name": "x",
    }  # fmt: skip
    outer = {
        "module": "keras", "class_name": "Sequential", "registered_name": None,
        "config": {"name": "m", "trainable": True, "layers": [config]},
    }  # fmt: skip
    path = rewritten(model, tmp_path / "model.keras", config__json=json.dumps(outer).encode())
    with pytest.raises(ModelError, match="Keras cannot load it"):
        Detector.load(path)
    assert not target.exists()


@pytest.mark.parametrize(("side", "classes"), [(32, 3), (16, 2)])
def test_a_net_of_another_shape_is_one_line(side: int, classes: int, tmp_path: Path) -> None:
    import keras

    net = keras.Sequential([keras.Input((side, side, 3)), keras.layers.Flatten(), keras.layers.Dense(classes)])
    Detector(net, "notebook", Geometry(32, "squash"), {}).save(tmp_path / "model.keras")
    with pytest.raises(ModelError, match=r"has shape \(1, 3\)|Keras cannot load it"):
        Detector.load(tmp_path / "model.keras")


def test_an_encrypted_zip_is_one_line(model: Path, tmp_path: Path) -> None:
    """zipfile raises RuntimeError for it."""
    data = bytearray((model / file_names.MODEL).read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = data.find(signature)
        while place >= 0:
            data[place + offset] |= 1
            place = data.find(signature, place + 4)
    (tmp_path / "model.keras").write_bytes(data)
    with zipfile.ZipFile(io.BytesIO(data)) as archive, pytest.raises(RuntimeError, match="encrypted"):
        archive.read("artdetect.json")
    with pytest.raises(ModelError, match="not a model file of artdetect"):
        Detector.load(tmp_path / "model.keras")
