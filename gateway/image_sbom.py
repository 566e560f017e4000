"""What is in an image, as a software bill of materials: CycloneDX 1.6, JSON, on standard output.

    python gateway/image_sbom.py llm-gateway:0.1.0-0123456789ab > llm-gateway.cdx.json

The image itself is asked, offline, for its Debian packages and its Python packages; nothing is guessed from
what it was built from. Specification: https://cyclonedx.org/docs/1.6/json/
"""

import argparse
import importlib.metadata
import json
import subprocess
import sys
from collections.abc import Iterator

from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from packageurl import PackageURL

_DEBIAN = ["dpkg-query", "--show", "--showformat", "${Package}\t${Version}\t${Architecture}\n"]
_PYTHON = [
    "/opt/llm-gateway/bin/python",
    "-c",
    "import importlib.metadata as m, json;"
    "print(json.dumps(sorted({(d.metadata['Name'], d.version) for d in m.distributions()})))",
]


class ImageError(Exception):
    """The image could not be asked; the message says why."""


def bill_of(image: str) -> Bom:
    """Return the bill of an image on this machine. Raises ImageError."""
    bom = Bom()
    details = json.loads(_docker("image", "inspect", image))[0]
    name, _, version = image.rpartition(":")
    bom.metadata.component = Component(
        name=name or image,
        version=version if name else None,
        type=ComponentType.CONTAINER,
        purl=PackageURL("oci", None, (name or image).rpartition("/")[2], details["Id"]),
    )
    own = importlib.metadata.version("mlflow-gateway-fleet")
    bom.metadata.tools.components.add(
        Component(name="mlflow-gateway-fleet", version=own, type=ComponentType.APPLICATION)
    )
    bom.components.update(_debian(image))
    bom.components.update(_python(image))
    bom.register_dependency(bom.metadata.component, bom.components)
    return bom


def _debian(image: str) -> Iterator[Component]:
    for line in _inside(image, _DEBIAN).splitlines():
        name, version, architecture = line.split("\t")
        purl = PackageURL("deb", "debian", name, version, {"arch": architecture})
        yield Component(
            name=name, version=version, type=ComponentType.LIBRARY, purl=purl, bom_ref=purl.to_string()
        )


def _python(image: str) -> Iterator[Component]:
    for name, version in json.loads(_inside(image, _PYTHON)):
        # Names as the index spells them: https://packaging.python.org/specifications/name-normalization/
        purl = PackageURL("pypi", None, name.lower().replace("_", "-").replace(".", "-"), version)
        yield Component(
            name=name, version=version, type=ComponentType.LIBRARY, purl=purl, bom_ref=purl.to_string()
        )


def _inside(image: str, command: list[str]) -> str:
    limits = ["--rm", "--network", "none", "--read-only", "--cap-drop", "ALL"]
    return _docker("run", *limits, "--entrypoint", command[0], image, *command[1:])


def _docker(*arguments: str) -> str:
    try:
        done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)  # noqa: S603, S607
    except FileNotFoundError:
        raise ImageError("there is no docker command on this machine; install Docker Engine") from None
    if done.returncode:
        raise ImageError(done.stderr.strip() or f"docker {arguments[0]} exited {done.returncode}")
    return done.stdout


def main() -> int:
    """Write the bill; exit code 2 where the image could not be asked."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("image", help="name and tag of an image on this machine")
    try:
        bom = bill_of(parser.parse_args().image)
    except ImageError as error:
        sys.stderr.write(f"image_sbom.py: {error}\n")
        return 2
    outputter = make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6)
    sys.stdout.write(outputter.output_as_string(indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
