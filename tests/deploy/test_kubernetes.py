"""The manifests are of a kind that Kubernetes takes, and say the same as the compose file."""

import re
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from tests.deploy.conftest import OURS, ROOT, SERVICES, Stage, spoken
from workers.config import QUEUES

FOLDER = ROOT / "deploy" / "kubernetes"
VERSION = "1.34"
CUSTOM = ("kustomize.config.k8s.io/", "keda.sh/")
"""Kinds that Kubernetes itself does not know; they are checked by hand below."""

Document = dict[str, Any]


def documents(file: Path) -> list[Document]:
    return [one for one in yaml.safe_load_all(file.read_text()) if one]


FILES = {file.name: documents(file) for file in sorted(FOLDER.glob("*.yaml"))}
ALL = [one for found in FILES.values() for one in found]
NATIVE = [one for one in ALL if not one["apiVersion"].startswith(CUSTOM)]
PODS = {
    one["metadata"]["name"]: one
    for one in ALL
    if one["kind"] in {"Deployment", "StatefulSet", "Job"}
}
EVERY = pytest.mark.parametrize("name", PODS)
LASTING = pytest.mark.parametrize("name", [name for name in PODS if name != "migrate"])


def named(one: Document) -> str:
    return f"{one['kind']}/{one.get('metadata', {}).get('name', '')}"


def only(kind: str, name: str | None = None) -> Document:
    [found] = [
        one
        for one in ALL
        if one["kind"] == kind and (name is None or one["metadata"]["name"] == name)
    ]
    return found


def pod(name: str) -> Document:
    spec: Document = PODS[name]["spec"]["template"]["spec"]
    return spec


def container(name: str) -> Document:
    [found] = pod(name)["containers"]
    return dict(found)


def environment(name: str) -> dict[str, str]:
    return {one["name"]: one["value"] for one in container(name).get("env", [])}


def megabytes(text: str) -> int:
    number, unit = re.fullmatch(r"(\d+)\s*([A-Za-z]+)", text).groups()  # type: ignore[union-attr]
    return int(number) * {"m": 1, "Mi": 1, "g": 1024, "Gi": 1024}[unit]


@pytest.mark.parametrize("one", NATIVE, ids=named)
def test_kubernetes_takes_it_with_no_field_that_it_does_not_know(one: Document) -> None:
    kubernetes_validate.validate(one, VERSION, strict=True)


def test_a_misspelt_field_would_be_refused() -> None:
    wrong = only("Deployment", "decision") | {"spec": {"replica": 1}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, VERSION, strict=True)


def test_every_file_is_applied_but_the_templates_of_secrets() -> None:
    said = only("Kustomization")["resources"]
    assert sorted(said) == sorted(set(FILES) - {"kustomization.yaml", "secrets.yaml"})
    assert {one["kind"] for one in FILES["secrets.yaml"]} == {"Secret"}
    assert not [one for one in ALL if one["kind"] == "Secret" and one not in FILES["secrets.yaml"]]


def test_what_runs_in_compose_runs_here() -> None:
    assert set(PODS) == set(SERVICES)
    kinds = {name: one["kind"] for name, one in PODS.items()}
    assert kinds.pop("redis") == kinds.pop("postgres") == "StatefulSet"
    assert kinds.pop("migrate") == "Job"
    assert set(kinds.values()) == {"Deployment"}


@EVERY
def test_image_command_and_environment_are_those_of_compose(name: str) -> None:
    service, here = SERVICES[name], container(name)
    assert here["image"] == spoken(service["image"])
    # The image's own entry point has to prepare the database first: there it is an argument.
    command = here["args" if name == "postgres" else "command"]
    assert command == [spoken(word) for word in service["command"]]
    said = {key: spoken(value) for key, value in service.get("environment", {}).items()}
    assert environment(name) == said


@LASTING
def test_health_is_asked_as_in_compose(name: str) -> None:
    probe = SERVICES[name]["healthcheck"]["test"][1:]
    asked = [value for key, value in container(name).items() if key.endswith("Probe")]
    assert len(asked) >= 2
    assert all(one["exec"]["command"] == probe for one in asked)


