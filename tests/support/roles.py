"""Ansible roles as data: their defaults, specs and templates, rendered by Ansible's own templating."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import init_plugin_loader
from ansible.template import Templar, trust_as_template

REPOSITORY = Path(__file__).resolve().parents[2]
ROLES = REPOSITORY / "roles"

init_plugin_loader()


def role_names() -> list[str]:
    return sorted(path.name for path in ROLES.iterdir() if (path / "tasks").is_dir())


def defaults(role: str) -> dict[str, Any]:
    """The role's public variables, untemplated."""
    path = ROLES / role / "defaults" / "main.yml"
    return (yaml.safe_load(path.read_text()) or {}) if path.exists() else {}


def argument_specs(role: str) -> dict[str, Any]:
    path = ROLES / role / "meta" / "argument_specs.yml"
    specs: dict[str, Any] = yaml.safe_load(path.read_text())["argument_specs"]
    return specs


class Role:
    """A role's variables as one host sees them; `variables` stand for the inventory's."""

    def __init__(self, name: str, **variables: Any) -> None:
        loader = DataLoader()
        known: dict[str, Any] = {
            "inventory_hostname": "gateway-1",
            "ansible_search_path": [str(ROLES / name)],
            "ansible_check_mode": False,
        }
        for part in ("defaults", "vars"):
            path = ROLES / name / part / "main.yml"
            if path.exists():
                known |= loader.load_from_file(str(path), trusted_as_template=True) or {}
        known |= variables
        self._templar = Templar(loader=loader, variables=known)

    def evaluate(self, expression: str) -> Any:
        """The value of a Jinja expression, such as a variable's name."""
        return self._templar.template(trust_as_template("{{ " + expression + " }}"))

    def render(self, template: str) -> str:
        """The text of a file in the role's templates/."""
        text: str = self.evaluate(f"lookup('ansible.builtin.template', '{template}')")
        return text
