"""What the audit says of the sample set, and of real pictures where `ARTDETECT_REAL_DATA` names a folder of them.

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
    """Audit each set and publish."""
    sets = {"the drawn sample set": PROJECT / "data" / "sample" / "drawn-art.zip"}
    if folder := os.environ.get("ARTDETECT_REAL_DATA"):
        sets |= {name: Path(folder, place) for name, place in REAL.items()}
    rows, said = [], []
    for name, place in sets.items():
        found = audited(place)
        count = {finding["name"]: finding["count"] for finding in found["findings"]}
        auc = found["shortcut"]["auc"]
        rows.append(
            [
                name,
                *(f"{found['shortcut']['pictures'][label]:,}" for label in ("AI", "human")),
                *(count[finding] for finding in ("unreadable", "duplicates", "near_duplicates", "low_information")),
                f"{auc['value']:.3f} ({auc['low']:.3f}–{auc['high']:.3f})",
            ]
        )
        (sentence,) = [finding["sentence"] for finding in found["findings"] if finding["name"] == "shortcut"]
        said.append(f"* {name}: {sentence}")
    heads = ["data set", "AI", "human", "unreadable", "doubles", "near-duplicates", "flat", "shortcut test's AUC"]
    text = "What the audit finds at its defaults; cross-validated AUC of file properties alone, 95 % intervals."
    publish("Audits", f"{text}\n\n{table(heads, rows)}\n\n" + "\n".join(said))


def audited(place: Path) -> dict[str, Any]:
    """The audit of an archive or folder of pictures, in a data root of its own."""
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
