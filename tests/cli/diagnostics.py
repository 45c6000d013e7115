"""Wrong experiment files with the exact messages they get: cases in files of this form.

    --- what is wrong
    $ --set n=2                 optional: arguments after the file's name
    experiment: ...             case.yaml
    +++ part.yaml               optional: more files, in folders of their own where the name says so
    ...
    ===
    case.yaml:1:1: error: ...   all of stderr

In the files of a case {TAB} {CR} {BOM} {NUL} {xFF} are bytes that would be lost or invisible here, and «w*N» is a
text repeated, in which # is the number of the repetition and § the next; in the messages tabs are {TAB} too. Every case must end with exit status 2 and print nothing on stdout.

diagnostics.py FOLDER             compare; --update FOLDER writes what is printed now and shows the differences;
diagnostics.py --coverage FOLDER  which messages of the sources no case provokes.
diagnostics.py --texts FOLDER TO  the case.yaml of each case as a file of its own."""
import difflib
import glob
import os
import re
import shlex
import subprocess
import sys
import tempfile

BYTES = {"TAB": b"\t", "CR": b"\r", "BOM": b"\xef\xbb\xbf", "NUL": b"\0", "xFF": b"\xff"}


def encode(text):
    parts = re.split(r"\{(TAB|CR|BOM|NUL|xFF)\}", text)
    return b"".join(BYTES[p] if i % 2 else p.encode() for i, p in enumerate(parts))


def repeat(text):
    return re.sub(r"«(.*?)\*(\d+)»", lambda m: "".join(
        m[1].replace("#", str(i)).replace("§", str(i + 1)) for i in range(int(m[2]))), text, flags=re.S)


def read_cases(path):
    """[(name, arguments, text of the files, expected)]"""
    cases = []
    for chunk in re.split(r"^--- ", open(path, newline="\n").read(), flags=re.M)[1:]:
        head, body = chunk.split("\n", 1)
        files, _, expected = body.partition("===\n")
        args = ""
        if files.startswith("$ "):
            args, files = files[2:].split("\n", 1)
        cases.append((head, args, files, expected))
    return cases


def write_cases(path, cases):
    with open(path, "w", newline="\n") as f:
        for name, args, files, expected in cases:
            f.write(f"--- {name}\n" + (f"$ {args}\n" if args else ""))
            f.write(files + "===\n" + expected)


def run(args, files):
    with tempfile.TemporaryDirectory() as folder:
        parts = re.split(r"^\+\+\+ (.*)\n", "+++ case.yaml\n" + repeat(files), flags=re.M)
        for name, text in zip(parts[1::2], parts[2::2]):
            path = os.path.join(folder, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            open(path, "wb").write(encode(text))
        done = subprocess.run([os.environ["WEFT"], "check", "case.yaml", *shlex.split(args)], cwd=folder,
                              capture_output=True, env={**os.environ, "NO_COLOR": "1", "LC_ALL": "C"}, timeout=60)
    said = done.stderr.decode("utf-8", "backslashreplace").replace("\t", "{TAB}").replace("\r", "{CR}")
    return done.returncode, done.stdout, said


def show(name, expected, said):
    diff = difflib.unified_diff(expected.splitlines(), said.splitlines(), "wanted", "printed", lineterm="")
    print(f"case '{name}':\n" + "\n".join("    " + line for line in diff))


def check(folder, update):
    count, bad, names = 0, 0, set()
    for path in sorted(glob.glob(os.path.join(folder, "*.txt"))):
        cases = read_cases(path)
        for i, (name, args, files, expected) in enumerate(cases):
            status, out, said = run(args, files)
            count += 1
            if status != 2 or out or name in names:
                bad += 1
                print(f"case '{name}': exit status {status}, stdout {out!r}" + " (a name twice)" * (name in names))
            names.add(name)
            if said != expected:
                bad += not update
                show(name, expected, said)
                cases[i] = (name, args, files, said)
        if update:
            write_cases(path, cases)
    print(f"{count} wrong experiments, {bad} not as expected")
    return bad > 0 or count < 120


def literals(source):
    """The format strings of messages, each as a pattern."""
    calls = r"\b(?:diag_add|diag_unknown|diag_again|complain|error_set|is_list)\s*\((?:[^;\"]|\n)*?((?:\"(?:[^\"\\]|\\.)*\"\s*)+)"
    for m in re.finditer(calls, source):
        text = "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', m[1])).replace('\\"', '"')
        if len(text) > 6:
            yield text, re.sub(r"%(?:\\?[.\d*]|\\\*|z|l)*[sdgu]", ".*", re.escape(text).replace(r"\%", "%"))


def coverage(folder):
    said = "\n".join(e for p in glob.glob(os.path.join(folder, "*.txt")) for *_, e in read_cases(p))
    for path in sorted(glob.glob("engine/spec/*.c") + ["base/param.c"]):
        for text, pattern in literals(open(path).read()):
            if not re.search(pattern, said):
                print(f"{path}: {text}")


def texts(folder, to):
    for path in glob.glob(os.path.join(folder, "*.txt")):
        for i, (_, args, files, _) in enumerate(read_cases(path)):
            text = encode(repeat(files.split("\n+++ ")[0]))
            options = "".join(f"#{a}\n" for a in re.findall(r"--((?:set|vars) \S+)", args))
            name = os.path.basename(path).replace(".txt", f"-{i}.yaml")
            open(os.path.join(to, name), "wb").write(text + b"\n" + options.encode())


if sys.argv[1] == "--texts":
    texts(sys.argv[2], sys.argv[3])
elif sys.argv[1] == "--coverage":
    coverage(sys.argv[2])
else:
    sys.exit(check(sys.argv[-1], sys.argv[1] == "--update"))
