"""deploy/kubernetes: each kustomization built, its objects against the Kubernetes schemas (of ``kubernetes-validate``),
and what they name in each other, in gateway.yaml and in the image."""

from __future__ import annotations

import configparser
import re
import shutil
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import kubernetes_validate
import psycopg
import pytest
import yaml

from nlsql_gateway import config, policy
from nlsql_gateway.embedded.postgres import EmbeddedPostgres
from tests.deploy.kustomize import Object, build, containers_of
from tests.deploy.test_dockerfile import _last
from tests.e2e.harness import gateway
from tests.server import bouncer

ROOT = Path(__file__).parents[2]
KUBERNETES = ROOT / "deploy" / "kubernetes"
KINDS = {"base": set[str](), "gpu": {"triton"}, "pgbouncer": {"pgbouncer"}, "complete": {"triton", "pgbouncer"}}
SUPPORTED = ("1.32", "1.34", "1.37")
ETC = Path("/etc/nlsql-gateway")


def _folder(name: str) -> Path:
    return KUBERNETES / name if name == "base" else KUBERNETES / "overlays" / name


@pytest.fixture(scope="module", params=KINDS)
def built(request: pytest.FixtureRequest) -> tuple[str, list[Object]]:
    return request.param, build(_folder(request.param))


@pytest.fixture(scope="module")
def objects(built: tuple[str, list[Object]]) -> list[Object]:
    return built[1]


def _one(objects: list[Object], kind: str, name: str) -> Object:
    found = [one for one in objects if (one["kind"], one["metadata"]["name"]) == (kind, name)]
    assert len(found) == 1, f"{kind} {name}"
    return found[0]


def _workloads(objects: list[Object]) -> list[Object]:
    return [one for one in objects if containers_of(one)]


def _pod(workload: Object) -> Any:
    return workload["spec"]["template"]["spec"]


def _environment(container: Object) -> dict[str, str]:
    """What is written there, not what the cluster fills in."""
    return {entry["name"]: entry["value"] for entry in container["env"] if "value" in entry}


