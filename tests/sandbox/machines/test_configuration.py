"""k3s's configuration as it is merged from its files, and the arguments that come out of it."""

from pathlib import Path

import pytest
import yaml

from components.cluster import k3s
from sandbox.machines.configuration import (
    K3sConfig,
    api_server_arguments,
    controller_manager_arguments,
    merged,
)
from sandbox.machines.join import RefusedError

SETTINGS = k3s.ClusterSettings("10.42.0.0/16", "10.43.0.0/16", ["api.example.com"])


def written(disk: Path, **files: object) -> K3sConfig:
    directory = disk / "etc/rancher/k3s/config.yaml.d"
    directory.mkdir(parents=True)
    for name, content in files.items():
        path = directory.parent / "config.yaml" if name == "config" else directory / f"{name}.yaml"
        path.write_text(yaml.safe_dump(content))
    return K3sConfig.read(disk)


def servers_config(disk: Path) -> K3sConfig:
    return written(
        disk, config=k3s.server_config(SETTINGS, k3s.NodeSettings(), "token", "agents"), b={"node-ip": "10.1.1.1"}
    )


def test_later_files_win_and_a_plus_adds(tmp_path: Path) -> None:
    config = written(
        tmp_path,
        config={"token": "one", "kubelet-arg": ["a=1"], "tls-san": ["x"]},
        a={"token": "two", "kubelet-arg+": ["b=2"]},
        b={"kubelet-arg+": "c=3", "tls-san": ["y"], "node-label+": ["l=v"]},
    )
    assert config.text("token") == "two"
    assert config.list("kubelet-arg") == ["a=1", "b=2", "c=3"]
    assert config.list("tls-san") == ["y"]
    assert config.list("node-label") == ["l=v"]
    assert config.argument("kubelet", "b") == "2"
    assert config.argument("kubelet", "missing") == ""


@pytest.mark.parametrize("content", ["a: [", "- a\n"])
def test_a_broken_file_is_refused(tmp_path: Path, content: str) -> None:
    written(tmp_path)
    (tmp_path / "etc/rancher/k3s/config.yaml").write_text(content)
    with pytest.raises(RefusedError, match=r"config\.yaml: "):
        K3sConfig.read(tmp_path)


def test_k3s_defaults_stand_where_nothing_is_set(tmp_path: Path) -> None:
    config = written(tmp_path)
    assert config.text("service-cidr") == "10.43.0.0/16"
    assert config.service_address == "10.43.0.1"
    assert config.critical()["cluster-domain"] == "cluster.local"


def test_the_api_server_gets_the_programs_settings_and_k3s_defaults(tmp_path: Path) -> None:
    arguments = api_server_arguments(servers_config(tmp_path), tmp_path, "127.9.0.1")
    state = tmp_path / "var/lib/rancher/k3s/server"
    expected = {
        "--enable-admission-plugins=NodeRestriction,EventRateLimit,DenyServiceExternalIPs",
        f"--admission-control-config-file={state}/psa.yaml",
        f"--authentication-config={state}/authentication.yaml",
        f"--audit-policy-file={state}/audit.yaml",
        f"--audit-log-path={state}/logs/audit.log",
        f"--encryption-provider-config={state}/cred/encryption-config.json",
        "--advertise-address=10.1.1.1",
        "--bind-address=127.9.0.1",
        "--authorization-mode=Node,RBAC",
        "--enable-bootstrap-token-auth=true",
        "--api-audiences=https://kubernetes.default.svc.cluster.local,k3s",
        "--service-cluster-ip-range=10.43.0.0/16",
        "--profiling=false",
    }
    assert expected <= set(arguments)
    assert len({argument.partition("=")[0] for argument in arguments}) == len(arguments)


def test_anonymous_access_is_off_unless_an_authentication_configuration_decides(tmp_path: Path) -> None:
    """The API server refuses the flag beside the file."""
    bare = written(tmp_path / "bare", config={"cluster-init": True})
    assert "--anonymous-auth=false" in api_server_arguments(bare, tmp_path, "127.9.0.1")
    structured = servers_config(tmp_path / "structured")
    assert not [each for each in api_server_arguments(structured, tmp_path, "127.9.0.1") if "anonymous-auth" in each]


def test_secrets_are_no_arguments(tmp_path: Path) -> None:
    config = servers_config(tmp_path)
    everything = api_server_arguments(config, tmp_path, "127.9.0.1")
    everything += controller_manager_arguments(config, tmp_path, "127.9.0.1", tmp_path / "kubeconfig")
    assert not [
        argument
        for argument in everything
        if "token" in argument.partition("=")[2] and "/" not in argument and "cleaner" not in argument
    ]


def test_the_controller_manager_stays_on_its_machine(tmp_path: Path) -> None:
    """The configuration has it listen everywhere; here everywhere would be everybody's."""
    arguments = controller_manager_arguments(servers_config(tmp_path), tmp_path, "127.9.0.1", tmp_path / "kubeconfig")
    assert "--bind-address=127.9.0.1" in arguments
    assert "--terminated-pod-gc-threshold=100" in arguments


@pytest.mark.parametrize(
    ("extra", "expected"),
    [
        (["a=2"], ["--a=2"]),
        (["a+=2"], ["--a=1", "--a=2"]),
        (["a-=2"], ["--a=2", "--a=1"]),
        (["a=2", "a=3"], ["--a=2", "--a=3"]),
        (["b"], ["--a=1", "--b=true"]),
        (["b=/etc/file"], ["--a=1", "--b=/disk/etc/file"]),
    ],
)
def test_arguments_are_merged_as_k3s_does(extra: list[str], expected: list[str]) -> None:
    assert merged({"a": "1"}, extra, Path("/disk"), "127.9.0.1") == expected
