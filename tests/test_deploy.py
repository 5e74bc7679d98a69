"""The example deployments: valid by the schemas of Compose and Kubernetes, and their commands are ours."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import yaml
from jsonschema import Draft202012Validator
from typer.testing import CliRunner

from gen_inbetween.cli.__main__ import app

DEPLOY = Path(__file__).resolve().parents[1] / "docs" / "deploy"
SCHEMAS = Path(__file__).resolve().parent / "schemas"
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


def faults(value, schema):
    """What a JSON schema of `schemas/` finds wrong with a value."""
    checker = Draft202012Validator(json.loads((SCHEMAS / schema).read_text()))
    return [f"{error.json_path}: {error.message}" for error in checker.iter_errors(value)]


def test_the_compose_file_is_one():
    content = read("compose.yaml")
    assert faults(content, "compose.json") == []
    content["services"]["inbetween"]["restrat"] = "unless-stopped"
    assert "'restrat' was unexpected" in faults(content, "compose.json")[0]


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
    cluster = read("rayjob.yaml")["spec"]["rayClusterSpec"]
    for group in [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]:
        assert faults(group["template"], "pod_template.json") == []
        group["template"]["spec"]["containers"][0]["imagePullPolicy"] = 3
        assert "3 is not of type 'string'" in faults(group["template"], "pod_template.json")[0]