@EVERY
def test_no_pod_can_do_more_than_it_must(name: str) -> None:
    spec, here = pod(name), container(name)
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["runAsUser"] > 0
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert spec["automountServiceAccountToken"] is False
    assert here["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    for forbidden in ("hostNetwork", "hostPID", "hostIPC"):
        assert forbidden not in spec
    assert not [volume for volume in spec["volumes"] if "hostPath" in volume]


@EVERY
def test_a_services_address_is_never_taken_for_a_setting(name: str) -> None:
    """Kubernetes would put OMEGA_..._SERVICE_HOST there, and a misspelt setting is an error."""
    assert pod(name)["enableServiceLinks"] is False


@EVERY
def test_limits_are_those_of_compose(name: str) -> None:
    limits = container(name)["resources"]["limits"]
    compose = SERVICES[name]["deploy"]["resources"]["limits"]
    cpu = limits["cpu"]
    assert float(compose["cpus"]) == (int(cpu[:-1]) / 1000 if cpu.endswith("m") else float(cpu))
    assert megabytes(limits["memory"]) == megabytes(compose["memory"])
    assert set(container(name)["resources"]["requests"]) == {"cpu", "memory"}


@LASTING
def test_a_pod_has_as_long_to_stop_as_a_container(name: str) -> None:
    grace = pod(name)["terminationGracePeriodSeconds"]
    assert f"{grace}s" == SERVICES[name]["stop_grace_period"]
    assert grace >= 15


@pytest.mark.parametrize("name", OURS)
def test_secrets_and_home_are_seen_by_those_who_see_them_in_compose(name: str) -> None:
    templates = {one["metadata"]["name"]: set(one["stringData"]) for one in FILES["secrets.yaml"]}
    [projected] = [v["projected"] for v in pod(name)["volumes"] if "projected" in v]
    seen = {key for one in projected["sources"] for key in templates[one["secret"]["name"]]}
    assert seen == set(SERVICES[name]["secrets"])
    mounts = {one["name"]: one for one in container(name)["volumeMounts"]}
    assert mounts["secrets"]["mountPath"] == "/run/secrets"
    homes = [v.split(":") for v in SERVICES[name].get("volumes", [])]
    if not homes:
        assert "home" not in mounts
        return
    assert mounts["home"]["mountPath"] == "/var/lib/omega"
    assert mounts["home"].get("readOnly", False) is (homes[0][2:] == ["ro"])
    assert only("PersistentVolumeClaim")["spec"]["accessModes"] == ["ReadWriteMany"]


def test_the_templates_hold_no_secret() -> None:
    for one in FILES["secrets.yaml"]:
        assert "data" not in one
        for value in one["stringData"].values():
            found = re.findall(r"(?:[:#]|^)(?!//)([\w]{8,})(?=@|\s|$)", value)
            assert found == [], named(one)
    assert re.findall(r"[0-9a-f]{32,}", "".join(map(Path.read_text, FOLDER.glob("*.yaml")))) == []


def test_deciders_are_scaled_by_the_queue_that_they_work_off() -> None:
    scaled = only("ScaledObject")
    assert scaled["spec"]["scaleTargetRef"] == {"kind": "Deployment", "name": "decision"}
    [trigger] = scaled["spec"]["triggers"]
    assert trigger["type"] == "redis"
    assert trigger["metadata"]["listName"] in QUEUES
    assert trigger["metadata"]["listName"] == container("decision")["command"][2]
    assert trigger["metadata"]["address"] == "redis.omega.svc:6379"
    assert int(trigger["metadata"]["listLength"]) > 0
    assert 1 <= scaled["spec"]["minReplicaCount"] < scaled["spec"]["maxReplicaCount"]
    assert "replicas" not in PODS["decision"]["spec"]
    asking = only("TriggerAuthentication", trigger["authenticationRef"]["name"])
    secret = only("Secret", "scaler")["stringData"]
    for one in asking["spec"]["secretTargetRef"]:
        assert one["name"] == "scaler"
        assert one["key"] in secret


def test_the_scaler_may_ask_how_long_the_queue_is_and_nothing_else(stage: Stage) -> None:
    """KEDA asks by a script of this form."""
    script = (
        "local kind = redis.call('type', KEYS[1]).ok; local cmd = {list = 'llen', none = 'llen'}; "
        "return redis.call(cmd[kind], KEYS[1])"
    )
    with stage.running("redis"):
        secret = stage.secret("scaler_password")
        assert stage.answers("scaler", secret, "EVAL", script, "1", "decision")
        assert not stage.answers("scaler", secret, "EVAL", script, "1", "training")
        assert not stage.answers("scaler", secret, "RPOP", "decision")
    template = only("Secret", "redis")["stringData"]["redis_acl"]
    made = re.sub(r"#[0-9a-f]{64}", "#REPLACE", stage.secret("redis_acl"))
    assert template == made


def test_a_drain_leaves_a_decider_and_a_beat() -> None:
    budgets = {one["metadata"]["name"]: one["spec"] for one in ALL if "Budget" in one["kind"]}
    assert set(budgets) == {"decision", "beat"}
    for name, budget in budgets.items():
        assert budget["minAvailable"] == 1
        assert budget["selector"]["matchLabels"] == {"role": name}
    assert PODS["beat"]["spec"]["replicas"] == 2
    assert only("ScaledObject")["spec"]["minReplicaCount"] >= 2


@EVERY
def test_selectors_fit_their_pods(name: str) -> None:
    labels = PODS[name]["spec"]["template"]["metadata"]["labels"]
    assert labels["role"] == name
    if name != "migrate":
        assert PODS[name]["spec"]["selector"]["matchLabels"] == {"role": name}
    for service in (one for one in ALL if one["kind"] == "Service"):
        assert service["spec"]["selector"]["role"] in PODS
        assert service["spec"].get("type", "ClusterIP") == "ClusterIP"


@pytest.mark.parametrize("name", OURS)
def test_pods_reach_what_they_reach_in_compose_and_nothing_else(name: str) -> None:
    nets = set(SERVICES[name]["networks"])
    reaches = {"broker": {"broker"}, "database": {"database"}, "both": {"broker", "database"}}
    labels = PODS[name]["spec"]["template"]["metadata"]["labels"]
    assert reaches[labels["reaches"]] == nets
    nothing = only("NetworkPolicy", "nothing")["spec"]
    assert nothing == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    for server, net in {"redis": "broker", "postgres": "database"}.items():
        [let] = only("NetworkPolicy", server)["spec"]["ingress"]
        [values] = [
            rule["values"]
            for peer in let["from"]
            for rule in peer.get("podSelector", {}).get("matchExpressions", [])
        ]
        assert (labels["reaches"] in values) is (net in nets)
