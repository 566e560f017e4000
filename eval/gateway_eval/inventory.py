"""Addresses of a deployed fleet, read from its Ansible inventory in YAML.

Only the few variables that make up an address are looked at, in Ansible's order of precedence
(https://docs.ansible.com/ansible/latest/playbook_guide/playbooks_variables.html): so no vault password is
needed, and neither is Ansible.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

_SUFFIXES = (".yml", ".yaml")
_VAULT = "$ANSIBLE_VAULT"
_EVERYWHERE = ("0.0.0.0", "::", "*")  # noqa: S104 - to recognise, not to listen on

LOAD_BALANCER = "load_balancer"
GATEWAY = "gateway"


class InventoryError(ValueError):
    """An inventory that cannot be used; the message names the file and the remedy."""


@dataclass(frozen=True)
class Address:
    """Where something of the fleet answers: `role` is load_balancer or gateway; containers have a number."""

    url: str
    name: str
    role: str


@dataclass
class _Group:
    hosts: dict[str, dict[str, Any]] = field(default_factory=dict)
    children: set[str] = field(default_factory=set)
    variables: dict[str, Any] = field(default_factory=dict)


class Inventory:
    """Groups, hosts and their variables."""

    def __init__(self, paths: Sequence[Path]) -> None:
        """Read inventory files or folders, the later ones over the earlier. Raises InventoryError."""
        self._groups: dict[str, _Group] = {"all": _Group()}
        self._folders: list[Path] = []
        for path in paths:
            for file in _inventory_files(path):
                self._add(_mapping(_read(file), file), file)
            self._folders.append(path if path.is_dir() else path.parent)
        self.warnings: list[str] = []

    def addresses(self, group: str | None = None) -> list[Address]:
        """Return the load balancers and then the containers of a group; of the whole fleet without one.

        The groups `load_balancer` and `gateway` mean that role alone. Raises InventoryError for a group that
        does not exist or holds neither, and for an address that only Ansible could work out.
        """
        if group is not None and group not in self._groups:
            raise InventoryError(f"there is no group {group!r}; there is: {', '.join(sorted(self._groups))}")
        roles = (group,) if group in (LOAD_BALANCER, GATEWAY) else (LOAD_BALANCER, GATEWAY)
        wanted = set(self._members(group or "all"))
        found = [
            address
            for role in roles
            for host in self._members(role)
            if host in wanted
            for address in self._of_role(host, role)
        ]
        if not found and not self.warnings:
            raise InventoryError(
                f"no host of {group or 'it'} is in the group load_balancer or gateway; name URLs instead"
            )
        return found

    def _of_role(self, host: str, role: str) -> Iterator[Address]:
        variables = self._variables(host)

        def value(name: str, default: Any) -> Any:
            found = variables.get(name, default)
            if isinstance(found, str) and "{{" in found:
                raise InventoryError(
                    f"host {host}: {name} is a template, which only Ansible can work out; name URLs instead"
                )
            return found

        local = value("ansible_connection", "") == "local"
        outside = value("ansible_host", "127.0.0.1" if local else host)
        if role == LOAD_BALANCER:
            bound = value("load_balancer_bind_address", "0.0.0.0")  # noqa: S104 - the role's default
            ports, names = [value("load_balancer_port", 5000)], [host]
            scheme = "https" if _yes(host, "load_balancer_tls", value("load_balancer_tls", False)) else "http"
        else:
            bound = value("gateway_bind_address", "0.0.0.0")  # noqa: S104 - the role's default
            first, count = value("gateway_first_port", 5101), value("gateway_instances", 1)
            ports = [
                _whole(host, "gateway_first_port", first) + n
                for n in range(_whole(host, "gateway_instances", count))
            ]
            names, scheme = [f"{host}/{n}" for n in range(1, len(ports) + 1)], "http"
        if str(bound).startswith("127.") and not local:
            what = "load balancer listens" if role == LOAD_BALANCER else "gateways listen"
            self.warnings.append(f"{host}: its {what} on {bound} alone, so only its own host reaches it")
            return
        address = outside if bound in _EVERYWHERE else bound
        for name, port in zip(names, ports, strict=True):
            yield Address(f"{scheme}://{_bracketed(str(address))}:{port}", name, role)

    def _members(self, group: str, seen: frozenset[str] = frozenset()) -> list[str]:
        """Return the hosts of a group and of its children, in the order of the files."""
        if group in seen or group not in self._groups:
            return []
        if group == "all":
            return list(dict.fromkeys(host for entry in self._groups.values() for host in entry.hosts))
        entry = self._groups[group]
        below = [host for child in sorted(entry.children) for host in self._members(child, seen | {group})]
        return list(dict.fromkeys([*entry.hosts, *below]))

    def _variables(self, host: str) -> dict[str, Any]:
        """Return a host's variables: of its groups from the widest to the narrowest, then its own."""
        groups = sorted(
            (name for name in self._groups if name == "all" or host in self._members(name)),
            key=lambda name: (name != "all", self._depth(name), name),
        )
        variables: dict[str, Any] = {}
        for name in groups:
            variables |= self._groups[name].variables
        for folder in self._folders:
            for name in groups:
                variables |= _variable_files(folder / "group_vars", name)
        for name in groups:
            variables |= self._groups[name].hosts.get(host, {})
        for folder in self._folders:
            variables |= _variable_files(folder / "host_vars", host)
        return variables

    def _depth(self, group: str) -> int:
        parents = [name for name, entry in self._groups.items() if group in entry.children and name != group]
        return 1 + max((self._depth(parent) for parent in parents if parent != "all"), default=0)

    def _add(self, groups: dict[str, Any], file: Path) -> None:
        for name, content in groups.items():
            entry = self._groups.setdefault(str(name), _Group())
            content = _mapping(content or {}, file)
            for host, variables in _mapping(content.get("hosts") or {}, file).items():
                if "[" in str(host):
                    raise InventoryError(f"{file}: {host} is a range; write the hosts out, or name URLs")
                entry.hosts.setdefault(str(host), {}).update(_mapping(variables or {}, file))
            entry.variables |= _mapping(content.get("vars") or {}, file)
            children = _mapping(content.get("children") or {}, file)
            entry.children |= {str(child) for child in children}
            self._add(children, file)


