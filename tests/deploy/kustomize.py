"""``kustomize build``, as far as deploy/kubernetes uses it: a field or a patch that is not understood here is an error.

Written by kustomize's reference (https://kubectl.docs.kubernetes.io/references/kustomize/kustomization/); names of
generated ConfigMaps keep no hash, so that tests can name them.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import yaml

Object = dict[str, Any]

FIELDS = {"apiVersion", "kind", "namespace", "labels", "resources", "components", "configMapGenerator", "patches"}
CLUSTER_WIDE = {"Namespace"}


def build(folder: Path) -> list[Object]:
    """The objects of a kustomization or component, in the order in which they are named."""
    return _accumulate(folder, [])


def _accumulate(folder: Path, objects: list[Object]) -> list[Object]:
    """A component works on what was there before it, another kustomization on its own."""
    described = yaml.safe_load((folder / "kustomization.yaml").read_text())
    unknown = described.keys() - FIELDS - {"images"}
    assert not unknown, f"{folder}: {unknown}"
    is_component = described["kind"] == "Component"
    assert described["apiVersion"] == f"kustomize.config.k8s.io/{'v1alpha1' if is_component else 'v1beta1'}"
    for name in described.get("resources", []):
        path = _inside(folder, name)
        objects += _accumulate(path, []) if path.is_dir() else list(yaml.safe_load_all(path.read_text()))
    objects += [_config_map(folder, one) for one in described.get("configMapGenerator", [])]
    for name in described.get("components", []):
        objects = _accumulate(_inside(folder, name), objects)
    for patch in described.get("patches", []):
        _patch(objects, **patch)
    for labels in described.get("labels", []):
        assert labels.keys() == {"pairs"}
        for one in objects:
            one["metadata"].setdefault("labels", {}).update(labels["pairs"])
    for image in described.get("images", []):
        _rename(objects, **image)
    if "namespace" in described:
        for one in objects:
            if one["kind"] not in CLUSTER_WIDE:
                one["metadata"]["namespace"] = described["namespace"]
    identities = [(one["kind"], one["metadata"]["name"]) for one in objects]
    assert len(set(identities)) == len(identities), f"{folder}: an object is there twice"
    return objects


def _inside(folder: Path, name: str) -> Path:
    """kustomize takes single files from the kustomization's own folder alone."""
    path = (folder / name).resolve()
    assert path.is_dir() or path.is_relative_to(folder.resolve()), f"{folder}: {name} lies outside"
    return path


def _config_map(folder: Path, generator: Object) -> Object:
    assert generator.keys() <= {"name", "files", "options"}
    data = {Path(file).name: _inside(folder, file).read_text() for file in generator["files"]}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": generator["name"]}, "data": data}


def _rename(objects: list[Object], name: str, **new: str) -> None:
    assert new.keys() == {"newName", "newTag"}
    containers = [
        container for one in objects for container in containers_of(one) if _untagged(container["image"]) == name
    ]
    assert containers, f"no container has the image {name}"
    for container in containers:
        container["image"] = f"{new['newName']}:{new['newTag']}"


def _untagged(image: str) -> str:
    return image.rpartition(":")[0] if ":" in image.rpartition("/")[2] else image


def containers_of(one: Object) -> list[Object]:
    """Of a workload; none of anything else."""
    pod = one.get("spec", {}).get("template", {}).get("spec", {})
    return [*pod.get("initContainers", []), *pod.get("containers", [])]


def _patch(objects: list[Object], target: Object, patch: str) -> None:
    """JSON patches (RFC 6902): add, replace, test."""
    assert target.keys() == {"kind", "name"}
    found = [one for one in objects if (one["kind"], one["metadata"]["name"]) == (target["kind"], target["name"])]
    assert len(found) == 1, f"{target} is there {len(found)} times"
    for operation in yaml.safe_load(patch):
        *parents, last = operation["path"].removeprefix("/").split("/")
        place: Any = found[0]
        for step in parents:
            place = place[int(step) if isinstance(place, list) else step]
        key = len(place) if last == "-" else int(last) if isinstance(place, list) else last
        match operation["op"]:
            case "test":
                assert place[key] == operation["value"], operation
            case "replace":
                assert key in (range(len(place)) if isinstance(place, list) else place), operation
                place[key] = copy.deepcopy(operation["value"])
            case "add" if isinstance(place, list):
                place.insert(key, copy.deepcopy(operation["value"]))
            case "add":
                place[key] = copy.deepcopy(operation["value"])
            case other:
                raise AssertionError(f"{other} is not understood")
