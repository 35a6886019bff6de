"""What is measured, under the names that the table and the README show."""

DECIDE = "decide, inline, all layers and models"
HASHED = "the same with its hash"
XGB = "XGBoost, one row: ONNX against its scikit-learn call"
LGBM = "LightGBM, one row: ONNX against its scikit-learn call"
FLOOR = "inference of the full floor, one row"
FEATURES = "features for one new bar"
APPENDED = "audit appends"
VERIFIED = "audit records verified"
REPLAY = "replay, all bots, weekly retraining of all models"
CANVAS = "canvas over Redis, 1 decision"
CANVASES = "canvas over Redis, 50 decisions"
ONE_SHARES = "time of 1 decision over Redis, by hop"
SHARES = "time of 50 decisions over Redis, by hop"
SCALED = "decisions over Redis, two processes"
MEMORY = "memory of a decision worker"
DRAMATIQ = "decisions over Redis, against dramatiq"
TASKIQ = "decisions over Redis, against taskiq"
RQ = "decisions over Redis, against rq"

NAMES = (
    *(DECIDE, HASHED, XGB, LGBM, FLOOR, FEATURES, APPENDED, VERIFIED, REPLAY),
    *(CANVAS, CANVASES, ONE_SHARES, SHARES, MEMORY, SCALED),
    *(DRAMATIQ, TASKIQ, RQ),
)
"""Every row, in the order of the table."""

GATHER = "scan: gathered and frozen"
PEND = "scan: written down as pending"
PUBLISH = "scan: published"
HOPS = tuple(f"`decision.{step}`" for step in ("safety", "inference", "advisor", "limits"))
MAIN = "the worker's main process"
BROKER = "Redis"
SERVER = "PostgreSQL"
WRITES = "KB of its write-ahead log"
LOCK = "ms that a batch of 25 has the lock"
COMMANDS = "commands of Redis"
TRAFFIC = "KB that Redis reads, and sends"
WAITING = "KB in Redis while it waits"
CONTEXT = "KB of a context"
RECORD = "KB of the record, as it is kept"

SERVICES = (
    *(GATHER, PEND, PUBLISH, *HOPS, MAIN, BROKER, SERVER, WRITES),
    *(LOCK, COMMANDS, TRAFFIC, WAITING, CONTEXT, RECORD),
)
"""Every row of what a decision takes, as `make scaling` prints it."""
CHECKS = (
    "1,000 decisions at once, processes",
    *("model: median, last, s", "measured: median, last, s", "measured / model"),
    *("model: processors, s", "measured: processors, s", "processors that others used"),
)
PLANS = (
    *("desks x bots", "deciders: a desk, all", "scan, s", "sealed: median, p99, last, s"),
    *("children busy", "lock busy", "database busy", "a desk's Redis"),
    "GB a session: a desk, all",
)
