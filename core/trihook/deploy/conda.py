"""What a conda file's pip list asks for, as a requirements file with its local files beside it."""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]  # pyyaml ships no types

from trihook.errors import DeploymentError
from trihook.generate.azureml.requirements import CORE, read_requirements
from trihook.generate.azureml.wheels import pack_wheels

REQUIREMENTS = "requirements.txt"
WHEELS = "wheels"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
# pip's options that name a file or a folder
_OPTION = re.compile(r"(-[rcef]|--(?:requirement|constraint|editable|find-links))[\s=]*(\S.*)")
_COMMENT = re.compile(r"(^|\s+)#.*$")
_ADDRESS = re.compile(r"[A-Za-z0-9+.-]+://")


def write_requirements(conda: Path, folder: Path) -> str:
    """Write ``requirements.txt`` and ``wheels`` into a folder and return their SHA-256.

    Files in the list are copied. What it names and was installed here from a folder, which no
    index has, is packed as a wheel; trihook itself is added where the list lacks it. Raises
    :class:`trihook.DeploymentError`, naming the file, and what packing a wheel raises.
    """
    lines = list(_read_pip_list(conda))
    (folder / WHEELS).mkdir()
    files = {line: conda.parent / line for line in lines if _is_path(line)}
    for line, file in files.items():
        if not file.is_file():
            raise DeploymentError(f"{conda} lists {line}, and there is no file {file}")
        shutil.copy(file, folder / WHEELS)
    others = [line for line in lines if line not in files]
    named = [line for line in others if "://" not in line]
    packed = {name for line in named if (name := _name(line)) and _is_from_folder(name)}
    known = {_name(file.name.partition("-")[0]) for file in files.values()}
    known |= {_name(line) for line in others}
    found = read_requirements(sorted(packed - {CORE}))
    needed = [each for each in found if each.name in packed or each.name not in known]
    for name, wheel in pack_wheels(needed).items():
        (folder / WHEELS / name).write_bytes(wheel)
    kept = [line for line in others if _name(line) not in packed]
    kept += [each.line for each in needed if each.folder is None]
    wheels = sorted((folder / WHEELS).iterdir())
    text = "".join(f"{line}\n" for line in [*(f"./{WHEELS}/{w.name}" for w in wheels), *kept])
    (folder / REQUIREMENTS).write_text(text, "utf-8")
    return digest_requirements(folder)


def copy_requirements(source: Path, folder: Path) -> None:
    """Copy what :func:`write_requirements` wrote."""
    shutil.copy(source / REQUIREMENTS, folder)
    shutil.copytree(source / WHEELS, folder / WHEELS)


def digest_requirements(folder: Path) -> str:
    """Return a SHA-256 of the requirements and of the wheels among them."""
    files = [folder / REQUIREMENTS, *sorted((folder / WHEELS).iterdir())]
    digests = (hashlib.sha256(file.read_bytes()).digest() for file in files)
    return hashlib.sha256(b"".join(digests)).hexdigest()


def _read_pip_list(conda: Path) -> Iterator[str]:
    try:
        content: Any = yaml.safe_load(conda.read_text("utf-8"))
    except FileNotFoundError as exc:
        raise DeploymentError(f"the conda file {conda} does not exist") from exc
    except (yaml.YAMLError, UnicodeDecodeError) as exc:
        raise DeploymentError(f"the conda file {conda} is not YAML") from exc
    dependencies = content.get("dependencies") if isinstance(content, dict) else None
    if not isinstance(dependencies, list):
        raise DeploymentError(f"the conda file {conda} has no list 'dependencies'")
    for lines in _pip_lists(dependencies):
        if not isinstance(lines, list) or not all(isinstance(line, str) for line in lines):
            raise DeploymentError(f"'pip' in the conda file {conda} is not a list of texts")
        for line in lines:
            yield from _expand(line, conda, ())


def _expand(line: str, file: Path, above: tuple[Path, ...]) -> Iterator[str]:
    """Yield a line of a file, or in place of ``-r`` those of the file that it names."""
    option = _OPTION.fullmatch(line.strip())
    if option is None or "://" in option[2]:
        yield line
        return
    if option[1] not in ("-r", "--requirement"):
        raise DeploymentError(
            f"{file} lists {line!r}, which is not taken: list packages, wheels or -r FILE"
        )
    named = file.parent / option[2]
    if named in above:
        raise DeploymentError(f"{file} lists {line!r}, which leads back to it")
    try:
        text = named.read_text("utf-8").replace("\\\n", "")
    except (OSError, UnicodeDecodeError) as exc:
        raise DeploymentError(f"{file} lists {line!r}, which cannot be read: {named}") from exc
    for inner in filter(None, (_COMMENT.sub("", each).strip() for each in text.splitlines())):
        yield from _expand(inner, named, (*above, named))


def _pip_lists(dependencies: Iterable[object]) -> Iterator[object]:
    for each in dependencies:
        if isinstance(each, dict) and "pip" in each:
            yield each["pip"]


def _is_path(line: str) -> bool:
    return "://" not in line and (line.startswith((".", "/")) or line.endswith(".whl"))


def _name(line: str) -> str:
    """Return the distribution that a line asks for, as PyPI compares names, or ``""``."""
    if _ADDRESS.match(line):
        line = line.rpartition("/")[2].partition("-")[0]
    match = _NAME.match(line)
    return re.sub(r"[-_.]+", "-", match[0]).lower() if match else ""


def _is_from_folder(name: str) -> bool:
    try:
        distribution(name)
    except PackageNotFoundError:
        return False
    return any(each.folder and _name(each.name) == name for each in read_requirements([name]))
