"""The names of files inside artifact folders, each under one constant: one stage writes them, others read them.

This module imports nothing, so that a stage that reads an artifact does not depend on the code that wrote it.
"""

# every artifact
RECORD = "record.json"
METRICS = "metrics.json"  # of train, evaluate and gate; it also stands in their records

# index
INDEX = "index.parquet"
SKIPPED = "skipped.json"
NOTICE = "notice.txt"  # also of balance

# audit
AUDIT = "audit.json"
GROUPS = "groups.parquet"
AUDIT_EXAMPLES = "audit_examples.png"

# balance
BALANCE = "balance.parquet"

# train
MODEL = "model.keras"
CARD = "artdetect.json"  # of a model: a member of its file, and a file beside an export
NEIGHBOURS = "neighbours.npz"
PRECISION = "precision.npz"  # of the head's posterior, from which `artdetect adapt` starts
ADAPTED_TO = "adapted_to.json"  # sha256, label and series of the own pictures that a model was ever adapted to
TRAINED_ON = "trained_on.parquet"  # sha256 of all pictures that a model and its ancestors were fitted or chosen on
ANCESTORS_KNOWN = "ancestors_known"  # entry of METRICS: whether TRAINED_ON has the pictures of all ancestors
HISTORY = "history.csv"
OUT_OF_SOURCE = "out_of_source.parquet"  # what pictures of held-out sources were called

# evaluate
OUTSIDE = "outside"  # of a model from elsewhere: the setting with its name, and the input that stands for its scores
PREDICTIONS = "predictions.parquet"
ROBUSTNESS = "robustness.parquet"
WORST_ERRORS = "worst_errors.png"
IN_TRAINING = "in_training"  # column of PREDICTIONS, see `leakage.judged`; in METRICS, the number of such pictures

# explain
EXPLANATIONS = "explanations.parquet"
QUALITY = "quality.json"
LOCALISATION = "localisation.json"

# gate
GATE = "gate.json"
GATE_PAGE = "gate.md"

# report
REPORT = "report.html"
MODEL_CARD = "model_card.md"
