"""What a process has when it begins to work."""

import subprocess
import sys
from pathlib import Path


def test_the_garbage_collector_has_no_round_to_make_through_a_whole_desk(tmp_path: Path) -> None:
    look = (
        "import gc\n"
        "from workers import lifecycle\n"
        "lifecycle.start()\n"
        "print(gc.get_freeze_count(), len(gc.get_objects(generation=2)))\n"
        "lifecycle.stop()\n"
    )
    environ = {"OMEGA_HOME": str(tmp_path), "OMP_NUM_THREADS": "1"}
    said = subprocess.run(
        [sys.executable, "-c", look], env=environ, capture_output=True, text=True, check=True
    )
    frozen, left = map(int, said.stdout.split())
    assert frozen > 100_000
    assert left < frozen / 100


def test_who_decides_has_none_of_what_reads_a_history(tmp_path: Path) -> None:
    look = (
        "import sys\n"
        "from workers import lifecycle\n"
        "from workers.app import app\n"
        "from orchestrator.desk import desk\n"
        "lifecycle.suit(conf=app.conf, options={'queues': 'decision'})\n"
        "lifecycle.start()\n"
        "print(len(desk().scan()) > 0)\n"
        "print(len(desk().feed.panel()), {'pandas', 'pyarrow', 'exchange_calendars', 'scipy',"
        " 'sklearn'} & set(sys.modules))\n"
        "lifecycle.stop()\n"
    )
    environ = {"OMEGA_HOME": str(tmp_path), "OMP_NUM_THREADS": "1"}
    said = subprocess.run(
        [sys.executable, "-c", look], env=environ, capture_output=True, text=True, check=True
    )
    assert said.stdout == "True\n1257 set()\n"
