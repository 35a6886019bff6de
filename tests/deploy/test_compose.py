"""The compose file says what it must, of every service; and what it says runs."""

import json
import re
import stat
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from tests.deploy.conftest import COMPOSE, OURS, ROOT, SERVICES, Stage, spoken
from workers import roles
from workers.config import QUEUES

EVERY = pytest.mark.parametrize("name", SERVICES)
LASTING = pytest.mark.parametrize("name", [name for name in SERVICES if name != "migrate"])
RUN = pytest.mark.parametrize("name", [n for n in SERVICES if n not in {"migrate", "postgres"}])
SECRET = re.compile(
    r"(?i)(password|passwd|token|secret|auth)\s*[:=]\s*[\"']?\w{6,}|://[^/\s:]+:\w+@"
)


def schema_of_compose() -> Draft202012Validator:
    vendored = files("check_jsonschema") / "builtin_schemas" / "vendor" / "compose-spec.json"
    return Draft202012Validator(json.loads(vendored.read_text()))


def said(name: str) -> dict[str, Any]:
    return SERVICES[name]


def places(name: str) -> dict[str, str]:
    """Return where a service's volumes are, and whether it may write there."""
    parts = [volume.split(":") for volume in said(name).get("volumes", [])]
    return {part[0]: part[2] if len(part) > 2 else "rw" for part in parts}


def test_the_file_is_what_the_compose_specification_asks_for() -> None:
    assert list(schema_of_compose().iter_errors(COMPOSE)) == []


def test_the_schema_would_refuse_a_misspelt_key() -> None:
    wrong = COMPOSE | {"services": {"redis": {"image": "redis", "healtcheck": {}}}}
    [refused] = schema_of_compose().iter_errors(wrong)
    assert "'healtcheck' was unexpected" in refused.message


def test_there_is_a_service_for_every_queue_and_for_all_that_it_needs() -> None:
    assert set(SERVICES) == {"redis", "postgres", *OURS}
    assert set(QUEUES) <= set(SERVICES)


@EVERY
def test_no_service_can_do_more_than_it_must(name: str) -> None:
    service = said(name)
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["init"] is True
    assert str(service["user"]).split(":")[0] not in {"", "0", "root"}
    assert service["tmpfs"]
    assert all({"noexec", "nosuid", "nodev"} <= set(entry.split(",")) for entry in service["tmpfs"])
    for forbidden in ("privileged", "cap_add", "pid", "ipc", "network_mode", "devices", "env_file"):
        assert forbidden not in service


@EVERY
def test_every_service_is_bounded(name: str) -> None:
    limits = said(name)["deploy"]["resources"]["limits"]
    assert set(limits) == {"cpus", "memory", "pids"}
    assert said(name)["logging"]["options"] == {"max-size": "10m", "max-file": "3"}
    assert int(said(name)["stop_grace_period"].rstrip("s")) >= 15


@LASTING
def test_what_runs_on_is_restarted_and_asked_how_it_is(name: str) -> None:
    assert said(name)["restart"] == "unless-stopped"
    check = said(name)["healthcheck"]
    assert check["test"][0] == "CMD"
    assert {"interval", "timeout", "retries", "start_period"} <= set(check)


def test_migrate_runs_once_and_before_all_that_opens_the_database() -> None:
    assert said("migrate")["restart"] == "no"
    for name in ("beat", *QUEUES):
        after = said(name)["depends_on"]["migrate"]
        assert after == {"condition": "service_completed_successfully"}


@EVERY
def test_only_flower_has_a_port_and_only_on_the_loopback(name: str) -> None:
    assert said(name).get("ports", []) == (["127.0.0.1:5555:5555"] if name == "flower" else [])
    assert "container_name" not in said(name)


def test_who_speaks_to_whom() -> None:
    on = {name: set(said(name)["networks"]) for name in SERVICES}
    assert on["redis"] == on["flower"] == {"broker"}
    assert on["postgres"] == on["migrate"] == {"database"}
    assert all(on[name] == {"broker", "database"} for name in ("beat", *QUEUES))
    assert COMPOSE["networks"]["database"] == {"internal": True}


def test_who_sees_which_secret() -> None:
    seen = {name: set(said(name).get("secrets", [])) for name in SERVICES}
    assert seen["redis"] == {"redis_acl"}
    assert seen["postgres"] == {"postgres_password"}
    assert seen["flower"] == {"broker_url", "flower_auth"}
    assert seen["migrate"] == {"broker_url", "database_url"}
    assert all(seen[name] == {"broker_url", "database_url"} for name in ("beat", *QUEUES))
    assert set.union(*seen.values()) == set(COMPOSE["secrets"])


def test_one_home_for_all_and_only_those_write_to_it_that_have_to() -> None:
    homes = {name: places(name).get("home") for name in OURS}
    writers = {"migrate": "rw", "training": "rw", "upkeep": "rw"}
    assert homes == writers | {"beat": "ro", "decision": "ro", "flower": None}


@pytest.mark.parametrize("queue", QUEUES)
def test_a_queues_worker_has_the_processes_that_are_said_and_stops_in_order(queue: str) -> None:
    command = said(queue)["command"]
    assert command[:4] == ["omega", "worker", queue, "--concurrency"]
    assert said(queue)["environment"]["REMAP_SIGTERM"] == "SIGQUIT"
    assert spoken(said(queue)["environment"]["OMEGA_FEED"]) == "playback"


