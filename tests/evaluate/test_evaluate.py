"""The stage, with a trained net of the notebook preset and with a detector that has every optional output."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from artdetect import evaluate
from artdetect.core.errors import DataError
from artdetect.evaluate.config import EvaluateConfig
from artdetect.evaluate.metrics import summary
from artdetect.evaluate.worst_errors import MAX_ERRORS
from artdetect.model.decision import DecisionRule
from artdetect.model.detector import Detector
from artdetect.pictures import images
from artdetect.pictures.corruptions import GRID
from artdetect.pictures.images import Geometry
from artdetect.stats.bootstrap import Bootstrap

CONFIG = EvaluateConfig(bootstrap_resamples=100, robustness_pictures=6)
COLUMNS = [
    "path",
    "sha256",
    "label",
    "style",
    "generator",
    "source",
    "p_ai",
    "predicted",
    "verdict",
    "reason",
    "in_training",
]


def run(trained: Path, model: Path, out: Path, config: EvaluateConfig = CONFIG) -> Path:
    out.mkdir(exist_ok=True)
    artifacts = trained / "artifacts"
    stages = (artifacts / name / "k1" for name in ("index", "audit", "balance"))
    folders = *stages, model, trained / "data" / "raw" / "art"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ARTDETECT_DATA", str(trained / "data"))
        patch.setenv("ARTDETECT_ARTIFACTS", str(artifacts))
        evaluate.run(config, *folders, out)
    return out


@pytest.fixture(scope="module")
def notebook(trained: Path) -> Path:
    return trained / "artifacts" / "train" / "k1"


@pytest.fixture(scope="module")
def evaluated(trained: Path, notebook: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(trained, notebook, tmp_path_factory.mktemp("evaluated"))


def read(folder: Path) -> tuple[pd.DataFrame, dict]:
    return pd.read_parquet(folder / "predictions.parquet"), json.loads((folder / "metrics.json").read_text())


def test_predictions_are_the_test_pictures_and_no_others(evaluated: Path, trained: Path) -> None:
    table = pd.read_parquet(evaluated / "predictions.parquet")
    assert list(table.columns) == COLUMNS
    pictures = trained / "data" / "raw" / "art"
    assert list(table.path) == sorted(str(path.relative_to(pictures)) for path in (pictures / "test").rglob("*.jpg"))


def test_each_p_and_verdict_is_that_of_the_picture_by_itself(evaluated: Path, trained: Path, notebook: Path) -> None:
    table, detector = pd.read_parquet(evaluated / "predictions.parquet"), Detector.load(notebook)
    for row in table.itertuples():
        pixels = images.load(trained / "data" / "raw" / "art" / row.path, detector.geometry)
        scores = detector.scores(pixels[None])
        assert scores.p_ai[0] == row.p_ai
        assert detector.rule.predicted(scores.p_ai)[0] == row.predicted
        reasons = detector.rule.reasons(
            scores.p_ai, scores.novelty, np.array([24]), np.array([images.contrast(pixels)])
        )
        assert reasons[0] == row.reason
        assert detector.rule.verdicts(scores.p_ai, reasons)[0] == row.verdict


def test_the_metrics_of_the_stage_are_those_of_its_predictions(evaluated: Path, notebook: Path) -> None:
    table, metrics = read(evaluated)
    expected = json.loads(json.dumps(summary(table, Bootstrap(100, 129), Detector.load(notebook).rule.threshold)))
    assert {name: metrics[name] for name in expected} == expected
    assert set(metrics) - set(expected) == {
        "in_training", "training_known", "by_size", "by_source", "verdicts", "slices", "slices_tried", "baselines",
        "worst_errors", "robustness",
    }  # fmt: skip


def test_the_parts_are_of_the_same_pictures(evaluated: Path) -> None:
    table, metrics = read(evaluated)
    assert [(row["size"], row["pictures"]) for row in metrics["by_size"]] == [("up to 256", len(table))]
    assert metrics["robustness"]["pictures"] == 6
    conditions = pd.read_parquet(evaluated / "robustness.parquet")
    assert len(conditions) == 6 * (len(GRID) + 1)
    clean = conditions[conditions.condition == "clean"].merge(table, on="sha256")
    assert (clean.p_ai_x == clean.p_ai_y).all()
    png = conditions[conditions.condition == "PNG"].merge(table, on="sha256")
    assert (png.p_ai_x == png.p_ai_y).all()  # bit for bit, though the pictures stand in other batches
    wrong = table[table.predicted != table.label]
    assert {row["path"] for row in metrics["worst_errors"]} == set(wrong.path[:MAX_ERRORS])
    assert (evaluated / "worst_errors.png").is_file() == (len(wrong) > 0)


def test_the_palette_baseline_finds_that_ai_pictures_are_brighter_here(evaluated: Path) -> None:
    baselines = {row["name"]: row for row in read(evaluated)[1]["baselines"]}
    assert baselines["palette"]["roc_auc"]["value"] == 1


def test_evaluating_again_gives_the_same_bytes(evaluated: Path, trained: Path, notebook: Path, tmp_path: Path) -> None:
    again = run(trained, notebook, tmp_path / "again")
    names = sorted(path.name for path in evaluated.iterdir())
    assert names == sorted(path.name for path in again.iterdir())
    for name in names:
        assert (again / name).read_bytes() == (evaluated / name).read_bytes()


@pytest.fixture(scope="module")
def rich(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A detector that goes by brightness, attributes LD pictures to SD, and has embeddings of its training pictures."""
    import keras
    from keras import layers, ops

    picture = keras.Input((16, 16, 3))
    mean = layers.GlobalAveragePooling2D()(picture)
    dense = layers.Dense(2, name="logits")
    outputs = {
        "probabilities": layers.Softmax()(dense(mean)),
        "novelty": ops.mean(mean, axis=-1, keepdims=True),
        "embedding": mean,
        "generators": layers.Softmax()(layers.Dense(2, name="families", kernel_initializer="zeros")(mean)),
    }
    net = keras.Model(picture, outputs)
    dense.set_weights([np.array([[20.0, 0]] * 3), np.array([-30.0, 0])])
    net.get_layer("families").set_weights([np.zeros((3, 2)), np.array([0.0, 2.0])])
    rule = DecisionRule(0.6, 0.35, 0.8, novelty=0.5)
    families = ("latent_diffusion", "stable_diffusion")
    detector = Detector(net, "rich", Geometry(16, "squash"), {}, rule, families)
    detector.save((folder := tmp_path_factory.mktemp("rich")) / "model.keras")
    balance = pd.read_parquet(trained / "artifacts" / "balance" / "k1" / "balance.parquet")
    train = balance[balance.split == "train"]
    pixels = np.stack([images.load(trained / "data/raw/art" / path, detector.geometry) for path in train.path])
    embedding = detector.scores(pixels).embedding
    assert embedding is not None
    np.savez(folder / "neighbours.npz", sha256=train.sha256.to_numpy("S64"), embedding=embedding.astype(np.float16))
    return folder