@pytest.fixture
def settings(objects: list[Object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> config.Settings:
    """What the gateway reads in its pod: the ConfigMap's file, and over it the container's environment."""
    file = tmp_path / "gateway.yaml"
    file.write_text(_one(objects, "ConfigMap", "nlsql-gateway-settings")["data"]["gateway.yaml"])
    for name, value in _environment(containers_of(_one(objects, "StatefulSet", "nlsql-gateway"))[0]).items():
        monkeypatch.setenv(name, value)
    return config.load(file)


def test_every_overlay_is_tried() -> None:
    assert {folder.name for folder in (KUBERNETES / "overlays").iterdir()} == KINDS.keys() - {"base"}


def test_a_fault_is_found() -> None:
    """The schemas are not so wide that anything would do."""
    stateful = _one(build(_folder("base")), "StatefulSet", "nlsql-gateway")
    containers_of(stateful)[0]["securityContext"]["readOnlyRootFileSystem"] = True
    with pytest.raises(kubernetes_validate.ValidationError, match="readOnlyRootFileSystem"):
        kubernetes_validate.validate(stateful, SUPPORTED[0], strict=True)


@pytest.mark.parametrize("version", SUPPORTED)
def test_is_valid_by_kubernetes(objects: list[Object], version: str) -> None:
    for one in objects:
        if one["kind"] != "ServiceMonitor":
            kubernetes_validate.validate(one, version, strict=True)


def test_components_bring_what_they_say(built: tuple[str, list[Object]]) -> None:
    name, objects = built
    assert {workload["metadata"]["name"] for workload in _workloads(objects)} == {"nlsql-gateway", *KINDS[name]}


def test_pods_may_do_what_the_restricted_standard_allows_and_less(objects: list[Object]) -> None:
    for workload in _workloads(objects):
        pod = _pod(workload)
        context = pod["securityContext"]
        assert context["runAsNonRoot"]
        assert min(context["runAsUser"], context["runAsGroup"]) > 0
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
        for container in containers_of(workload):
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert {"cpu", "memory"} <= container["resources"]["requests"].keys()
            assert "memory" in container["resources"]["limits"]
        allowed = {"configMap", "secret", "projected", "emptyDir", "persistentVolumeClaim", "name"}
        assert set().union(*(volume.keys() for volume in pod["volumes"])) <= allowed
        assert all("sizeLimit" in volume["emptyDir"] for volume in pod["volumes"] if "emptyDir" in volume)


def test_the_gateway_runs_as_the_image_s_user(objects: list[Object]) -> None:
    context = _pod(_one(objects, "StatefulSet", "nlsql-gateway"))["securityContext"]
    assert f"{context['runAsUser']}:{context['runAsGroup']}" == _last("USER").value[0]


def test_volumes_mounts_accounts_and_config_maps_exist(objects: list[Object]) -> None:
    for workload in _workloads(objects):
        pod = _pod(workload)
        claims = {claim["metadata"]["name"] for claim in workload["spec"].get("volumeClaimTemplates", [])}
        volumes = {volume["name"] for volume in pod["volumes"]} | claims
        mounts = [mount for container in containers_of(workload) for mount in container["volumeMounts"]]
        assert {mount["name"] for mount in mounts} == volumes
        paths = [Path(mount["mountPath"]) for mount in mounts]
        assert not [path for path in paths if set(path.parents) & set(paths)], "no mount lies inside another"
        for volume in pod["volumes"]:
            named = [volume, *volume.get("projected", {}).get("sources", [])]
            for config_map in (one["configMap"] for one in named if "configMap" in one):
                data = _one(objects, "ConfigMap", config_map["name"])["data"]
                assert {item["key"] for item in config_map.get("items", [])} <= data.keys()
            if "persistentVolumeClaim" in volume:
                _one(objects, "PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"])
        assert _one(objects, "ServiceAccount", pod["serviceAccountName"])["automountServiceAccountToken"] is False


def test_selectors_find_pods_and_ports(objects: list[Object]) -> None:
    pods = [workload["spec"]["template"] for workload in _workloads(objects)]
    for workload in _workloads(objects):
        labels = workload["spec"]["template"]["metadata"]["labels"]
        assert workload["spec"]["selector"]["matchLabels"].items() <= labels.items()
    for service in (one for one in objects if one["kind"] == "Service"):
        (pod,) = [one for one in pods if service["spec"]["selector"].items() <= one["metadata"]["labels"].items()]
        names = {port["name"] for container in pod["spec"]["containers"] for port in container["ports"]}
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= names
    for budget in (one for one in objects if one["kind"] == "PodDisruptionBudget"):
        selected = budget["spec"]["selector"]["matchLabels"]
        assert [pod for pod in pods if selected.items() <= pod["metadata"]["labels"].items()]


def test_probes_ask_what_is_there(objects: list[Object], settings: config.Settings) -> None:
    gateway = containers_of(_one(objects, "StatefulSet", "nlsql-gateway"))[0]
    asked = {probe: gateway[probe]["httpGet"]["path"] for probe in ("startupProbe", "readinessProbe", "livenessProbe")}
    assert asked == {"startupProbe": "/healthz", "readinessProbe": "/readyz", "livenessProbe": "/healthz"}
    ports = {port["name"]: port["containerPort"] for port in gateway["ports"]}
    assert ports == {"postgresql": settings.listen.port, "metrics": (settings.metrics.address(0) or ("", 0))[1]}
    assert settings.metrics.ready_without_model
    assert gateway["args"] == list(_last("CMD").value)
    for workload in _workloads(objects):
        for container in containers_of(workload):
            names = {port["name"] for port in container["ports"]}
            for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
                asking = container.get(probe, {})
                port = asking.get("httpGet", asking.get("tcpSocket", {})).get("port")
                assert port is None or port in names


def test_prometheus_finds_one_port_of_each_replica() -> None:
    """What is its operator's has no schema in kubernetes-validate."""
    objects = build(_folder("complete"))
    monitor = _one(objects, "ServiceMonitor", "nlsql-gateway")
    assert monitor["apiVersion"] == "monitoring.coreos.com/v1"
    assert monitor["spec"].keys() == {"selector", "endpoints"}
    (endpoint,) = monitor["spec"]["endpoints"]
    assert endpoint.keys() == {"port", "path", "interval", "scrapeTimeout"}
    wanted = monitor["spec"]["selector"]["matchLabels"]
    found = [
        one["metadata"]["name"]
        for one in objects
        if one["kind"] == "Service"
        and wanted.items() <= one["metadata"]["labels"].items()
        and endpoint["port"] in {port["name"] for port in one["spec"]["ports"]}
    ]
    assert found == ["nlsql-gateway-peers"]


def test_a_pod_has_the_time_to_drain(objects: list[Object], settings: config.Settings) -> None:
    pod = _pod(_one(objects, "StatefulSet", "nlsql-gateway"))
    *_, waiting = pod["containers"][0]["lifecycle"]["preStop"]["exec"]["command"]
    assert pod["terminationGracePeriodSeconds"] >= int(waiting) + settings.listen.shutdown_grace + 10


def test_gateway_yaml_names_what_is_mounted(objects: list[Object], settings: config.Settings) -> None:
    pod = _pod(_one(objects, "StatefulSet", "nlsql-gateway"))
    mounts = {Path(mount["mountPath"]): mount["name"] for mount in pod["containers"][0]["volumeMounts"]}
    secrets = {volume["name"]: volume["secret"]["secretName"] for volume in pod["volumes"] if "secret" in volume}
    assert settings.listen.tls is not None
    assert settings.listen.tls.required
    assert settings.upstream.password_file is not None
    assert settings.auth.users is not None
    for path, secret in {
        settings.upstream.password_file: "nlsql-gateway",
        settings.auth.users: "nlsql-gateway",
        settings.listen.tls.certificate: "nlsql-gateway-tls",
        settings.listen.tls.key: "nlsql-gateway-tls",
    }.items():
        assert secrets[mounts[path.parent]] == secret, path
        assert f"{path.name}" in (ROOT / "docs" / "deploy.md").read_text(), "who makes the Secret is told its keys"
    assert mounts[settings.audit.path.parent] == "audit"
    file = _one(objects, "ConfigMap", "nlsql-gateway-policy")["data"][settings.policy.name]
    assert (settings.policy.parent, mounts[ETC]) == (ETC, "settings")
    assert policy.load(file, str(settings.policy)).name


def test_each_replica_has_a_number_and_a_name_that_its_peers_know(
    objects: list[Object], settings: config.Settings
) -> None:
    stateful = _one(objects, "StatefulSet", "nlsql-gateway")
    name, peers = stateful["metadata"]["name"], stateful["spec"]["serviceName"]
    assert _one(objects, "Service", peers)["spec"]["clusterIP"] == "None"
    (number,) = [one for one in containers_of(stateful)[0]["env"] if "valueFrom" in one]
    assert number["name"] == "NLSQL_LISTEN__CANCEL__REPLICA_ID"
    assert "apps.kubernetes.io/pod-index" in number["valueFrom"]["fieldRef"]["fieldPath"]
    most = _one(objects, "HorizontalPodAutoscaler", "nlsql-gateway")["spec"]["maxReplicas"]
    assert settings.listen.cancel.peers == {
        replica: f"{name}-{replica}.{peers}:{settings.listen.port}" for replica in range(most)
    }


def test_the_autoscaler_scales_what_is_there(objects: list[Object]) -> None:
    target = _one(objects, "HorizontalPodAutoscaler", "nlsql-gateway")["spec"]["scaleTargetRef"]
    workload = _one(objects, target["kind"], target["name"])
    assert target["apiVersion"] == workload["apiVersion"]
    assert "replicas" not in workload["spec"], "two would decide"


def test_the_network_is_closed_but_for_what_is_named(objects: list[Object], settings: config.Settings) -> None:
    policies = {one["metadata"]["name"]: one["spec"] for one in objects if one["kind"] == "NetworkPolicy"}
    assert policies["everything-else"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    for workload in _workloads(objects):
        name = workload["metadata"]["name"]
        selected = policies[name]["podSelector"]["matchLabels"]
        assert selected.items() <= workload["spec"]["template"]["metadata"]["labels"].items()
        ports = {port["name"]: port["containerPort"] for c in containers_of(workload) for port in c["ports"]}
        for rule in policies[name]["ingress"]:
            assert rule["from"], "from anywhere"
            assert {port["port"] for port in rule["ports"]} <= ports.keys()
    reached = {port["port"] for rule in policies["nlsql-gateway"]["egress"] for port in rule["ports"]}
    model = {urlsplit(settings.ask.url).port} if settings.ask.backend != "none" else set()
    assert reached == {53, settings.listen.port, settings.upstream.port} | model


def test_the_namespace_holds_pods_to_the_restricted_standard(objects: list[Object]) -> None:
    namespace = _one(objects, "Namespace", "nlsql-gateway")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    others = {one["metadata"].get("namespace") for one in objects if one is not namespace}
    assert others == {"nlsql-gateway"}


def test_no_secret_is_among_the_objects(objects: list[Object]) -> None:
    assert "Secret" not in {one["kind"] for one in objects}
    for workload in _workloads(objects):
        for container in containers_of(workload):
            assert not [name for name in _environment({"env": container.get("env", [])}) if "PASSWORD" in name]


def test_triton_loads_the_model_that_the_gateway_asks(settings: config.Settings) -> None:
    objects = build(_folder("complete"))
    triton = containers_of(_one(objects, "Deployment", "triton"))[0]
    if settings.ask.backend == "none":
        assert settings.ask.model not in str(_workloads(build(_folder("base"))))
        return
    host, port = urlsplit(settings.ask.url).hostname, urlsplit(settings.ask.url).port
    assert [one["port"] for one in _one(objects, "Service", host or "")["spec"]["ports"]] == [port]
    assert f"--load-model={settings.ask.model}" in triton["command"]
    assert triton["readinessProbe"]["httpGet"]["path"] == f"/v2/models/{settings.ask.model}/ready"
    assert triton["resources"]["limits"]["nvidia.com/gpu"] == 1
    repository = ROOT / "model_repository" / settings.ask.model
    (models,) = [volume for volume in _pod(_one(objects, "Deployment", "triton"))["volumes"] if "configMap" in volume]
    data = _one(objects, "ConfigMap", models["configMap"]["name"])["data"]
    mounted = {item["path"]: data[item["key"]] for item in models["configMap"]["items"]}
    assert mounted == {
        str(path.relative_to(repository)): path.read_text() for path in repository.rglob("*") if path.is_file()
    }


def test_compose_runs_the_same_triton() -> None:
    compose = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text())["services"]["triton"]["image"]
    assert containers_of(_one(build(_folder("gpu")), "Deployment", "triton"))[0]["image"] == compose


def test_the_overlay_in_the_documentation_is_built(tmp_path: Path) -> None:
    (shown,) = re.findall(
        r"```yaml\n(.*?kind: Kustomization.*?)```", (ROOT / "docs" / "deploy.md").read_text(), re.DOTALL
    )
    shutil.copytree(KUBERNETES, tmp_path / "kubernetes")
    mine = tmp_path / "kubernetes" / "overlays" / "mine"
    mine.mkdir()
    (mine / "kustomization.yaml").write_text(shown)
    gateway = containers_of(_one(build(mine), "StatefulSet", "nlsql-gateway"))[0]
    assert gateway["image"] == "registry.internal/nlsql-gateway:0.1"
    assert _environment(gateway)["NLSQL_UPSTREAM__HOST"] == "db.internal"


@pytest.mark.skipif(bouncer.PROGRAM is None, reason="pgbouncer is not installed")
def test_pgbouncer_takes_its_settings_and_the_gateway_serves_through_it(
    postgres: EmbeddedPostgres, tmp_path: Path
) -> None:
    """The real one with the shipped file, but for addresses, its users and TLS to a server that has none."""
    file = configparser.ConfigParser()
    file.read(KUBERNETES / "components" / "pgbouncer" / "pgbouncer.ini")
    settings = dict(file["pgbouncer"])
    environment = _environment(containers_of(_one(build(_folder("pgbouncer")), "StatefulSet", "nlsql-gateway"))[0])
    mode = settings.pop("pool_mode")
    assert environment["NLSQL_UPSTREAM__POOLER"] == mode
    assert environment["NLSQL_UPSTREAM__PORT"] == settings["listen_port"]
    for name in ("listen_addr", "listen_port", "auth_file", "server_tls_sslmode"):
        settings.pop(name)
    postgres.execute(
        "CREATE ROLE pods LOGIN PASSWORD 'between'; ALTER ROLE pods SET default_transaction_read_only = on"
    )
    try:
        with (
            bouncer.pgbouncer(postgres.host, postgres.port, mode=mode, users={"pods": "between"}, **settings) as port,
            gateway(
                tmp_path,
                config.Endpoint(host="127.0.0.1", port=port),
                database="postgres",
                policy=ROOT / "deploy" / "kubernetes" / "base" / "policy.yaml",
                role="pods",
                password="between",
                upstream={"pooler": mode},
            ) as running,
            psycopg.connect(running.conninfo()) as connection,
        ):
            assert connection.execute("SELECT 1").fetchone() == (1,)
    finally:
        postgres.execute("DROP ROLE pods")
