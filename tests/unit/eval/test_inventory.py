"""Addresses from an Ansible inventory."""

from pathlib import Path

import pytest

from gateway_eval.inventory import Inventory, InventoryError

REPOSITORY = Path(__file__).parents[3]


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        path = folder / name.replace("__", "/")
        path = path.with_name(f"{path.name}.yml")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def urls(*paths: Path, group: str | None = None) -> dict[str, str]:
    return {address.name: address.url for address in Inventory(paths).addresses(group)}


FLEET = """
gateway:
  hosts:
    gw-1: {ansible_host: 10.3.49.202}
    gw-2: {ansible_host: 10.3.49.203}
load_balancer:
  hosts: {gw-1: {}}
berlin:
  hosts: {gw-2: {}}
"""


def test_load_balancers_and_containers(tmp_path: Path) -> None:
    write(tmp_path, hosts=FLEET, group_vars__all="{gateway_instances: 2, load_balancer_port: 80}")
    assert urls(tmp_path) == {
        "gw-1": "http://10.3.49.202:80",
        "gw-1/1": "http://10.3.49.202:5101",
        "gw-1/2": "http://10.3.49.202:5102",
        "gw-2/1": "http://10.3.49.203:5101",
        "gw-2/2": "http://10.3.49.203:5102",
    }
    assert list(urls(tmp_path, group="load_balancer")) == ["gw-1"]
    assert list(urls(tmp_path, group="berlin")) == ["gw-2/1", "gw-2/2"]


@pytest.mark.parametrize(
    ("said", "scheme"), [("true", "https"), ("'yes'", "https"), ("false", "http"), ("'no'", "http")]
)
def test_a_load_balancer_may_speak_tls_and_containers_do_not(tmp_path: Path, said: str, scheme: str) -> None:
    write(tmp_path, hosts=FLEET, group_vars__load_balancer=f"load_balancer_tls: {said}")
    assert urls(tmp_path)["gw-1"] == f"{scheme}://10.3.49.202:5000"
    assert urls(tmp_path)["gw-2/1"] == "http://10.3.49.203:5101"


def test_tls_that_is_neither_on_nor_off_is_refused(tmp_path: Path) -> None:
    write(tmp_path, hosts=FLEET, group_vars__all="load_balancer_tls: perhaps")
    with pytest.raises(InventoryError, match="load_balancer_tls is 'perhaps'; say true or false"):
        urls(tmp_path)


def test_what_is_said_more_closely_wins(tmp_path: Path) -> None:
    write(
        tmp_path,
        hosts=FLEET + "europe: {children: {berlin: {}}, vars: {gateway_first_port: 1}}\n",
        group_vars__all__main="{gateway_first_port: 10, gateway_instances: 1}",
        group_vars__europe="gateway_first_port: 20",
        group_vars__berlin="gateway_first_port: 30",
        host_vars__gw__dash="{}",
    )
    assert urls(tmp_path, group="gateway") == {
        "gw-1/1": "http://10.3.49.202:10",
        "gw-2/1": "http://10.3.49.203:30",
    }
    write(tmp_path, **{"host_vars__gw-2": "gateway_first_port: 40"})
    assert urls(tmp_path, group="berlin") == {"gw-2/1": "http://10.3.49.203:40"}


def test_a_second_inventory_says_how_to_reach_the_hosts(tmp_path: Path) -> None:
    write(tmp_path / "fleet", hosts="load_balancer: {hosts: {gw-1: {}}}")
    write(tmp_path / "connection", hosts="all: {hosts: {gw-1: {ansible_host: '::1'}}}")
    assert urls(tmp_path / "fleet", tmp_path / "connection") == {"gw-1": "http://[::1]:5000"}


def test_vaults_need_no_password(tmp_path: Path) -> None:
    write(
        tmp_path,
        hosts=FLEET,
        group_vars__all__vault="$ANSIBLE_VAULT;1.1;AES256\n3031323334\n",
        group_vars__all__main="secret: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n  3031\n",
    )
    assert urls(tmp_path, group="load_balancer") == {"gw-1": "http://10.3.49.202:5000"}


def test_containers_on_loopback_are_reached_only_from_their_host(tmp_path: Path) -> None:
    write(tmp_path, hosts=FLEET, group_vars__all="gateway_bind_address: 127.0.0.1")
    inventory = Inventory([tmp_path])
    assert [address.name for address in inventory.addresses()] == ["gw-1"]
    assert "only its own host" in inventory.warnings[0]
    write(tmp_path, group_vars__all="{gateway_bind_address: 127.0.0.1, ansible_connection: local}")
    assert urls(tmp_path, group="gateway")["gw-1/1"] == "http://127.0.0.1:5101"


@pytest.mark.parametrize(
    ("hosts", "group", "words"),
    [
        (FLEET, "paris", "there is no group 'paris'; there is: all, berlin"),
        ("web: {hosts: {w: {}}}", None, "name URLs"),
        ("gateway: {hosts: {'gw[1:3]': {}}}", None, "a range"),
        ("gateway: {hosts: {gw: {ansible_host: '{{ x }}'}}}", None, "ansible_host is a template"),
        ("gateway: {hosts: {gw: {gateway_instances: two}}}", None, "gateway_instances is 'two'"),
        ("gateway: [gw]", None, "no inventory"),
        ("gateway: {hosts: [", None, "not YAML"),
    ],
)
def test_what_cannot_be_used_is_said(tmp_path: Path, hosts: str, group: str | None, words: str) -> None:
    write(tmp_path, hosts=hosts)
    with pytest.raises(InventoryError) as caught:
        urls(tmp_path, group=group)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_inventory_that_is_not_in_yaml(tmp_path: Path) -> None:
    (tmp_path / "hosts").write_text("[gateway]\ngw-1\n")
    with pytest.raises(InventoryError, match="no inventory in YAML"):
        urls(tmp_path)


@pytest.mark.parametrize("name", ["all_in_one", "lab", "production.example"])
def test_shipped_inventories_are_read(name: str) -> None:
    found = urls(REPOSITORY / "inventories" / name)
    assert {"gateway-1", "gateway-1/1", "gateway-1/2"} <= set(found)
    assert found["gateway-1"].endswith(":5000")
