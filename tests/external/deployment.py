"""The files of deploy: deployment.py EXECUTABLE COMPOSE-SCHEMA

compose.yaml against the schema of its specification, and what no schema says, of it and of the manifests for Kubernetes:
that what is named exists, that containers have no rights that they do not need, and that the executable accepts their
commands and settings.
"""

import copy
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib

import jsonschema
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"


def with_defaults(text):
    """What compose reads without an environment; every variable has a default."""
    text = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)
    assert "${" not in text, text[text.index("${") :][:60]
    return text.replace("$$", "$")


def accepts(executable, command):
    """The executable knows the command and its options."""
    ran = subprocess.run([executable, *command, "--help"], capture_output=True, text=True)
    assert ran.returncode == 0, (command, ran.stderr)


def are_settings(executable, text):
    """The executable accepts the settings file."""
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / "tools.toml"
        file.write_text(text)
        ran = subprocess.run([executable, "config", "show", "--config", file, "--data-dir", folder], capture_output=True, text=True)
        assert ran.returncode == 0, ran.stderr
    return tomllib.loads(text)


def uses(items):
    """The names of configs or secrets that a service uses."""
    return {item if isinstance(item, str) else item["source"] for item in items}


def compose(executable, schema):
    parsed = yaml.safe_load(with_defaults((DEPLOY / "compose.yaml").read_text()))
    validator = jsonschema.Draft201909Validator(schema)
    faults = [f"{list(fault.absolute_path)}: {fault.message}" for fault in validator.iter_errors(parsed)]
    assert not faults, faults
    wrong = copy.deepcopy(parsed)
    wrong["services"]["nginx"]["portz"] = ["443:443"]
    assert not validator.is_valid(wrong), "the schema accepts anything"

    with tempfile.TemporaryDirectory() as folder:
        script = shutil.copy(DEPLOY / "make-secrets.sh", folder)
        made = [subprocess.run([script, "capcut.example.com"], capture_output=True, text=True, check=True).stdout for _ in range(2)]
        assert made[0] and not made[1], made
        secrets = pathlib.Path(folder) / "secrets"
        assert secrets.stat().st_mode & 0o777 == 0o700
        for name, secret in parsed["secrets"].items():
            assert secret["file"] == f"secrets/{name}" and (secrets / name).stat().st_size > 10, name
        assert len(list(secrets.iterdir())) == len(parsed["secrets"]), list(secrets.iterdir())
        password = (secrets / "database_password").read_text()
        assert f":{password}@postgres:5432/capcut" in (secrets / "store_url").read_text()
        refused = subprocess.run([script, "a b; rm"], capture_output=True, text=True)
        assert refused.returncode == 2 and "not a host name" in refused.stderr, refused
    for name, config in parsed["configs"].items():
        assert (DEPLOY / config["file"]).is_file(), name

    used = {"configs": set(), "secrets": set(), "networks": set(), "volumes": set()}
    for name, service in parsed["services"].items():
        assert re.fullmatch(r"[\w./-]+:(?!latest)[\w.-]*\d[\w.-]*", service["image"]), (name, service["image"])
        assert service["read_only"] and service["cap_drop"] == ["ALL"] and not service.get("cap_add"), name
        assert "no-new-privileges:true" in service["security_opt"], name
        assert service["mem_limit"] and service["pids_limit"], name
        used["configs"] |= uses(service.get("configs", []))
        used["secrets"] |= uses(service.get("secrets", []))
        used["networks"] |= set(service["networks"])
        used["volumes"] |= {volume.split(":")[0] for volume in service.get("volumes", [])}
        assert set(service.get("depends_on", {})) <= set(parsed["services"]), name
        # Secrets are files, and no variable has one.
        assert not any(re.search(r"://[^/]*:[^/]*@|PASSWORD$", f"{value} {key}") for key, value in service.get("environment", {}).items())
        if service["image"].startswith("capcut-mcp:"):
            accepts(executable, service["command"])
            if "healthcheck" in service:
                assert service["healthcheck"]["test"][:2] == ["CMD", "capcut-mcp"]
                accepts(executable, service["healthcheck"]["test"][2:])
        elif name != "bucket":
            assert service["healthcheck"]["test"], name
    for kind, names in used.items():
        assert names == set(parsed[kind]), (kind, names ^ set(parsed[kind]))
    settings = are_settings(executable, (DEPLOY / "tools.toml").read_text())
    subnet = parsed["networks"]["front"]["ipam"]["config"][0]["subnet"]
    assert settings["http"]["trusted_proxies"] == [subnet], settings
    print(f"compose.yaml: {len(parsed['services'])} services")