def _inventory_files(path: Path) -> list[Path]:
    if path.is_file():
        files = [path]
    else:
        files = sorted(file for file in path.glob("*") if file.is_file()) if path.is_dir() else []
    found = [file for file in files if file.suffix in _SUFFIXES]
    if not found:
        raise InventoryError(f"{path}: no inventory in YAML (*.yml) is there; name one, or name URLs")
    return found


def _variable_files(folder: Path, name: str) -> dict[str, Any]:
    """Return what group_vars or host_vars say of one group or host: all below NAME/, else NAME.yml."""
    candidates = [folder / f"{name}{suffix}" for suffix in ("", *_SUFFIXES)]
    chosen = next((path for path in candidates if path.exists()), None)
    if chosen is None:
        return {}
    variables: dict[str, Any] = {}
    for file in sorted(chosen.rglob("*")) if chosen.is_dir() else [chosen]:
        if file.is_file() and file.suffix in ("", *_SUFFIXES) and not file.name.startswith("."):
            variables |= _mapping(_read(file) or {}, file)
    return variables


class _Loader(yaml.SafeLoader):
    """Reads inventories; what is marked with a tag of Ansible's (!vault, !unsafe) is no address."""


_Loader.add_multi_constructor("!", lambda _loader, _suffix, _node: None)


def _read(file: Path) -> Any:
    try:
        text = file.read_text("utf-8")
        return None if text.startswith(_VAULT) else yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader
    except OSError as error:
        raise InventoryError(f"{file}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise InventoryError(f"{file}: not YAML: {' '.join(str(error).split())[:200]}") from error


def _mapping(value: Any, file: Path) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InventoryError(f"{file}: no inventory: expected keys with values, found {str(value)[:60]!r}")
    return value


def _whole(host: str, name: str, value: Any) -> int:
    try:
        return int(value)
    except (TypeError, ValueError):
        raise InventoryError(f"host {host}: {name} is {value!r}, which is no number") from None


def _yes(host: str, name: str, value: Any) -> bool:
    """Return what a variable says in any of the words that YAML and Ansible have for it."""
    said = str(value).lower()
    if said in ("true", "yes", "on", "1"):
        return True
    if said in ("false", "no", "off", "0"):
        return False
    raise InventoryError(f"host {host}: {name} is {value!r}; say true or false")


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address
