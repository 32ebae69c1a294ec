"""All stages of a retraining, by the library alone: a process of seconds that tests kill, starve and repeat.

    python -m tests.faults.whole_run

Each line of stdin, the root of data/ and artifacts/, a folder of pictures and a moment, is a run in a process of its
own, forked before TensorFlow computes anything. A line of stdout answers it: the exit code, negative for a signal. A
moment is the number of a change of a file, before which the process kills itself; 0 is none. The file `<root>.changes`
then has their number.
"""

import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from artdetect import audit, balance, config, download, evaluate, explain, gate, index, plans, report, train
from artdetect.artifacts import lineage, registry, store
from artdetect.artifacts.store import Artifact
from artdetect.core import paths
from artdetect.core.errors import ArtdetectError, storage_error
from artdetect.gate import Candidate, golden
from artdetect.index import scan
from artdetect.model import tensorflow_setup
from artdetect.report import champion

SECTIONS = {
    "train": {"preset": "notebook", "epochs": 2},
    "evaluate": {"bootstrap_resamples": 100, "robustness_pictures": 2},
    "explain": {"pictures_per_group": 1, "steps": 2, "algorithm": "fast", "resolution": 128, "quality_pictures": 2},
}


def run(pictures: Path) -> None:
    """From a folder of pictures to a promoted model, with every stage that is current left alone."""
    sections = config.parse(SECTIONS | {"download": {"url": str(pictures)}})

    def stage(name: str, work: Callable[..., None], **inputs: Any) -> Artifact:
        section = getattr(sections, name)
        plan = plans.plan(name, section, inputs)
        store.sweep(name, str(plan.key))
        if (found := store.find(name, str(plan.key))) is None:
            with store.build(name, str(plan.key), plan.parts) as out:
                work(
                    section, *(found.folder if isinstance(found, Artifact) else found for found in inputs.values()), out
                )
        return found or store.load(name, str(plan.key))

    raw = stage("download", download.run)
    folder = download.folder(raw.folder)
    table = stage("index", index.run, pictures=scan.scan(folder))
    findings = stage(
        "audit", lambda section, table, _, out: audit.run(section, table, folder, out), index=table, raw=raw
    )
    split = stage("balance", balance.run, index=table, audit=findings)
    work = paths.cache() / "work" / "train"
    model = stage(
        "train", lambda section, split, _, out: train.run(section, split, folder, out, work), balance=split, raw=raw
    )
    scores = stage(
        "evaluate",
        lambda section, *stages: evaluate.run(section, *stages[:4], folder, stages[-1]),
        **{"index": table, "audit": findings, "balance": split, "train": model, "raw": raw},
    )
    decision = stage(
        "gate",
        lambda section, *_: gate.run(
            section, table.folder, findings.folder, split.folder, None,
            Candidate(model.folder, scores.folder, split.folder), golden.load().folder, folder, _[-1], None,
        ),
        **{"index": table, "audit": findings, "balance": split, "challenger": model, "challenger_scores": scores},
        **dict.fromkeys(("champion", "champion_scores", "champion_balance"), None),
        **dict.fromkeys(("reference", "reference_scores", "reference_balance"), None),
        golden=golden.load(), raw=raw,
    )  # fmt: skip
    if registry.champion() is None:
        registry.promote(model.key, lineage.lineage_keys(model.key), "tests", gate.verdict(decision.folder)["sentence"])
    maps = stage(
        "explain",
        lambda section, model, scores, _, out: explain.run(section, model, scores, folder, out, lambda *_: None),
        **{"train": model, "evaluate": scores, "raw": raw},
    )
    inputs = {"index": table, "audit": findings, "balance": split, "train": model, "evaluate": scores, "explain": maps}
    stage(
        "report",
        lambda section, *_: report.run(section, {name: found.folder for name, found in inputs.items()}, _[-1], folder),
        **inputs,
        **dict.fromkeys(champion.INPUTS, None),
    )
    registry.name_artifacts(model.key, lineage.lineage_keys(model.key))


def outcome(root: Path) -> dict[str, str]:
    """Stage -> digest of its outputs, each of which is intact, and the champion."""
    names = ("download", "index", "audit", "balance", "train", "evaluate", "gate", "explain", "report")
    found = {name: [artifact.key for artifact in store.stored(name)] for name in names}
    digests = {f"{name}/{key}": store.load(name, key).digest for name, keys in found.items() for key in keys}
    champion = registry.champion()
    return digests | {"champion": champion.train if champion else "none"}


def child(root: Path, pictures: Path, moment: int) -> int:
    """One run; its exit code. An error that a person can cause is a line on stderr."""
    os.environ |= {"ARTDETECT_DATA": str(root / "data"), "ARTDETECT_ARTIFACTS": str(root / "artifacts")}
    changes = 0

    def on_change(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal changes
        writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        if writes or event in ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate"):
            changes += 1
            if changes == moment:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(on_change)
    try:
        run(pictures)
    except (ArtdetectError, OSError) as error:
        known = storage_error(error) if isinstance(error, OSError) else error
        if known is None:
            raise
        print(known, file=sys.stderr)
        return 2
    Path(f"{root}.changes").write_text(str(changes))
    return 0


def main() -> None:
    """Answer each line of stdin."""
    import numba  # noqa: F401  once, for all that are forked
    import pandas  # noqa: F401
    import pyarrow.parquet  # noqa: F401
    import scipy.stats  # noqa: F401

    tensorflow_setup.load_tensorflow()

    for line in sys.stdin:
        root, pictures, moment = line.split()
        if not (process := os.fork()):
            try:
                code = child(Path(root), Path(pictures), int(moment))
            except Exception:
                traceback.print_exc()
                code = 1
            sys.stderr.flush()
            os._exit(code)
        print(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), flush=True)


if __name__ == "__main__":
    main()
