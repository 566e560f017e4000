#!/usr/bin/python
"""Directories with their owners and modes, all in one call: a loop over `file` costs a call for each."""

from __future__ import annotations

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: directories
short_description: Make sure of directories, many in one call
description:
  - As M(ansible.builtin.file) does it for one, for a list of directories, in the order given.
options:
  paths:
    description: The directories, each with its path and, where they matter, owner, group and mode.
    type: list
    elements: dict
    required: true
    suboptions:
      path:
        description: The directory. Its parents are made, too.
        type: path
        required: true
      owner:
        description: Name or number of its owner; without one it stays as it is.
        type: str
      group:
        description: Name or number of its group; without one it stays as it is.
        type: str
      mode:
        description: Its mode, as a string of octal digits.
        type: str
        required: true
author: MLflow Gateway Fleet
"""

DIRECTORY = {
    "path": {"type": "path", "required": True},
    "owner": {"type": "str"},
    "group": {"type": "str"},
    "mode": {"type": "str", "required": True},
}


def main() -> None:
    """Make them, and tell which were changed."""
    module = AnsibleModule(
        argument_spec={"paths": {"type": "list", "elements": "dict", "required": True, "options": DIRECTORY}},
        supports_check_mode=True,
    )
    changed = []
    for wanted in module.params["paths"]:
        path = wanted["path"]
        if not Path(path).is_dir():
            changed.append(path)
            if module.check_mode:
                continue
            try:
                Path(path).mkdir(parents=True)
            except OSError as error:
                module.fail_json(msg=f"{path} cannot be made: {error}")
        arguments = module.load_file_common_arguments(wanted | {"attributes": None}, path=path)
        if module.set_fs_attributes_if_different(arguments, False) and path not in changed:
            changed.append(path)
    module.exit_json(changed=bool(changed), directories=changed)


if __name__ == "__main__":
    main()
