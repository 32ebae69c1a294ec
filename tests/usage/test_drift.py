"""The log of verdicts, and its comparison with what training promised."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from artdetect import retrain
from artdetect.artifacts import file_names
from artdetect.cli import main
from artdetect.core.errors import StorageError
from artdetect.model.card import model_id, read_card
from artdetect.model.decision import NEAR, SURE, UNLIKE
from artdetect.model.predict import Verdict
from artdetect.retrain import RetrainConfig
from artdetect.usage import drift as library
from artdetect.usage import log
from artdetect.usage.config import UsageConfig
from artdetect.usage.drift import Drift
from artdetect.usage.log import UsageLog
from tests.tiny_dataset import jpeg, write

REASONS = {SURE: "AI", NEAR: "unsure", UNLIKE: "unsure"}
EVER = datetime(2000, 1, 1, tzinfo=UTC)


def verdict(model: str, reason: str = SURE, error: str | None = None) -> Verdict:
    if error:
        return Verdict("/home/someone/secret.jpg", None, None, None, model, error)
    return Verdict("/home/someone/secret.jpg", REASONS[reason], reason, 0.75, model, None, "AI", 1.25)


@pytest.fixture
def champion(model: Path) -> str:
    """The id of the model that `artdetect predict` would take."""
    from artdetect.core import digests

    return model_id(read_card(model / file_names.MODEL), digests.file_digest(model / file_names.MODEL))


@pytest.fixture
def promised(model: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Training promised that two pictures in ten get no verdict, for certain."""
    metrics = json.loads((model / "metrics.json").read_text())
    metrics["in_source"]["firm"] = {"value": 0.8, "low": 0.8, "high": 0.8}
    metrics.pop("out_of_source", None)
    monkeypatch.setattr(library.file_names, "METRICS", "other.json")
    (model / "other.json").write_text(json.dumps(metrics))
    yield
    (model / "other.json").unlink()


def found(file: Path, **settings: object) -> Drift:
    result = library.drift(UsageConfig(log=file, min_pictures=10, **settings))
    assert result is not None
    return result


def test_a_line_has_what_was_answered_and_no_name(tmp_path: Path) -> None:
    used = UsageLog(tmp_path / "use.jsonl")
    used.add(verdict("m-1"))
    used.add(verdict("m-1", error="/home/someone/secret.jpg: not a picture"))
    text = used.path.read_text()
    assert "secret" not in text
    line = json.loads(text)
    assert line.keys() == {"time", "model", "p_ai", "verdict", "reason", "novelty"}
    assert used.path.stat().st_mode & 0o777 == 0o600
    (use,) = log.read(used.path, EVER)
    assert (use.model, use.p_ai, use.verdict, use.novelty) == ("m-1", 0.75, "AI", 1.25)


def test_lines_that_cannot_be_read_and_old_ones_are_left_out(tmp_path: Path) -> None:
    file = tmp_path / "use.jsonl"
    file.write_bytes(b'{"time": "2026\n[]\nnull\n\xff\n')
    UsageLog(file).add(verdict("m-1"))
    assert len(list(log.read(file, EVER))) == 1
    assert list(log.read(file, datetime.now(UTC) + timedelta(days=1))) == []
    assert list(log.read(tmp_path / "none", EVER)) == []


def test_a_log_that_cannot_be_written_says_so_at_once(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="create it first"):
        UsageLog(tmp_path / "missing" / "use.jsonl")


def test_predict_and_serve_log_if_they_are_told_to(model: Path, tmp_path: Path) -> None:
    import asyncio

    from artdetect.pictures import picture_views
    from artdetect.serve.live_model import LiveModel

    picture = write(tmp_path / "a.jpg", jpeg(1, side=64))
    file = tmp_path / "use.jsonl"
    assert main(["predict", str(picture), str(write(tmp_path / "b.jpg", b"none")), "--log", str(file)]) == 1
    assert len(list(log.read(file, EVER))) == 1
    live = LiveModel(model, UsageLog(file))
    detector = live.model.detector
    asyncio.run(live.model.verdict("a.jpg", picture_views.load(picture, detector.geometry, detector.native_crops)))
    first, second = log.read(file, EVER)
    assert (first.model, first.verdict, first.reason) == (second.model, second.verdict, second.reason)
    assert first.p_ai == pytest.approx(second.p_ai)
    assert "a.jpg" not in file.read_text()


@pytest.mark.usefixtures("promised")
def test_use_as_promised_has_not_drifted_and_use_beyond_it_has(champion: str, tmp_path: Path) -> None:
    used = UsageLog(tmp_path / "use.jsonl")
    for number in range(100):
        used.add(verdict(champion, NEAR if number < 25 else SURE))
        used.add(verdict("other-model", UNLIKE))
    before = found(used.path)
    unsure, unlike = before.shares
    assert (before.pictures, before.drifted, before.promise) == (100, False, "validation pictures")
    assert (unsure.used["value"], unlike.used["value"]) == (0.25, 0.0)
    assert unsure.promised["value"] == pytest.approx(0.2)
    assert unsure.rise["value"] == pytest.approx(0.05)

    for _ in range(60):
        used.add(verdict(champion, UNLIKE))
    after = found(used.path)
    assert [share.drifted for share in after.shares] == [True, True]
    assert after.shares[1].rise["low"] == pytest.approx(0.295, abs=0.005)  # Wilson's lower end of 60 of 160, less 0.01
    assert not found(used.path, max_rise=0.5).drifted
    assert "has drifted: 53.1 %" in after.sentences()[1]


@pytest.mark.usefixtures("promised")
def test_too_few_pictures_say_nothing(champion: str, tmp_path: Path) -> None:
    used = UsageLog(tmp_path / "use.jsonl")
    for _ in range(9):
        used.add(verdict(champion, UNLIKE))
    assert not found(used.path).shares
    assert "says nothing" in found(used.path).sentences()[1]
    assert library.drift(UsageConfig()) is None


@pytest.mark.usefixtures("promised")
def test_drift_makes_a_retraining_due_and_the_command_says_so(
    champion: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    used = UsageLog(tmp_path / "use.jsonl")
    for _ in range(50):
        used.add(verdict(champion, UNLIKE))
    usage = UsageConfig(log=used.path, min_pictures=10)
    few, drifting = RetrainConfig(min_new_pictures=100), RetrainConfig(min_new_pictures=100, on_drift=True)
    monkeypatch.setattr(retrain, "new_pictures", lambda: retrain.Counter({"AI/flux": 1}))
    assert "1 new pictures" in str(retrain.skip_reason(few, usage))
    assert retrain.skip_reason(drifting, usage) is None
    assert "1 new pictures" in str(retrain.skip_reason(drifting, UsageConfig()))
    monkeypatch.setattr(retrain, "new_pictures", retrain.Counter)
    assert "0 new pictures" in str(retrain.skip_reason(drifting, usage))  # the same model would come out

    file = tmp_path / "art.toml"
    file.write_text(f'download.url = "x"\nusage.log = "{used.path}"\nusage.min_pictures = 10\n')
    assert main(["drift", "--config", str(file)]) == 1
    assert "The share of pictures without a verdict has drifted" in capsys.readouterr().out
    assert main(["drift", "--config", str(file), "--json", "--set", "usage.max_rise=1"]) == 0
    assert json.loads(capsys.readouterr().out)["pictures"] == 50
