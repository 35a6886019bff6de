"""What is measured, under the names that the table and the README show."""

DECIDE = "decide, inline, all layers and models"
HASHED = "the same with its hash"
XGB = "XGBoost, one row: ONNX against its scikit-learn call"
LGBM = "LightGBM, one row: ONNX against its scikit-learn call"
FEATURES = "features for one new bar"
APPENDED = "audit appends"
VERIFIED = "audit records verified"
REPLAY = "replay, all bots, weekly retraining of all models"
CANVAS = "canvas over Redis, 1 decision"
CANVASES = "canvas over Redis, 50 decisions"
ONE_SHARES = "time of 1 decision over Redis, by hop"
SHARES = "time of 50 decisions over Redis, by hop"
SCALED = "decisions over Redis, two processes"
DRAMATIQ = "decisions over Redis, against dramatiq"
TASKIQ = "decisions over Redis, against taskiq"
RQ = "decisions over Redis, against rq"

NAMES = (
    *(DECIDE, HASHED, XGB, LGBM, FEATURES, APPENDED, VERIFIED, REPLAY),
    *(CANVAS, CANVASES, ONE_SHARES, SHARES, SCALED),
    *(DRAMATIQ, TASKIQ, RQ),
)
"""Every row, in the order of the table."""
