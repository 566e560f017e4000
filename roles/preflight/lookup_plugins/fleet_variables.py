"""Every host's variables with the roles' defaults beneath them, evaluated without contacting a host."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.lookup import LookupBase

DOCUMENTATION = r"""
name: fleet_variables
short_description: Every host's variables with the roles' defaults beneath them
description:
  - A role's defaults show only in a play that has the role. This lookup reads them from the roles' files,
    so that what a host will get can be checked before any play begins.
options:
  _terms:
    description: Names of the variables to evaluate. Those that are set nowhere are left out.
    required: true
  roles_path:
    description: Directory of the roles whose defaults count.
    type: path
    required: true
"""

RETURN = r"""
_raw:
  description: >-
    One dictionary with C(groups), group name to host names; C(hosts), host name to variable name to value;
    and C(problems), the variables that cannot be evaluated.
  type: list
  elements: dict
"""


class LookupModule(LookupBase):
    """The lookup `fleet_variables`."""

    def run(self, terms: list[str], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[Any]:
        """Return one dictionary, see RETURN."""
        self.set_options(var_options=variables, direct=kwargs)
        variables = variables or {}
        hostvars = variables["hostvars"]
        groups = {name: list(members) for name, members in variables["groups"].items()}
        fleet = sorted(
            {host for name in ("gateway", "load_balancer", "log_store") for host in groups.get(name, [])}
        )
        defaults = self._defaults(Path(self.get_option("roles_path")))
        problems: list[dict[str, str]] = []
        hosts = {}
        for host in fleet:
            known = defaults | hostvars.raw_get(host) | {"hostvars": hostvars}
            hosts[host] = self._evaluate(host, [term for term in terms if term in known], known, problems)
        return [{"groups": groups, "hosts": hosts, "problems": problems}]

    def _defaults(self, roles: Path) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for path in sorted(roles.glob("*/defaults/main.yml")):
            found |= self._loader.load_from_file(str(path), trusted_as_template=True) or {}
        return found

    def _evaluate(
        self, host: str, names: list[str], known: dict[str, Any], problems: list[dict[str, str]]
    ) -> dict[str, Any]:
        templar = self._templar.copy_with_new_env(available_variables=known)
        values = {}
        for name in names:
            try:
                values[name] = templar.template(known[name])
            except AnsibleError as error:
                problems.append(
                    {
                        "variable": name,
                        "where": host,
                        "text": f"cannot be evaluated: {error.message.rstrip('.')}",
                        "remedy": "Define what it refers to, in the inventory or its vault",
                    }
                )
        return values