def kubernetes(executable):
    folder = DEPLOY / "kubernetes"
    found = {}
    for file in sorted(folder.rglob("*.yaml")):
        for manifest in yaml.safe_load_all(file.read_text()):
            key = (manifest["kind"], manifest["metadata"]["name"])
            assert key not in found and "namespace" not in manifest["metadata"], key
            found[key] = manifest
    secret = set(found["Secret", "capcut-mcp"]["stringData"])
    settings = are_settings(executable, found["ConfigMap", "capcut-mcp"]["data"]["tools.toml"])
    assert settings["storage"]["kind"] == "s3"
    deployments = {name: manifest for (kind, name), manifest in found.items() if kind == "Deployment"}
    for name, manifest in deployments.items():
        pod = manifest["spec"]["template"]["spec"]
        labels = manifest["spec"]["template"]["metadata"]["labels"]
        for kind in ["HorizontalPodAutoscaler", "PodDisruptionBudget"]:
            assert (kind, name) in found, (kind, name)
        assert found["HorizontalPodAutoscaler", name]["spec"]["scaleTargetRef"]["name"] == name
        assert found["PodDisruptionBudget", name]["spec"]["selector"]["matchLabels"] == labels
        assert pod["securityContext"]["runAsNonRoot"] and not pod["automountServiceAccountToken"], name
        (container,) = pod["containers"]
        accepts(executable, container["args"])
        context = container["securityContext"]
        assert context["readOnlyRootFilesystem"] and not context["allowPrivilegeEscalation"], name
        assert context["capabilities"] == {"drop": ["ALL"]}, name
        assert container["startupProbe"] and container["livenessProbe"]["httpGet"]["path"] == "/health", name
        ports = {port["name"] for port in container["ports"]}
        for probe in ["startupProbe", "livenessProbe", "readinessProbe"]:
            assert container.get(probe, container["startupProbe"])["httpGet"]["port"] in ports, (name, probe)
        pause = int(container.get("lifecycle", {"preStop": {"exec": {"command": ["0"]}}})["preStop"]["exec"]["command"][-1])
        # 10 s for calls, 5 s for what cannot be interrupted.
        assert pod["terminationGracePeriodSeconds"] >= pause + 15, name
        volumes = {volume["name"] for volume in pod["volumes"]}
        assert volumes == {mount["name"] for mount in container["volumeMounts"]}, name
        for entry in container["env"]:
            if entry["value"].startswith("/run/secrets/capcut-mcp/"):
                assert entry["value"].rsplit("/", 1)[1] in secret, entry
    server = deployments["capcut-mcp-server"]["spec"]["template"]
    assert server["spec"]["containers"][0]["readinessProbe"]["httpGet"]["path"] == "/ready"
    assert found["Service", "capcut-mcp"]["spec"]["selector"] == server["metadata"]["labels"]
    backend = found["Ingress", "capcut-mcp"]["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"]
    assert ("Service", backend["name"]) in found, backend
    print(f"kubernetes: {len(found)} manifests")


def main(executable, schema):
    executable = str(pathlib.Path(executable).resolve())
    compose(executable, json.loads(pathlib.Path(schema).read_text()))
    kubernetes(executable)


if __name__ == "__main__":
    main(*sys.argv[1:])