@pytest.mark.parametrize("name", OURS)
def test_the_image_with_the_training_libraries_is_trainings_alone(name: str) -> None:
    target = "training" if name == "training" else "decision"
    assert said(name)["build"]["target"] == target
    assert spoken(said(name)["image"]) == f"omega-{target}:0.1.0"
    assert f" AS {target}\n" in (ROOT / "Dockerfile").read_text()


@pytest.mark.parametrize("file", ["docker-compose.yml", "Dockerfile", "deploy/secrets.sh"])
def test_no_secret_is_in_the_file(file: str) -> None:
    text = (ROOT / file).read_text().replace("omega:%s@", "")
    assert [found.group() for found in SECRET.finditer(text)] == []


def test_a_secret_in_the_file_would_be_found() -> None:
    assert SECRET.search("POSTGRES_PASSWORD: hunter22")
    assert SECRET.search("redis://omega:hunter22@redis:6379")


def test_secrets_are_made_once_fit_together_and_are_closed_to_others(tmp_path: Path) -> None:
    stage = Stage(tmp_path / "one", "postgresql:///none")
    made = {path.name for path in stage.secrets.iterdir()}
    assert made == {*COMPOSE["secrets"], "scaler_password", ".gitignore"}
    assert stat.S_IMODE(stage.secrets.stat().st_mode) == 0o700
    before = {path.name: path.read_bytes() for path in stage.secrets.iterdir()}
    script = str(stage.secrets.parent / "secrets.sh")
    assert stage.run("flower", ["sh", script]).returncode == 0
    assert {path.name: path.read_bytes() for path in stage.secrets.iterdir()} == before
    for name in ("postgres_password", "database_url"):
        (stage.secrets / name).unlink(missing_ok=name == "database_url")
    assert stage.run("flower", ["sh", script]).returncode == 0
    assert stage.secret("postgres_password") in stage.secret("database_url")
    assert stage.secret("postgres_password").encode() != before["postgres_password"]
    assert stage.secret("redis_acl").encode() == before["redis_acl"]


@pytest.mark.postgres
@RUN
def test_what_a_container_runs_runs_here_is_well_and_ends_in_its_time(
    stage: Stage, name: str
) -> None:
    assert not stage.well(name)
    if name == "redis":
        with stage.running(name):
            assert stage.well(name)
        return
    before = stage.written()
    with stage.running("redis"), stage.running(name) as process:
        pass
    assert process.returncode == 0, (stage.folder / f"{name}.log").read_text()[-2000:]
    if places(name).get("home", "ro") == "ro":
        assert stage.written() == before


def test_the_broker_asks_who_it_is_and_denies_what_is_dangerous(stage: Stage) -> None:
    with stage.running("redis"):
        password = stage.broker.split(":")[2].split("@")[0]
        assert stage.answers("omega", password, "LLEN", "decision")
        assert stage.answers("omega", password, "SCRIPT", "LOAD", "return 1")
        for words in (["FLUSHALL"], ["CONFIG", "GET", "*"], ["KEYS", "*"], ["SHUTDOWN"]):
            assert not stage.answers("omega", password, *words)
        assert not stage.answers("health", "health", "LLEN", "decision")
        assert not stage.answers("omega", "wrong", "PING")
        assert not stage.answers("default", "", "PING")


@pytest.mark.postgres
def test_migrate_made_the_schema_and_the_key_and_may_run_again(migrated: Stage) -> None:
    assert (migrated.folder / "home" / "audit.key").stat().st_size == 64
    again = migrated.run("migrate", said("migrate")["command"])
    assert (again.returncode, again.stderr) == (0, "")


@pytest.mark.postgres
def test_flower_says_nothing_without_a_name_and_changes_nothing_with_one(stage: Stage) -> None:
    import base64
    from urllib.error import HTTPError
    from urllib.request import Request, urlopen

    def status(path: str, auth: str = "", method: str = "GET") -> int:
        head = (
            {"Authorization": f"Basic {base64.b64encode(auth.encode()).decode()}"} if auth else {}
        )
        url = f"http://127.0.0.1:{stage.flower}{path}"
        try:
            with urlopen(Request(url, headers=head, method=method), timeout=5) as answer:
                return int(answer.status)
        except HTTPError as error:
            with error:
                return error.code

    with stage.running("redis"), stage.running("flower") as process:
        auth = stage.secret("flower_auth")
        assert status("/workers") == 401
        assert status("/workers", "omega:wrong") == 401
        assert status("/workers", auth) == 200
        assert status("/api/task/async-apply/market.scan", auth, "POST") == 403
        words = Path(f"/proc/{process.pid}/cmdline").read_text()
        assert auth not in words
        assert stage.broker not in words


@pytest.mark.postgres
def test_flower_does_not_start_without_its_secret(stage: Stage) -> None:
    (stage.secrets / "flower_auth").write_text("")
    with stage.running("redis"):
        refused = stage.run("flower", said("flower")["command"])
    assert refused.returncode != 0
    assert "auth" in refused.stderr


def test_the_names_that_health_asks_for_are_those_that_workers_answer_by() -> None:
    text = (ROOT / "deploy" / "health.py").read_text()
    assert "{queue}@{socket.gethostname()}" in text
    for queue in QUEUES:
        assert said(queue)["healthcheck"]["test"][-1] == queue
        assert roles.node(queue).startswith(f"{queue}@")


def test_yaml_anchors_left_nothing_unset() -> None:
    """A merge key replaces a whole mapping: an environment that is written anew must be whole."""
    merged = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["x-environment"]
    for name in ("beat", "migrate", *QUEUES):
        assert set(said(name)["environment"]) == set(merged)
