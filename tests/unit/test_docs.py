"""The docs say what is there: generated pages are fresh, links lead somewhere, examples run."""

import re
from pathlib import Path

import pytest

from docs import generate, proofs
from sandbox import inprocess

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def test_the_configuration_reference_is_fresh() -> None:
    assert generate.TARGET.read_text() == generate.render(), "run: python -m docs.generate"


def test_the_page_of_proofs_is_fresh() -> None:
    assert proofs.TARGET.read_text() == proofs.render(), "run: python -m docs.generate"


def test_every_module_of_tests_says_what_it_proves_and_against_what() -> None:
    assert proofs.unplaced() == []


def test_a_module_that_says_nothing_is_found(tmp_path: Path) -> None:
    silent = tmp_path / "test_silent.py"
    silent.write_text("def test_it(): ...\n")
    with pytest.raises(ValueError, match="does not say what it proves"):
        proofs.claim(silent)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files(page: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_documented_make_targets_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"`make ([a-z0-9-]+)", page.read_text()))
    later = {"doctor", "sweep", "up", "down", "status"}
    assert named - targets - later == set()


def test_every_dependency_has_its_reason() -> None:
    text = (ROOT / "docs/dependencies.md").read_text()
    declared = re.findall(r'^    "([a-z0-9-]+)[\[>=<~]', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert [name for name in declared if not re.search(rf"\b{name}\b", text)] == []


def test_the_component_example_runs_in_another_project() -> None:
    example = re.search(r"```python\n(.+?)```", (ROOT / "docs/components.md").read_text(), re.DOTALL)
    assert example is not None
    deployment = inprocess.run(
        lambda: exec(example[1], {}),
        project="shop",
        stack="dev",
        config={"hcloud:token": "x" * 64},
        secret_keys={"hcloud:token"},
    )
    subnets = deployment.by_type("hcloud:index/networkSubnet:NetworkSubnet")
    assert sorted(subnet.inputs["ipRange"] for subnet in subnets) == [
        "10.0.0.0/24",
        "10.1.1.0/24",
        "10.1.2.0/24",
        "10.1.3.0/24",
        "10.1.4.0/24",
    ]
