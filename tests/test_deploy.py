"""The example deployments: valid by the schemas of Compose and Kubernetes, and their commands are ours."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from gen_inbetween.cli.app import app

DEPLOY = Path(__file__).resolve().parents[1] / "docs" / "deploy"
# The fields of KubeRay's v1 types that the example may use (ray-operator/apis/ray/v1: rayjob_types, raycluster_types).
JOB = {
    "entrypoint": str, "backoffLimit": int, "shutdownAfterJobFinishes": bool, "ttlSecondsAfterFinished": int,
    "rayClusterSpec": dict, "activeDeadlineSeconds": int, "runtimeEnvYAML": str, "submissionMode": str,
}  # fmt: skip
CLUSTER = {"rayVersion": str, "enableInTreeAutoscaling": bool, "headGroupSpec": dict, "workerGroupSpecs": list}
HEAD = {"rayStartParams": dict, "template": dict, "serviceType": str}
WORKERS = {**HEAD, "groupName": str, "replicas": int, "minReplicas": int, "maxReplicas": int}


def read(name):
    return yaml.safe_load((DEPLOY / name).read_text())


def options_of(arguments):
    """Whether the command knows every option of a line."""
    command, *rest = arguments
    said = CliRunner().invoke(app, [command, "--help"], terminal_width=200).output
    return {word.split("=")[0] for word in rest if word.startswith("--")} - {
        word for line in said.splitlines() for word in line.replace(",", " ").split() if word.startswith("--")
    }


def test_the_compose_file_is_one():
    pytest.importorskip("check_jsonschema", reason="check-jsonschema is not installed")
    command = ["check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(DEPLOY / "compose.yaml")]
    checked = subprocess.run([sys.executable, "-m", *command], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_compose_file_runs_our_command():
    service = read("compose.yaml")["services"]["inbetween"]
    entry = next(line for line in service["build"]["dockerfile_inline"].splitlines() if line.startswith("ENTRYPOINT"))
    program, *arguments = yaml.safe_load(entry.removeprefix("ENTRYPOINT "))
    assert program == "inbetween" and options_of([*arguments, *service["command"]]) == set()


def test_the_ray_job_has_the_fields_of_its_types_and_runs_our_command():
    job = read("rayjob.yaml")
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    cluster = job["spec"]["rayClusterSpec"]
    parts = [(job["spec"], JOB), (cluster, CLUSTER), (cluster["headGroupSpec"], HEAD)]
    for part, fields in [*parts, *((group, WORKERS) for group in cluster["workerGroupSpecs"])]:
        assert {name: type(value) for name, value in part.items()}.items() <= fields.items()
    program, *arguments = shlex.split(job["spec"]["entrypoint"])
    assert program == "inbetween" and options_of(arguments) == set()
    locked = (DEPLOY.parents[1] / "constraints.txt").read_text()
    assert f"ray=={cluster['rayVersion']}" in locked.splitlines()


def test_its_pods_are_pods():
    validate = pytest.importorskip("kubernetes_validate", reason="kubernetes-validate is not installed")
    cluster = read("rayjob.yaml")["spec"]["rayClusterSpec"]
    for group in [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]:
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "pod"}, "spec": group["template"]["spec"]}
        validate.validate(pod, "1.33", strict=True)
