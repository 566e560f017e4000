#!/usr/bin/python
"""Small files, many in one call: a loop over `copy` or `template` costs two calls for each."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: files
short_description: Write small files, many in one call
description:
  - As M(ansible.builtin.copy) with C(content) does it for one; each is replaced by renaming.
  - RV(files) tells which were changed.
options:
  files:
    description: The files, each with its path, content and mode and, where they matter, owner and group.
    type: list
    elements: dict
    required: true
    suboptions:
      path:
        description: The file. Its directory is there.
        type: path
        required: true
      content:
        description: What is to be in it.
        type: str
        required: true
      owner:
        description: Name or number of its owner.
        type: str
        default: root
      group:
        description: Name or number of its group.
        type: str
        default: root
      mode:
        description: Its mode, as a string of octal digits.
        type: str
        required: true
author: MLflow Gateway Fleet
"""

FILE = {
    "path": {"type": "path", "required": True},
    "content": {"type": "str", "required": True},
    "owner": {"type": "str", "default": "root"},
    "group": {"type": "str", "default": "root"},
    "mode": {"type": "str", "required": True},
}


def write(module: AnsibleModule, path: Path, content: bytes) -> None:
    """Put a file of this content in the place of the one that is there."""
    handle, temporary = tempfile.mkstemp(prefix=".ansible_tmp", dir=path.parent)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
    module.atomic_move(temporary, str(path))


def main() -> None:
    """Write them, and tell which were changed."""
    module = AnsibleModule(
        argument_spec={"files": {"type": "list", "elements": "dict", "required": True, "options": FILE}},
        supports_check_mode=True,
    )
    changed, differences = [], []
    for wanted in module.params["files"]:
        path, content = Path(wanted["path"]), wanted.pop("content").encode()
        try:
            before = path.read_bytes() if path.exists() else None
            if before != content:
                changed.append(str(path))
                differences.append(
                    {
                        "before_header": str(path),
                        "after_header": str(path),
                        "before": (before or b"").decode(errors="replace"),
                        "after": content.decode(),
                    }
                )
                if not module.check_mode:
                    write(module, path, content)
        except OSError as error:
            module.fail_json(msg=f"{path} cannot be written: {error}")
        if path.exists():
            arguments = module.load_file_common_arguments(wanted | {"attributes": None}, path=str(path))
            if module.set_fs_attributes_if_different(arguments, False) and str(path) not in changed:
                changed.append(str(path))
    module.exit_json(changed=bool(changed), files=changed, diff=differences)


if __name__ == "__main__":
    main()
