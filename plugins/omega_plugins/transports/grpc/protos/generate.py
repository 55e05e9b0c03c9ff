"""`./run protos`: writes the Python code of the .proto files beside them, with the grpcio-tools of the lock."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent
PACKAGE = "omega_sync_v1"
PROTOS = tuple(sorted((ROOT / PACKAGE).glob("*.proto")))
_IMPORT = re.compile(rf"^from {PACKAGE} import", re.MULTILINE)
_HERE = f"from omega_plugins.transports.grpc.protos.{PACKAGE} import"


def generate(out: Path) -> list[Path]:
    """Write messages and their types of all .proto files below `out`, and return the files.

    protoc names modules by the .proto files' own path, which is right for whoever has nothing else; here they stand in
    a package.
    """
    names = [f"{PACKAGE}/{proto.name}" for proto in PROTOS]
    flags = [f"--proto_path={ROOT}", f"--python_out={out}", f"--pyi_out={out}"]
    subprocess.run([sys.executable, "-m", "grpc_tools.protoc", *flags, *names], check=True)
    made = [out / PACKAGE / f"{proto.stem}_pb2{suffix}" for proto in PROTOS for suffix in (".py", ".pyi")]
    for file in made:
        file.write_text(_IMPORT.sub(_HERE, file.read_text(encoding="utf-8")), encoding="utf-8")
    return made


if __name__ == "__main__":
    generate(ROOT)
