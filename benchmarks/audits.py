"""The audit of the demo data set, and of real pictures where `ARTDETECT_REAL_DATA` names a folder of them.

make demo && .venv/bin/python -m benchmarks.audits
"""

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from artdetect import audit, download, index
from artdetect.index.scan import scan
from benchmarks.harness import PROJECT, publish, table

REAL = {"20 original files of AI-ArtBench": "aiartbench-samples", "paintings and Stable Diffusion 1.x": "realart.zip"}


def main() -> None:
    """Audit each data set and publish the results."""
    sets = {"the demo data set": PROJECT / "data" / "sample" / "drawn-art.zip"}
    if folder := os.environ.get("ARTDETECT_REAL_DATA"):
        sets |= {name: Path(folder, place) for name, place in REAL.items()}
    rows, sentences = [], []
    for name, place in sets.items():
        result = run_audit(place)
        count = {finding["name"]: finding["count"] for finding in result["findings"]}
        auc = result["shortcut"]["auc"]
        rows.append(
            [
                name,
                *(f"{result['shortcut']['pictures'][label]:,}" for label in ("AI", "human")),
                *(count[finding] for finding in ("unreadable", "duplicates", "near_duplicates", "low_information")),
                f"{auc['value']:.3f} ({auc['low']:.3f}–{auc['high']:.3f})",
            ]
        )
        (sentence,) = [finding["sentence"] for finding in result["findings"] if finding["name"] == "shortcut"]
        sentences.append(f"* {name}: {sentence}")
    header = ["data set", "AI", "human", "unreadable", "doubles", "near-duplicates", "flat", "shortcut test's AUC"]
    text = "What the audit finds at its defaults; cross-validated AUC of file properties alone, 95 % intervals."
    publish("Audits", f"{text}\n\n{table(header, rows)}\n\n" + "\n".join(sentences))


def run_audit(place: Path) -> dict[str, Any]:
    """Audit an archive or folder of pictures in a data root of its own."""
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["ARTDETECT_DATA"] = scratch
        folders = {stage: Path(scratch, stage) for stage in ("download", "index", "audit")}
        for folder in folders.values():
            folder.mkdir()
        download.run(download.DownloadConfig(url=str(place)), folders["download"])
        pictures = download.folder(folders["download"])
        index.run(index.IndexConfig(), scan(pictures), folders["index"])
        audit.run(audit.AuditConfig(), folders["index"], pictures, folders["audit"])
        return json.loads((folders["audit"] / "audit.json").read_text())


if __name__ == "__main__":
    main()
