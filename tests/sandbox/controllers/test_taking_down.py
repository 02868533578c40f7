"""The order in which a sandbox is taken down."""

from sandbox.platform import Progress, take_down


class Told:
    """An operator that only writes down what it is asked for."""

    def __init__(self) -> None:
        self.steps: list[str] = []

    def up(self, stack: str, progress: Progress) -> None:
        raise AssertionError

    def unprotect(self, stack: str, progress: Progress) -> None:
        self.steps.append(f"unprotect {stack}")

    def destroy(self, stack: str, progress: Progress) -> None:
        self.steps.append(f"destroy {stack}")

    def existing(self) -> list[str]:
        return ["shared", "prod", "dr"]


def test_volumes_of_claims_go_after_the_machines_and_before_what_is_shared() -> None:
    told = Told()

    def sweep(volumes: bool) -> None:
        told.steps.append("sweep with volumes" if volumes else "sweep")

    take_down(told, lambda *_: None, sweep, together=False)
    assert told.steps == [
        *("unprotect shared", "unprotect prod", "unprotect dr", "sweep"),
        *("destroy prod", "destroy dr", "sweep with volumes", "destroy shared"),
    ]
