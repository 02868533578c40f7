"""The timeline: schedules of any tasks, and the committed stack beside the orders of two other tools."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from components.cluster.user_data import AGENT_PACKAGES
from sandbox.deployment import Deployment
from sandbox.hetzner import Catalogue
from sandbox.preview import preview
from sandbox.timeline import LATENCIES, Schedule, ScheduleError, Task, others, ours, schedule, until
from sandbox.timeline.plan import END, SERVER, Machine, machines
from sandbox.timeline.report import NOTHING_MEASURED, Comparison, compare, text
from sandbox.world import Latencies

ROOT = Path(__file__).parents[2]


@st.composite
def task_lists(draw: st.DrawFn) -> list[Task]:
    """Tasks that wait for others without a cycle, in any order."""
    count = draw(st.integers(1, 12))
    # Halves and quarters: sums are exact, whatever their order.
    seconds = st.integers(0, 400).map(lambda quarters: quarters / 4)
    tasks = [
        Task(f"t{number}", draw(seconds), tuple(f"t{each}" for each in range(number) if draw(st.booleans())))
        for number in range(count)
    ]
    return draw(st.permutations(tasks))


class TestSchedule:
    @given(task_lists())
    def test_takes_at_least_as_long_as_the_longest_task(self, tasks: list[Task]) -> None:
        assert schedule(tasks).makespan >= max(task.seconds for task in tasks)

    @given(task_lists(), st.none() | st.integers(1, 4))
    def test_no_task_starts_before_what_it_comes_after(self, tasks: list[Task], at_once: int | None) -> None:
        found = schedule(tasks, at_once)
        assert all(found.start[task.name] >= found.finish[each] for task in tasks for each in task.after)
        assert all(found.finish[task.name] - found.start[task.name] == task.seconds for task in tasks)

    @given(task_lists())
    def test_the_critical_path_sums_up_to_the_makespan(self, tasks: list[Task]) -> None:
        found = schedule(tasks)
        assert sum(step.task.seconds for step in found.critical_path) == found.makespan
        assert found.critical_path[0].start == 0
        for one, other in pairwise(found.critical_path):
            assert other.after == one.task.name in other.task.after
            assert other.start == one.finish

    @given(task_lists(), st.data())
    def test_without_a_dependency_it_never_takes_longer(self, tasks: list[Task], data: st.DataObject) -> None:
        index = data.draw(st.sampled_from(range(len(tasks))))
        fewer = tuple(each for each in tasks[index].after if data.draw(st.booleans()))
        freed = [*tasks[:index], replace(tasks[index], after=fewer), *tasks[index + 1 :]]
        assert schedule(freed).makespan <= schedule(tasks).makespan

    @given(task_lists())
    def test_an_edge_costs_what_is_saved_without_it(self, tasks: list[Task]) -> None:
        found = schedule(tasks)
        for step in found.critical_path:
            without = tuple(each for each in step.task.after if each != step.after)
            freed = [replace(task, after=without) if task.name == step.task.name else task for task in tasks]
            assert step.cost == found.makespan - schedule(freed).makespan

    @given(task_lists(), st.integers(1, 4))
    def test_no_more_run_at_once_than_may(self, tasks: list[Task], at_once: int) -> None:
        found = schedule(tasks, at_once)
        for begun in found.start.values():
            running = [task for task in tasks if found.start[task.name] <= begun < found.finish[task.name]]
            assert len(running) <= at_once
        total = sum(task.seconds for task in tasks)
        assert total / at_once <= found.makespan <= total

    @given(task_lists())
    def test_one_at_a_time_takes_the_sum(self, tasks: list[Task]) -> None:
        assert schedule(tasks, 1).makespan == sum(task.seconds for task in tasks)

    @given(task_lists(), st.data())
    def test_the_order_of_the_tasks_does_not_matter_without_a_bound(
        self, tasks: list[Task], data: st.DataObject
    ) -> None:
        one, other = schedule(tasks), schedule(data.draw(st.permutations(tasks)))
        assert (one.start, one.finish, one.makespan) == (other.start, other.finish, other.makespan)

    @given(task_lists())
    def test_what_a_task_waits_for_is_enough_to_know_when_it_ends(self, tasks: list[Task]) -> None:
        whole = schedule(tasks)
        for task in tasks:
            assert schedule(until(tasks, task.name)).makespan == whole.finish[task.name]

    def test_a_diamond(self) -> None:
        found = schedule([Task("d", 1, ("b", "c")), Task("b", 2, ("a",)), Task("c", 5, ("a",)), Task("a", 1)])
        assert found.start == {"d": 6, "b": 1, "c": 1, "a": 0}
        assert [(step.task.name, step.after, step.cost) for step in found.critical_path] == [
            ("a", None, 0),
            ("c", "a", 1),
            ("d", "c", 1),
        ]

    def test_nothing_takes_no_time(self) -> None:
        assert schedule([]) == Schedule({}, {}, 0, ())

    @pytest.mark.parametrize(
        ("tasks", "message"),
        [
            ([Task("a", 1), Task("a", 2)], "two tasks are named 'a'"),
            ([Task("a", 1, ("b",))], "'a' comes after 'b', which is no task"),
            ([Task("a", 1, ("a",))], "these tasks wait for each other: 'a' after 'a'"),
            (
                [Task("free", 1), Task("a", 1, ("c", "free")), Task("b", 1, ("a",)), Task("c", 1, ("b",))],
                "these tasks wait for each other: 'a' after 'c' after 'b' after 'a'",
            ),
            ([Task("a", -1)], "'a' takes -1 s: write a number of seconds, 0 or more"),
            ([Task("a", float("nan"))], "'a' takes nan s: write a number of seconds, 0 or more"),
            (
                [Task("a", -1), Task("a", 1, ("b",))],
                "two tasks are named 'a'\n'a' takes -1 s: write a number of seconds, 0 or more\n'a' comes after 'b', which is no task",
            ),
        ],
    )
    def test_refuses_what_makes_no_schedule_and_says_why(self, tasks: list[Task], message: str) -> None:
        found = sorted(_refusal(tasks).splitlines())
        assert found == sorted(message.splitlines())

    def test_refuses_to_do_nothing_at_once(self) -> None:
        with pytest.raises(ScheduleError, match="at_once is 0"):
            schedule([Task("a", 1)], 0)

    def test_refuses_to_wait_for_what_is_no_task(self) -> None:
        with pytest.raises(ScheduleError, match="there is no task 'b'"):
            until([Task("a", 1)], "b")


def _refusal(tasks: list[Task]) -> str:
    with pytest.raises(ScheduleError) as refused:
        schedule(tasks)
    return str(refused.value)


class TestLatencies:
    def test_the_emulated_clouds_can_read_them(self) -> None:
        table = Latencies.read(LATENCIES)
        assert table.seconds("create_server", "shared") == 8
        assert table.seconds("create_server", "dedicated") == 12

    def test_every_figure_says_that_it_is_an_estimate(self) -> None:
        for name, entry in yaml.safe_load(LATENCIES.read_text()).items():
            assert set(entry) == {"seconds", "source"}, name
            assert "estimate" in entry["source"], name
            assert entry["seconds"] > 0, name

    def test_actions_are_named_as_the_emulated_cloud_names_them(self) -> None:
        sources = "\n".join(path.read_text() for path in (ROOT / "sandbox/hetzner").glob("*.py"))
        names = {name.partition("/")[0] for name in yaml.safe_load(LATENCIES.read_text())}
        actions = {name for name in names if name != "api_call" and not name.startswith("machine_")}
        assert len(actions) == 8
        assert [name for name in sorted(actions) if f'"{name}"' not in sources] == []
        assert '"machine_boot"' not in sources


@pytest.fixture(scope="module")
def previews() -> dict[str, Deployment]:
    found = preview(ROOT, "inprocess", lambda *_: None)
    return {name: stack.deployment for name, stack in found.stacks.items()}


@pytest.fixture(scope="module")
def prod(previews: dict[str, Deployment]) -> Deployment:
    return previews["prod"]


@pytest.fixture(scope="module")
def latencies() -> Latencies:
    return Latencies.read(LATENCIES)


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return Catalogue.read(ROOT / "config/prices.yaml")


@pytest.fixture(scope="module")
def own(prod: Deployment, latencies: Latencies, catalogue: Catalogue) -> tuple[Task, ...]:
    return ours.tasks(prod, latencies, catalogue)


@pytest.fixture(scope="module")
def compared(prod: Deployment, latencies: Latencies, catalogue: Catalogue) -> Comparison:
    return compare(prod, latencies, catalogue)


def ready(tasks: tuple[Task, ...]) -> float:
    return schedule(until(tasks, END)).makespan


def changed(tasks: tuple[Task, ...], name: str, *, more: tuple[str, ...] = (), less: str = "") -> tuple[Task, ...]:
    """The same tasks, one of which comes after more, or no longer after one."""
    (task,) = [task for task in tasks if task.name == name]
    assert not less or less in task.after
    other = replace(task, after=(*(each for each in task.after if each != less), *more))
    return tuple(other if each is task else each for each in tasks)


class TestOurs:
    def test_every_resource_is_a_task_and_every_machine_boots(self, prod: Deployment, own: tuple[Task, ...]) -> None:
        names = [task.name for task in own]
        assert set(ours.task_names(prod).values()) <= set(names)
        for server in prod.by_type(SERVER):
            steps = {name.partition(": ")[2] for name in names if name.startswith(f"{server.name}: ")}
            first, role = server.inputs["labels"]["number"] == "1", server.inputs["labels"]["role"]
            expected = {"create", "attach", "boot", "k3s binary", "network image"}
            expected |= {"packages"} if role == "agent" and AGENT_PACKAGES else set()
            expected |= {"initialise"} if role == "server" and first else {"sees its turn", "join"}
            assert steps == expected

    def test_servers_join_in_turn_and_agents_when_the_load_balancer_serves(self, own: tuple[Task, ...]) -> None:
        found = schedule(own)
        initialised, joined = found.finish["fsn1-server-1: initialise"], found.finish["fsn1-server-2: join"]
        # Two looks, 3 s apart, find the target healthy.
        assert found.finish[ours.SERVING] == initialised + 6
        assert found.start["fsn1-server-2: sees its turn"] == initialised
        assert found.start["fsn1-server-3: sees its turn"] == joined
        for agent in ("fsn1-general-1", "fsn1-general-2", "fsn1-general-4"):
            assert found.start[f"{agent}: sees its turn"] == found.finish[ours.SERVING]

    def test_the_engine_asks_when_all_servers_have_joined(self, prod: Deployment, own: tuple[Task, ...]) -> None:
        found = schedule(own)
        assert found.start["RandomId fsn1-ready"] == found.finish["fsn1-server-3: join"]
        # What hangs on the marker by its provider comes later still.
        assert found.start["Secret fsn1-etcd-snapshots"] == found.finish["UploadedCertificate fsn1-initialized"]

    def test_a_dependency_on_a_component_waits_for_all_inside_it(
        self, prod: Deployment, latencies: Latencies, catalogue: Catalogue
    ) -> None:
        balancer = prod.named("fsn1-api", "hetzner-platform:index:ApiLoadBalancer")
        late = tuple(
            replace(each, dependencies=(*each.dependencies, balancer.urn)) if each.name == "fsn1-server-1" else each
            for each in prod.resources
        )
        found = schedule(ours.tasks(replace(prod, resources=late), latencies, catalogue))
        assert found.start["fsn1-server-1: create"] == found.finish["LoadBalancerService fsn1-api-api"] > 0

    def test_dedicated_vcpus_take_longer_to_make(
        self, prod: Deployment, own: tuple[Task, ...], latencies: Latencies, catalogue: Catalogue
    ) -> None:
        dedicated = tuple(
            replace(each, inputs={**each.inputs, "serverType": "ccx23"}) if each.type == SERVER else each
            for each in prod.resources
        )
        larger = ours.tasks(replace(prod, resources=dedicated), latencies, catalogue)
        assert ready(larger) == pytest.approx(ready(own) + 4)

    def test_a_stack_without_servers_is_refused(
        self, previews: dict[str, Deployment], latencies: Latencies, catalogue: Catalogue
    ) -> None:
        with pytest.raises(LookupError, match="the stack shared has no servers: choose a regional one"):
            ours.tasks(previews["shared"], latencies, catalogue)

    def test_a_stack_whose_api_nobody_serves_is_refused(
        self, prod: Deployment, latencies: Latencies, catalogue: Catalogue
    ) -> None:
        without = tuple(each for each in prod.resources if each.name != "fsn1-api-api")
        with pytest.raises(LookupError, match="a load balancer that listens on 6443"):
            ours.tasks(replace(prod, resources=without), latencies, catalogue)

    def test_a_type_that_has_no_price_is_refused(self, prod: Deployment, catalogue: Catalogue) -> None:
        unknown = tuple(
            replace(each, inputs={**each.inputs, "serverType": "cx99"}) if each.type == SERVER else each
            for each in prod.resources
        )
        with pytest.raises(LookupError, match=r"is a cx99, which config/prices.yaml does not name"):
            machines(replace(prod, resources=unknown), catalogue)


class TestOthers:
    @pytest.fixture
    def made(self, prod: Deployment, catalogue: Catalogue) -> tuple[Machine, ...]:
        found = machines(prod, catalogue)
        assert [machine.is_server for machine in found] == [True] * 3 + [False] * 3
        return found

    def test_hetzner_k3s_installs_agents_when_all_servers_have_joined(
        self, made: tuple[Machine, ...], latencies: Latencies
    ) -> None:
        found = schedule(others.hetzner_k3s(made, latencies))
        assert found.start["fsn1-general-1: k3s binary"] == found.finish["fsn1-server-3: join"]
        assert found.start["fsn1-server-2: join"] == found.start["fsn1-server-3: join"]

    def test_kube_hetzner_installs_agents_when_the_first_server_is_ready(
        self, made: tuple[Machine, ...], latencies: Latencies
    ) -> None:
        found = schedule(others.kube_hetzner(made, latencies))
        assert found.start["fsn1-general-1: k3s binary"] == found.finish["fsn1-server-1: seen ready"]
        assert found.start["fsn1-server-2: join"] == found.start["fsn1-server-3: join"]

    @pytest.mark.parametrize("order", [others.hetzner_k3s, others.kube_hetzner])
    def test_in_turn_one_server_joins_after_the_other(
        self,
        order: Callable[..., tuple[Task, ...]],
        made: tuple[Machine, ...],
        latencies: Latencies,
    ) -> None:
        found = schedule(order(made, latencies, joins_in_turn=True))
        assert found.start["fsn1-server-3: join"] == found.finish["fsn1-server-2: join"]
        assert found.makespan == schedule(order(made, latencies)).makespan + latencies.seconds("machine_joining_server")


class TestComparison:
    """Estimates, so these say what follows from the figures in the table; they are no measurement."""

    def test_ours_is_the_shortest_since_etcd_lets_all_join_in_turn(self, compared: Comparison) -> None:
        own = compared.ours.in_turn.makespan
        assert own < compared.kube_hetzner.in_turn.makespan < compared.hetzner_k3s.in_turn.makespan
        assert own < compared.hetzner_k3s.shortest.makespan
        # Only servers that join at the same time, which etcd refuses, would be sooner.
        assert compared.kube_hetzner.shortest.makespan < own

    def test_servers_that_wait_for_each_other_cost_ours_as_much_as_the_others(
        self, compared: Comparison, own: tuple[Task, ...]
    ) -> None:
        together = changed(own, "fsn1-server-3: sees its turn", less="fsn1-server-2: join")
        assert ready(together) < compared.kube_hetzner.shortest.makespan
        (edge,) = [
            step for step in compared.ours.in_turn.critical_path if step.task.name == "fsn1-server-3: sees its turn"
        ]
        assert edge.cost == pytest.approx(18 + 0.5) == ready(own) - ready(together)

    def test_servers_that_waited_for_the_load_balancer_would_be_later(self, own: tuple[Task, ...]) -> None:
        behind = changed(own, "fsn1-server-2: sees its turn", more=(ours.SERVING,))
        assert ready(behind) == pytest.approx(ready(own) + 6)

    def test_machines_made_one_after_another_make_ours_the_longest(
        self, compared: Comparison, own: tuple[Task, ...]
    ) -> None:
        names = [machine.name for machine in compared.machines]
        serial = own
        for before, name in pairwise(names):
            serial = changed(serial, f"{name}: create", more=(f"{before}: k3s binary",))
        assert ready(serial) > compared.hetzner_k3s.in_turn.makespan > compared.ours.in_turn.makespan

    def test_a_network_plugin_behind_the_marker_makes_ours_longer(self, compared: Comparison) -> None:
        assert compared.ours_after_marker.in_turn.makespan > compared.ours.in_turn.makespan

    def test_the_report_shows_all_three_with_paths_and_says_that_nothing_was_measured(
        self, compared: Comparison
    ) -> None:
        lines = text(compared).splitlines()
        assert lines[0] == "prod: seconds from the first request to 3 Ready servers and 3 Ready agents"
        for row in (compared.ours, compared.hetzner_k3s, compared.kube_hetzner):
            (total,) = [line for line in lines if line.startswith(f"{row.name} ")]
            assert total.split()[-1] == f"{row.in_turn.makespan:.1f}"
            (head,) = [index for index, line in enumerate(lines) if line.startswith(f"critical path of {row.name}")]
            shown = [line.split() for line in lines[head + 1 : head + 1 + lines[head + 1 :].index("")]]
            assert sum(float(step[-2]) for step in shown) == pytest.approx(row.shortest.makespan, abs=0.05 * len(shown))
            assert max(float(step[-1]) for step in shown) > 0
        assert lines[-1] == NOTHING_MEASURED

    def test_the_page_shows_what_the_command_prints(self, compared: Comparison) -> None:
        assert f"```\n{text(compared)}\n```" in (ROOT / "docs/timeline.md").read_text(encoding="utf-8")
