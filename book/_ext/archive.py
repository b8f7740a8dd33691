"""Files of an archive that come out the same each time: sorted, dated by the commit, without owners."""

import hashlib
import subprocess
import zipfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

EARLIEST = 315_532_800  # 1980: a zip file knows no earlier time
READABLE = 0o100644 << 16


def write_zip(target: Path, members: Mapping[str, Path], date: str) -> None:
    """Pack files under the names given, in the order of the names, all with one date."""
    seconds = max(EARLIEST, datetime.fromisoformat(date).timestamp())
    moment = datetime.fromtimestamp(seconds, UTC).timetuple()[:6]
    with zipfile.ZipFile(target, "w") as file:
        for name in sorted(members):
            entry = zipfile.ZipInfo(name, moment)
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, READABLE
            file.writestr(entry, members[name].read_bytes())


def tree(folder: Path, prefix: str = "") -> dict[str, Path]:
    """All files below a folder, by the name that they get in an archive."""
    return {
        f"{prefix}{path.relative_to(folder).as_posix()}": path for path in folder.rglob("*") if path.is_file()
    }


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write_sums(folder: Path, name: str = "SHA256SUMS") -> None:
    """Hashes of all files of a folder, as `sha256sum --check` reads them."""
    lines = [f"{sha256(path)}  {file}\n" for file, path in sorted(tree(folder).items()) if file != name]
    (folder / name).write_text("".join(lines), encoding="utf-8")


def write_source(root: Path, target: Path, prefix: str) -> None:
    """The committed tree, as git packs it: dated by its commit."""
    with target.open("wb") as file:
        subprocess.run(
            ["git", "archive", "--format=tar.gz", f"--prefix={prefix}/", "HEAD"],
            cwd=root,
            stdout=file,
            check=True,
        )
