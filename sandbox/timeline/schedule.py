"""When tasks that depend on each other start and end, and what decides how long it all takes."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from heapq import heapify, heappop, heappush


class ScheduleError(ValueError):
    """The tasks make no schedule; the message holds every reason, one a line."""


@dataclass(frozen=True)
class Task:
    """Something that takes time once all that it comes ``after`` is over."""

    name: str
    seconds: float
    after: tuple[str, ...] = ()


@dataclass(frozen=True)
class Edge:
    """A step of the critical path, and what the dependency that let it start costs."""

    task: Task
    start: float
    finish: float
    after: str | None = None
    """The task before it on the path; None for the first."""
    cost: float = 0.0
    """Seconds by which everything would be over sooner if the task did not come after that one."""


@dataclass(frozen=True)
class Schedule:
    """Start and finish of each task in seconds, in the order in which the tasks were given."""

    start: Mapping[str, float]
    finish: Mapping[str, float]
    makespan: float
    critical_path: tuple[Edge, ...]


def schedule(tasks: Iterable[Task], at_once: int | None = None) -> Schedule:
    """Start each task as soon as it may; of several that may, those given first.

    Args:
        tasks: In any order.
        at_once: How many run at the same time; None for any number. With a bound the critical path has gaps where a
            task waited for its turn, and without an edge it may even take longer.

    Raises:
        ScheduleError: a name twice, a dependency that is no task, a cycle, seconds that are no duration, no turn at all.
    """
    wanted = list(tasks)
    _check(wanted, at_once)
    start, finish = _times(wanted, at_once)
    makespan = max(finish.values(), default=0.0)
    return Schedule(start, finish, makespan, _critical_path(wanted, start, finish, at_once, makespan))


def until(tasks: Iterable[Task], *names: str) -> tuple[Task, ...]:
    """Only the tasks that these wait for, and these themselves.

    Raises:
        ScheduleError: there is no such task.
    """
    by_name = {task.name: task for task in tasks}
    if unknown := [name for name in names if name not in by_name]:
        raise ScheduleError("\n".join(f"there is no task {name!r}" for name in unknown))
    needed: set[str] = set()
    todo = list(names)
    while todo:
        name = todo.pop()
        if name not in needed:
            needed.add(name)
            todo += [each for each in by_name[name].after if each in by_name]
    return tuple(task for task in by_name.values() if task.name in needed)


def _check(tasks: Sequence[Task], at_once: int | None) -> None:
    problems: list[str] = []
    names: set[str] = set()
    for task in tasks:
        if task.name in names:
            problems.append(f"two tasks are named {task.name!r}")
        names.add(task.name)
        if not (math.isfinite(task.seconds) and task.seconds >= 0):
            problems.append(f"{task.name!r} takes {task.seconds} s: write a number of seconds, 0 or more")
    for task in tasks:
        problems += [
            f"{task.name!r} comes after {each!r}, which is no task" for each in task.after if each not in names
        ]
    if at_once is not None and at_once < 1:
        problems.append(f"at_once is {at_once}: write 1 or more, or None for no bound")
    if not problems and (cycle := _cycle({task.name: task.after for task in tasks})):
        problems.append(f"these tasks wait for each other: {' after '.join(repr(name) for name in cycle)}")
    if problems:
        raise ScheduleError("\n".join(problems))


def _cycle(after: Mapping[str, Sequence[str]]) -> list[str]:
    """Names along a cycle, the first again at the end; empty when there is none."""
    left = dict(after)
    while free := [name for name, before in left.items() if not any(each in left for each in before)]:
        for name in free:
            del left[name]
    if not left:
        return []
    # Whoever is left waits for another that is left: following them must come round.
    walked = [next(iter(left))]
    while (following := next(each for each in left[walked[-1]] if each in left)) not in walked:
        walked.append(following)
    return [*walked[walked.index(following) :], following]


def _times(tasks: Sequence[Task], at_once: int | None) -> tuple[dict[str, float], dict[str, float]]:
    missing = [len(set(task.after)) for task in tasks]
    followers: dict[str, list[int]] = {task.name: [] for task in tasks}
    for index, task in enumerate(tasks):
        for each in set(task.after):
            followers[each].append(index)
    ready = [index for index, count in enumerate(missing) if not count]
    heapify(ready)
    running: list[tuple[float, int]] = []
    start = dict.fromkeys(followers, 0.0)
    finish = dict.fromkeys(followers, 0.0)
    now = 0.0
    while ready or running:
        while ready and (at_once is None or len(running) < at_once):
            index = heappop(ready)
            task = tasks[index]
            start[task.name], finish[task.name] = now, now + task.seconds
            heappush(running, (finish[task.name], index))
        now, index = heappop(running)
        for follower in followers[tasks[index].name]:
            missing[follower] -= 1
            if not missing[follower]:
                heappush(ready, follower)
    return start, finish


def _critical_path(
    tasks: Sequence[Task],
    start: Mapping[str, float],
    finish: Mapping[str, float],
    at_once: int | None,
    makespan: float,
) -> tuple[Edge, ...]:
    if not tasks:
        return ()
    by_name = {task.name: task for task in tasks}
    path = [max(tasks, key=lambda task: finish[task.name])]
    while path[-1].after:
        path.append(by_name[max(path[-1].after, key=lambda name: finish[name])])
    path.reverse()
    before = [None, *(task.name for task in path[:-1])]
    return tuple(
        Edge(task, start[task.name], finish[task.name], each, _cost(tasks, task, each, at_once, makespan))
        for task, each in zip(path, before, strict=True)
    )


def _cost(tasks: Sequence[Task], task: Task, before: str | None, at_once: int | None, makespan: float) -> float:
    if before is None:
        return 0.0
    freed = replace(task, after=tuple(each for each in task.after if each != before))
    _, finish = _times([freed if each is task else each for each in tasks], at_once)
    return makespan - max(finish.values())
