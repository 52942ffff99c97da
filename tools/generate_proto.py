"""Make dnstap_pb2.py and dnstap_pb2.pyi from dnstap.proto, or check that they still match it.

The compiler is the protoc inside grpcio-tools, in the one version that the Makefile pins
(`make proto`, `make check-proto`), so the same schema gives the same bytes everywhere.

protoc's own Python module is not used, for three reasons:

- it puts the schema into protobuf's default descriptor pool, where it collides with every other
  package that brings a schema named "dnstap", and registers the classes in the default symbol
  database;
- it refuses every protobuf runtime that is older than the compiler;
- each compiler lays it out in its own way.

What is kept of it is the compiled schema, which every runtime reads, and its stub for type
checkers, where only the type arguments that mypy's strict mode asks for are filled in.
"""

from __future__ import annotations

import argparse
import difflib
import sys
import tempfile
from pathlib import Path
from typing import Dict, List

from google.protobuf import descriptor_pb2
from grpc_tools import protoc

PROTO_FOLDER = Path(__file__).resolve().parent.parent / "dnstap_logging" / "codec" / "proto"
SCHEMA = "dnstap.proto"
BYTES_PER_LINE = 16  # escaped as \x00 they take 64 columns, well within the line length

MODULE = '''\
# Made by tools/generate_proto.py from {schema}. Do not edit: run `make proto`.
"""The message classes and enums of {schema}.

They live in a descriptor pool of their own and are not in protobuf's symbol database, so that
another package's dnstap schema can be imported too, before or after.
"""

from google.protobuf import descriptor_pool as _descriptor_pool
from google.protobuf import message_factory as _message_factory
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper

_POOL = _descriptor_pool.DescriptorPool()

DESCRIPTOR = _POOL.AddSerializedFile(
{schema_bytes}
)


def _message_class(name):
    descriptor = DESCRIPTOR.message_types_by_name[name]
    if hasattr(_message_factory, "GetMessageClass"):  # protobuf 4.22 and newer
        message_class = _message_factory.GetMessageClass(descriptor)
    else:
        message_class = _message_factory.MessageFactory(_POOL).GetPrototype(descriptor)
    message_class.__module__ = __name__
    return message_class


def _enum(name):
    return _enum_type_wrapper.EnumTypeWrapper(DESCRIPTOR.enum_types_by_name[name])


{assignments}
'''


def compile_schema(folder: Path) -> descriptor_pb2.FileDescriptorProto:
    """Run protoc: leave the stub in `folder` and return the compiled schema."""
    compiled = folder / "compiled"
    status = protoc.main(
        [
            "protoc",
            f"--proto_path={PROTO_FOLDER}",
            f"--descriptor_set_out={compiled}",
            f"--pyi_out={folder}",
            SCHEMA,
        ]
    )
    if status != 0:
        raise SystemExit(f"protoc failed with status {status}")
    files = descriptor_pb2.FileDescriptorSet()
    files.ParseFromString(compiled.read_bytes())
    file: descriptor_pb2.FileDescriptorProto = files.file[0]
    for message in file.message_type:
        for field in message.field:
            field.ClearField("json_name")  # protoc's own module leaves it out too
    return file


def module_text(file: descriptor_pb2.FileDescriptorProto) -> str:
    """Write the Python module for a compiled schema."""
    schema = file.SerializeToString(deterministic=True)
    lines = [
        f"    {schema[start : start + BYTES_PER_LINE]!r}"
        for start in range(0, len(schema), BYTES_PER_LINE)
    ]
    assignments: List[str] = []
    for enum in file.enum_type:
        assignments.append(f'{enum.name} = _enum("{enum.name}")')
        assignments += [f"{value.name} = {value.number}" for value in enum.value]
    assignments += [
        f'{message.name} = _message_class("{message.name}")' for message in file.message_type
    ]
    return MODULE.format(
        schema=SCHEMA, schema_bytes="\n".join(lines), assignments="\n".join(assignments)
    )


def generate() -> Dict[str, str]:
    """Return the text of every generated file by its name."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        module = module_text(compile_schema(folder))
        stub = (folder / "dnstap_pb2.pyi").read_text(encoding="utf-8")
    stub = stub.replace(", _Mapping]", ", _Mapping[str, object]]").rstrip("\n") + "\n"
    return {"dnstap_pb2.py": module, "dnstap_pb2.pyi": stub}


def differences(name: str, text: str) -> List[str]:
    """Compare a generated file with the one in the package, line by line."""
    path = PROTO_FOLDER / name
    present = path.read_text(encoding="utf-8") if path.exists() else ""
    return list(
        difflib.unified_diff(
            present.splitlines(), text.splitlines(), str(path), "generated", lineterm="", n=1
        )
    )


def main() -> int:
    """Write the generated files, or with --check compare them; 1 means that they differ."""
    parser = argparse.ArgumentParser(description="make dnstap_pb2 from dnstap.proto")
    parser.add_argument("--check", action="store_true", help="write nothing, fail on a difference")
    files = generate()
    if not parser.parse_args().check:
        for name, text in files.items():
            (PROTO_FOLDER / name).write_text(text, encoding="utf-8")
        return 0
    found = [line for name, text in files.items() for line in differences(name, text)]
    if found:
        print("\n".join(found))
        print(f"{PROTO_FOLDER} does not match {SCHEMA}: run `make proto`", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