def test_optional_outputs_of_a_detector_are_evaluated(trained: Path, rich: Path, tmp_path: Path) -> None:
    config = CONFIG.model_copy(update={"robustness_pictures": 0})
    table, metrics = read(run(trained, rich, tmp_path / "out", config))
    assert list(table.columns) == [*COLUMNS[:-1], "novelty", "family", "family_p", COLUMNS[-1]]
    assert set(table.family) == {"stable_diffusion"}
    assert metrics["generator_attribution"]["accuracy"]["value"] == 0.5
    assert metrics["unsure"]["pictures"] == (table.verdict == "unsure").sum()
    assert (table.predicted == np.where(table.p_ai >= 0.6, "AI", "human")).all()
    assert "robustness" not in metrics
    assert not (tmp_path / "out" / "robustness.parquet").exists()


@pytest.fixture(scope="module")
def strict(rich: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same detector with a threshold so high that bright pictures are predicted as human."""
    detector, folder = Detector.load(rich), tmp_path_factory.mktemp("strict")
    rule = DecisionRule(threshold=1 - 1e-9)
    Detector(detector.model, "rich", detector.geometry, {}, rule, detector.families).save(folder / "model.keras")
    shutil.copy(rich / "neighbours.npz", folder)
    return folder


def test_the_neighbours_of_an_error_are_training_pictures_of_its_colour(
    trained: Path, strict: Path, tmp_path: Path
) -> None:
    table, metrics = read(run(trained, strict, tmp_path / "out", CONFIG.model_copy(update={"robustness_pictures": 0})))
    assert len(metrics["worst_errors"]) == (table.label != table.predicted).sum() == (table.label == "AI").sum()
    for row in metrics["worst_errors"]:
        assert [near["label"] for near in row["nearest"]] == ["AI"] * 3
        assert all(near["path"].startswith("train/AI_") for near in row["nearest"])
    assert (tmp_path / "out" / "worst_errors.png").is_file()


def test_an_older_model_is_evaluated_on_a_balance_that_it_was_not_trained_on(
    trained: Path, strict: Path, tmp_path: Path
) -> None:
    """It was trained on a picture that no longer exists, one that is now for validation, and others."""
    folder = trained / "artifacts" / "balance" / "k1"
    table = pd.read_parquet(folder / "balance.parquet")
    train = table[table.split == "train"]
    now = table.drop(index=train.index[0])
    now.loc[train.index[1], "split"] = "validation"
    (roots := tmp_path / "now" / "artifacts" / "balance" / "k1").mkdir(parents=True)
    now.to_parquet(roots / "balance.parquet", index=False)
    for name in ("index", "audit"):
        (tmp_path / "now" / "artifacts" / name).symlink_to(trained / "artifacts" / name)
    (tmp_path / "now" / "data").symlink_to(trained / "data")
    config = CONFIG.model_copy(update={"robustness_pictures": 0})
    before, after = (read(run(root, strict, tmp_path / name, config)) for root, name in
                     ((trained, "before"), (tmp_path / "now", "after")))  # fmt: skip
    assert before[0].equals(after[0])
    near = {row["path"] for error in after[1]["worst_errors"] for row in error["nearest"]}
    assert near <= set(train.path[1:])
    assert {len(error["nearest"]) for error in after[1]["worst_errors"]} == {3}


def test_a_model_whose_training_pictures_no_longer_exist_has_errors_without_neighbours(
    trained: Path, strict: Path, tmp_path: Path
) -> None:
    gone = tmp_path / "model"
    shutil.copytree(strict, gone)
    with np.load(strict / "neighbours.npz") as arrays:
        sha256 = np.array([f"{number:064x}" for number in range(len(arrays["sha256"]))], "S64")
        np.savez(gone / "neighbours.npz", sha256=sha256, embedding=arrays["embedding"])
    metrics = read(run(trained, gone, tmp_path / "out", CONFIG.model_copy(update={"robustness_pictures": 0})))[1]
    assert metrics["worst_errors"]
    assert all(error["nearest"] == [] for error in metrics["worst_errors"])


@pytest.fixture
def leaking(trained: Path, notebook: Path, tmp_path: Path) -> tuple[Path, list[str], str]:
    """The trained model as if an ancestor had learnt two test pictures; their paths, and that of a near-duplicate."""
    index = pd.read_parquet(trained / "artifacts" / "index" / "k1" / "index.parquet").set_index("path")
    test = index[index.split == "test"]
    learnt = [str(test.index[test.label == label][0]) for label in ("AI", "human")]
    twin = str(test.index[test.label == "human"][-1])
    shutil.copytree(notebook, model := tmp_path / "model")
    listed = pd.read_parquet(model / "trained_on.parquet")
    pd.concat([listed, test.loc[learnt, ["sha256"]]]).to_parquet(model / "trained_on.parquet", index=False)
    return model, learnt, twin


def test_pictures_that_the_model_or_an_ancestor_was_trained_on_do_not_judge_it(
    trained: Path, evaluated: Path, leaking: tuple[Path, list[str], str], tmp_path: Path
) -> None:
    """Nor do near-duplicates of them. All are scored, because the gate compares models on the same pictures."""
    model, learnt, twin = leaking
    group = pd.DataFrame({"path": [learnt[1], twin], "group": [0, 0]})
    root = tmp_path / "root"
    shutil.copytree(trained, root)
    group.to_parquet(root / "artifacts" / "audit" / "k1" / "groups.parquet", index=False)
    table, metrics = read(run(root, model, tmp_path / "out"))
    everything, unjudged = read(evaluated)
    assert sorted(table.path[table.in_training]) == sorted([*learnt, twin])
    pd.testing.assert_frame_equal(table.drop(columns="in_training"), everything.drop(columns="in_training"))
    assert (metrics["in_training"], metrics["training_known"]) == (3, True)
    assert (unjudged["in_training"], unjudged["pictures"]) == (0, len(everything))
    judged = table[~table.in_training].reset_index(drop=True)
    expected = summary(judged, Bootstrap(CONFIG.bootstrap_resamples, CONFIG.seed))
    assert {name: metrics[name] for name in expected} == json.loads(json.dumps(expected))
    assert sum(row["pictures"] for row in metrics["by_size"]) == len(judged)
    robust = pd.read_parquet(tmp_path / "out" / "robustness.parquet")
    assert not set(robust.sha256) & set(table.sha256[table.in_training])


def test_where_a_class_has_no_other_pictures_it_says_so(
    trained: Path, leaking: tuple[Path, list[str], str], tmp_path: Path
) -> None:
    model, *_ = leaking
    index = pd.read_parquet(trained / "artifacts" / "index" / "k1" / "index.parquet")
    index[index.label == "AI"][["sha256"]].to_parquet(model / "trained_on.parquet", index=False)
    with pytest.raises(DataError, match="no AI picture of the test set can judge this model"):
        run(trained, model, tmp_path / "out")
