"""A foreign program with two clusters in one Hetzner project."""

import pulumi
import pulumi_hcloud as hcloud
import pulumi_random as random
import pulumi_tls as tls

from components.cluster import AgentPool, K3sCluster, K3sClusterArgs, ReleaseArgs
from components.network import AddressPlan, Network, RegionNetwork, ReservedAddresses

RELEASE: ReleaseArgs = {"version": "v1.36.4+k3s1", "sha256_amd64": "a" * 64, "sha256_arm64": "b" * 64}


def cluster(name: str, index: int, network: Network, opts: pulumi.ResourceOptions) -> None:
    """One server and one agent."""
    region = RegionNetwork(
        f"{name}-network",
        {
            "cluster": name,
            "index": index,
            "network_id": network.network_id,
            "admin_cidrs": ["203.0.113.0/24"],
            "spread": {"server": [1], "workers": [1]},
        },
        opts,
    )
    reserved = ReservedAddresses(f"{name}-addresses", {"cluster": name, "location": "fsn1", "servers": [1]}, opts)
    address = reserved.server_addresses["1"]
    args: K3sClusterArgs = {
        "cluster": name,
        "index": index,
        "location": "fsn1",
        "image": "debian-13",
        "release": RELEASE,
        "machines": [{"number": 1, "type": "cx33"}],
        "reserved_addresses": {"1": {"id": address.id.apply(int), "address": address.ip_address}},
        "subnet_id": region.servers_subnet_id,
        "firewall_id": region.servers_firewall_id,
        "placement_group_ids": region.placement_groups("server"),
        "ssh_key_ids": [],
        "api_name": f"k8s-{name}.example.com",
    }
    made = K3sCluster(name, args, opts)
    AgentPool(
        f"{name}-workers",
        {
            "pool": "workers",
            "join": made.join,
            "machines": [{"number": 1, "type": "cx43"}],
            "location": "fsn1",
            "image": "debian-13",
            "subnet_id": region.agents_subnet_id,
            "firewall_id": region.agents_firewall_id,
            "placement_group_ids": region.placement_groups("workers"),
            "ssh_key_ids": [],
        },
        opts,
        hooks=made.agent_hooks,
    )
    pulumi.export(name, str(AddressPlan(index).api_load_balancer))


def main() -> None:
    """Two clusters beside each other."""
    config = pulumi.Config("hcloud")
    provider = hcloud.Provider("hcloud", token=config.require_secret("token"), endpoint=config.get("endpoint"))
    providers = [provider, random.Provider("random"), tls.Provider("tls")]
    opts = pulumi.ResourceOptions(providers=providers)
    network = Network("network", {"name": "two"}, opts)
    cluster("blue", 1, network, opts)
    cluster("green", 2, network, opts)


if __name__ == "__main__":
    main()
