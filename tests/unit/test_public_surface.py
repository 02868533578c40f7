"""Components can be taken singly: they import without configuration, network or environment, and name what is public."""

import ast
import importlib
import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
from pulumi.provider.experimental.analyzer import Analyzer

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = sorted(path.parent.name for path in (ROOT / "components").glob("*/__init__.py"))
SOURCES = sorted((ROOT / "components").rglob("*.py"))

ISOLATED = """
import socket, sys
def refused(*_): raise OSError("no network here")
socket.socket.connect = refused
socket.getaddrinfo = refused
import components.{package}
if "pulumi_cloudflare" in sys.modules: raise SystemExit("imports Cloudflare's SDK")
"""


@pytest.mark.parametrize("package", PACKAGES)
def test_a_component_imports_without_configuration_network_or_environment(package: str) -> None:
    command = [sys.executable, "-c", ISOLATED.format(package=package)]
    done = subprocess.run(command, cwd=ROOT, env={}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("package", PACKAGES)
def test_what_a_package_names_public_is_there(package: str) -> None:
    module = importlib.import_module(f"components.{package}")
    assert list(module.__all__) == sorted(
        module.__all__, key=lambda name: (not name.isupper(), not name[0].isupper(), name)
    )
    assert [name for name in module.__all__ if not hasattr(module, name)] == []


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_components_import_nothing_of_ours_but_each_other(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level == 0:
            assert node.module != "__future__", "annotations as text break schema inference"
            assert not str(node.module).startswith(("stacks", "sandbox", "tests"))
            assert not str(node.module).startswith("components") or path.name == "__main__.py", "import relatively"


def test_the_package_for_other_languages_has_a_schema() -> None:
    path = ROOT / "components" / "__main__.py"
    spec = importlib.util.spec_from_file_location("component_host", path)
    assert spec is not None
    assert spec.loader is not None
    host = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(host)
    result = Analyzer("hetzner-platform").analyze(components=host.COMPONENTS)
    assert sorted(
        result["component_definitions"] if isinstance(result, dict) and "component_definitions" in result else result
    ) == sorted(component.__name__ for component in host.COMPONENTS)
