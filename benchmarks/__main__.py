"""``make bench``: each figure as a median of several runs, with the bar that it is held against."""

import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from sandbox.clouds import Options, ThreadedClouds
from sandbox.engine import Engine
from sandbox.preview import SKIPPED
from sandbox.scratch import read
from sandbox.toolchain import find_tool
from stacks.budget import region_budget
from stacks.settings import Reader

from . import sandbox

ROOT = Path(__file__).resolve().parents[1]
RUNS = 3


def main() -> None:
    """Print every figure that this machine can measure."""
    print(f"medians of {RUNS} runs on {os.cpu_count()} cores\n")
    _preview_in_process()
    _region_in_process()
    _registration()
    _requests()
    _real_engine()
    sandbox.report(_report)
    if "--all" in sys.argv:
        _suite()
        _clone()


def _median(measure: Callable[[], float], runs: int = RUNS) -> float:
    return statistics.median(measure() for _ in range(runs))


def _timed(command: list[str], cwd: Path = ROOT) -> float:
    start = time.perf_counter()
    subprocess.run(command, cwd=cwd, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - start


def _report(figure: str, value: str, bar: str) -> None:
    print(f"{figure:<75} {value:>16}   bar {bar}")


def _preview_in_process() -> None:
    command = ["make", "preview", "ENGINE=inprocess"]
    _timed(command)
    seconds = _median(lambda: _timed(command))
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    _report("make preview in-process, three stacks", f"{seconds:.1f} s", "8 s")
    _report("  its largest process", f"{peak:.0f} MB", "400 MB")


def _region_in_process() -> None:
    """A fresh process that previews prod alone, its imports among the seconds."""
    command = [sys.executable, "-m", "benchmarks.region"]
    _timed(command)
    _report(
        "preview of a region, everything in its cluster included, in-process",
        f"{_median(lambda: _timed(command)):.1f} s",
        "6 s",
    )


def _registration() -> None:
    """Processor time a resource for regions of two sizes, in fresh processes."""
    for of, few, many in (("agents", 6, 60), ("tenants", 3, 100)):
        small, large = (_median(lambda n=n, of=of: float(_output("registration", of, str(n)))) for n in (few, many))
        two = " in two environments" if of == "tenants" else ""
        _report(f"registering a region, per resource: {many} {of}{two} over {few}", f"{large / small:.2f} x", "1.3 x")
        _report(f"  {few} {of}; {many} {of}", f"{small * 1000:.1f}; {large * 1000:.1f} ms", "-")


def _requests() -> None:
    """What the layers request of the committed machines; daemons on every machine are counted on each."""
    settings = Reader(ROOT).settings()
    assert settings is not None
    for name in settings.regions:
        budget = region_budget(name, settings)
        cpu, memory = budget.shares
        share = f"{cpu:.1%}; {memory:.1%}"
        _report(f"requests of the layers on the machines of {name}: processors; memory", share, "25 %; 25 %")
        _report(
            "  without room; without room once an agent is lost",
            f"{len(budget.unplaced)}; {len(budget.unplaced_without_agent)}",
            "0; 0",
        )


def _output(module: str, *arguments: str) -> str:
    return subprocess.run(
        [sys.executable, "-m", f"benchmarks.{module}", *arguments], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.strip()


def _real_engine() -> None:
    cli = find_tool("pulumi")
    if cli is None:
        print("skipped: previews by the real engine, there is no Pulumi command line (`make toolchain` gets one)")
        return
    options = Options(catalogue=ROOT / "config/prices.yaml", in_stock=False, rate_limit=False)
    with (
        tempfile.TemporaryDirectory(prefix="hetzner-platform-bench-") as directory,
        ThreadedClouds(Path(directory) / "machines", options) as clouds,
    ):
        base = Path(directory)
        full, empty = _project(base / "full", empty=False), _project(base / "empty", empty=True)
        engines = {
            name: Engine(
                cli,
                base / f"engine-{name}",
                passphrase="labelled dummies only",  # noqa: S106  it guards nothing
                project=project,
                skipped=SKIPPED,
                environment={"PYTHONPATH": str(ROOT)},
            )
            for name, project in (("full", full), ("empty", empty))
        }
        for engine in engines.values():
            for stack in ("shared", "prod"):
                scratch = read(ROOT, stack).against(clouds.access)
                engine.stack_init(stack, scratch.write(engine.directory), scratch.secrets)
        engines["full"].up("shared")
        for stack in ("shared", "prod"):
            seconds = {name: _median(lambda e=engine, s=stack: _preview(e, s)) for name, engine in engines.items()}
            ratio = seconds["full"] / seconds["empty"]
            _report(f"real engine: preview of {stack} over the same program without resources", f"{ratio:.2f} x", "3 x")
            _report("  with; without", f"{seconds['full']:.1f}; {seconds['empty']:.1f} s", "-")


def _preview(engine: Engine, stack: str) -> float:
    start = time.perf_counter()
    engine.preview(stack)
    return time.perf_counter() - start


def _project(directory: Path, *, empty: bool) -> Path:
    """A copy of the project; the empty one imports the same modules and registers nothing."""
    directory.mkdir()
    for name in ("Pulumi.yaml", "Pulumi.shared.yaml", "Pulumi.prod.yaml", "Pulumi.dr.yaml", "__main__.py"):
        shutil.copy(ROOT / name, directory / name)
    shutil.copytree(ROOT / "config", directory / "config")
    (directory / "Pulumi.yaml").write_text("name: hetzner-platform\nruntime: python\n")
    if empty:
        (directory / "__main__.py").write_text(
            "import pulumi\n"
            "from stacks import program, region, shared\n"
            "if pulumi.get_stack() == 'shared':\n"
            "    import components.edge.edge, pulumi_minio\n"
        )
    return directory


def _suite() -> None:
    seconds = _timed(["make", "test"])
    _report("make test (one run)", f"{seconds:.0f} s", "150 s")


def _clone() -> None:
    with tempfile.TemporaryDirectory(prefix="hetzner-platform-clone-") as directory:
        start = time.perf_counter()
        _timed(["git", "clone", "--quiet", str(ROOT), f"{directory}/clone"])
        _timed(["make", "preview", "ENGINE=inprocess"], Path(directory) / "clone")
        seconds = time.perf_counter() - start
    _report("git clone to the end of the first make preview (one run)", f"{seconds:.0f} s", "90 s")


if __name__ == "__main__":
    main()
