"""Does each line meet the stages of its pack, and no line another's?"""

from pathlib import Path

import pytest
import yaml

from narfi.core.relabel import RelabelRule, relabel
from promtail_agent.config_file import load_agent_config
from promtail_agent.entry import AgentEntry, Generation, LabelSet
from promtail_agent.errors import ConfigError
from promtail_agent.packs.choice import choosing, choosing_rules
from promtail_agent.packs.load import Shelf
from promtail_agent.packs.pack import RawStages
from promtail_agent.packs.routing import PackStages
from promtail_agent.pipeline import Pipeline, build_pipeline, parse_stages
from promtail_agent.stages.base import StageContext

SHELF = Shelf.of_environment({})
ALL = [SHELF.find(name) for name in SHELF.names()]
ONE = choosing(ALL)
RULES = [RelabelRule.model_validate(rule) for rule in choosing_rules(ALL)]


def build(stages: RawStages, /) -> Pipeline:
    """As a job builds them."""
    return build_pipeline(parse_stages(stages), StageContext())


def chosen(labels: dict[str, str]) -> tuple[str, str, str]:
    """Pack, service and component of a target."""
    found = relabel(labels, RULES) or {}
    for _ in range(2):  # the second time it is known
        assert relabel(labels, [ONE]) == found
    return found.get("pack", ""), found.get("service_name", ""), found.get("component", "")


POD = "__meta_kubernetes_pod_label_"


@pytest.mark.parametrize(
    ("labels", "pack"),
    [
        ({f"{POD}app_kubernetes_io_part_of": "argocd"}, ("argocd", "", "")),
        (
            {f"{POD}k8s_app": "kube-dns", "service_name": "x"},
            ("kubernetes", "kubernetes", "coredns"),
        ),
        (
            {"__meta_kubernetes_pod_container_image": "docker.io/library/registry:2"},
            ("docker-registry", "docker-registry", ""),
        ),
        ({"__meta_kubernetes_pod_container_image": "x/registry-ui:2"}, ("", "", "")),
        ({"service_name": "harbor", "component": "core"}, ("harbor", "harbor", "core")),
        ({"app": "harbor"}, ("harbor", "", "")),
        ({"service_name": "own", "app": "harbor"}, ("harbor", "own", "")),
        ({"pack": "mine", "app": "harbor"}, ("mine", "", "")),
        ({"app": "harbor-clone"}, ("", "", "")),
        ({}, ("", "", "")),
    ],
)
def test_a_target_has_one_pack(labels: dict[str, str], pack: tuple[str, str, str]) -> None:
    assert chosen(labels) == pack


def entries(labels: dict[str, str], *lines: bytes) -> list[AgentEntry]:
    """Entries of one file."""
    generation = Generation(path=str(labels), device=1, inode=1)
    made = LabelSet(labels)
    return [AgentEntry(made, k, line, {}, generation, k) for k, line in enumerate(lines)]


def test_the_label_of_the_pack_ends_and_strangers_pass() -> None:
    stages = PackStages(ALL, build)
    lines = entries({"app": "x", "pack": "argocd"}, b'{"application":"shop"}', b"plain")
    lines += entries({"app": "y"}, b'{"application":"shop"}')
    lines += entries({"app": "z", "pack": "nobody"}, b"time=1")
    found = [(e.labels.text, e.metadata) for e in stages.process(lines)]
    assert found == [
        ('{app="x"}', [("application", "shop")]),
        ('{app="x"}', []),
        ('{app="y"}', []),
        ('{app="z"}', []),
    ]


def test_what_a_format_keeps_back_is_told_and_given_out() -> None:
    stages = PackStages(ALL, build)
    head = b"I1120 08:00:05.349373       1 trace.go:236] Trace[1034]:"
    kept = entries({"pack": "kubernetes", "component": "klog"}, head, b"Trace[1034]: END")
    path = str({"pack": "kubernetes", "component": "klog"})
    assert list(stages.process(kept)) == []
    held = stages.held_from(path)
    assert held is not None
    assert held.offset == 0
    assert [e.line for e in stages.due(float("inf"))] == [head + b"\nTrace[1034]: END"]
    assert stages.held_from(path) is None
    assert list(stages.process(entries({"pack": "kubernetes", "component": "klog"}, head))) == []
    assert [e.line for e in stages.forget(path)] == [head]


def load(text: str, folder: Path) -> dict[str, object]:
    """A configuration with one client, and what becomes of its jobs."""
    file = folder / "agent.yaml"
    file.write_text("clients: [{url: http://localhost:1/}]\n" + text)
    config = load_agent_config(file)
    return {job.job_name: [pack.name for pack in job.packs] for job in config.scrape_configs}


def test_packs_of_the_top_level_and_of_jobs(tmp_path: Path) -> None:
    assert load("packs: [argocd, harbor]\n", tmp_path) == {"pods": ["argocd", "harbor"]}
    jobs = [
        {"job_name": "a", "static_configs": [{"labels": {"__path__": "/x"}}]},
        {"job_name": "b", "static_configs": [{"labels": {"__path__": "/x"}}], "packs": ["tekton"]},
    ]
    text = yaml.safe_dump({"packs": ["argocd"], "scrape_configs": jobs})
    assert load(text, tmp_path) == {"a": ["argocd"], "b": ["tekton"]}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("packs: [argocd, nobody]\n", r'agent.yaml:2: packs\[1\]: there is no pack "nobody"'),
        ("packs: [argocd, argocd]\n", r'packs\[1\]: pack "argocd" is there twice'),
        ("packs: argocd\n", "agent.yaml:2: packs"),
        ("packs: [./mine]\n", r"packs\[0\]: .*mine/pack.yaml: cannot be read"),
    ],
)
def test_mistakes_name_their_line(text: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=told):
        load(text, tmp_path)
