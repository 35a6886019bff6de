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
SCALED = "decisions over Redis, two processes"

NAMES = (
    *(DECIDE, HASHED, XGB, LGBM, FEATURES, APPENDED, VERIFIED, REPLAY),
    *(CANVAS, CANVASES, SCALED),
)
"""Every row, in the order of the table."""
