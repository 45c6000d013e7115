"""Include edges, file and function sizes, layout. Exit 1 and one line a finding."""
import re
import subprocess
import sys

FILE_MAX, FUNCTION_MAX, HEADER_MAX = 600, 90, 170
bad = []


def tracked(*patterns):
    return subprocess.run(["git", "ls-files", *patterns], capture_output=True, text=True, check=True).stdout.split()


def allowed_edges():
    edges = {}
    for line in open("tests/lint/layers.txt"):
        line = line.split("#")[0].strip()
        if line:
            layer, rest = line.split(":")
            edges[layer] = set(rest.split()) | {layer}
    return edges


def layer_of(path, edges):
    folder = path.rsplit("/", 1)[0]
    while folder and folder not in edges:
        folder = folder.rsplit("/", 1)[0] if "/" in folder else ""
    return folder


def check_includes(path, lines, edges):
    layer = layer_of(path, edges)
    for i, line in enumerate(lines, 1):
        m = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
        if not m:
            continue
        target = layer_of(m.group(1), edges)
        if not target:
            bad.append(f"{path}:{i}: include \"{m.group(1)}\" from the root of the project")
        elif layer and target not in edges[layer]:
            bad.append(f"{path}:{i}: {layer} must not include {target}")


def check_functions(path, lines):
    start = name = None
    for i, line in enumerate(lines, 1):
        if re.match(r"^[A-Za-z_].*\)\s*\{?\s*$", line) and ";" not in line:
            name = line.strip()
        if line.startswith("{"):
            start = i
        elif line.startswith("}"):
            if start and name and i - start > FUNCTION_MAX:
                bad.append(f"{path}:{start}: function of {i - start} lines: {name[:60]}")
            start = name = None


def main():
    edges = allowed_edges()
    for path in tracked("*.c", "*.h"):
        lines = open(path).read().split("\n")
        limit = HEADER_MAX if path.endswith(".h") else FILE_MAX
        if len(lines) > limit:
            bad.append(f"{path}:1: {len(lines)} lines, at most {limit}")
        if not path.startswith("tests/"):
            check_includes(path, lines, edges)
            check_functions(path, lines)
        for i, line in enumerate(lines, 1):
            if re.search(r"\bBLIS_|bli_\w+\(|<blis", line) and path not in ("stages/tensor/gemm.c", "tests/bench/bench_gemm.c"):
                bad.append(f"{path}:{i}: only stages/tensor/gemm.c talks to BLIS")
            if not path.startswith(("engine/cli/", "tests/")) and re.search(r"\b(printf|puts|exit|abort)\s*\(", line):
                if not re.search(r"worker|mem\.c|error\.c", path) and not line.lstrip().startswith(("*", "/*", "//")):
                    bad.append(f"{path}:{i}: libraries neither print nor exit")
    tops = {"Makefile", "README.md", "LICENSE", ".ci", "base", "cache", "stages", "engine", "configs", "tests", "examples",
            "docs", ".gitignore", ".clang-format"}
    for path in tracked():
        if path.split("/")[0] not in tops:
            bad.append(f"{path}: the top level is fixed")
    for line in bad:
        print(line)
    sys.exit(1 if bad else 0)


main()
