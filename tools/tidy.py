#!/usr/bin/env python3
"""The house rules that a program can check. Run as a test.

    tools/tidy.py              everything but --headers; seconds
    tools/tidy.py --headers    every header of src/ compiles alone (results cached in build/tidy)
    tools/tidy.py --root DIR   on another tree (for tidy_test.py)

Prints "file:line: rule: what" for each violation and exits 1 if there is one; warnings do not fail. A line that
must break a word rule says so and why:   foo();  // tidy: allow(words) reason
"""
import argparse
import concurrent.futures
import hashlib
import pathlib
import re
import subprocess
import sys

LINES_MAX = 600
COLUMNS_MAX = 100
FUNCTION_LINES_MAX = 70

# Floors (docs/architecture.md): what the code of each folder may include beside itself and base/. Everything here
# lies on a lower floor, or on the same one where the table of floors says so.
MAY_KNOW = {
    "base": "",
    "sys": "",
    "format": "",
    "object": "sys",
    "engine": "sys",
    "rpc": "sys format",
    "sim": "sys object engine",
    "meta": "sys format engine",
    "cache": "sys format object rpc",
    "data": "sys format object engine cache rpc meta",  # the engine only to read: fsck's bucket side
    "metasvc": "sys format engine rpc meta",
    "client": "sys format object engine rpc meta cache data metasvc",
    "fuse": "sys format meta client",
    "gateway": "sys format meta client",
    "cmd": "sys format object engine rpc meta cache data metasvc client fuse gateway",
}
# Folders whose subfolders are separate twins of one interface: they know the interface, not each other.
TWINS = {"engine", "object"}
# A file that wires twins together, by what a URL says.
TWIN_FACTORIES = re.compile(r"(^|/)open_\w+\.(cc|h)$")
# Code that is part of tests may know the simulated twins and every floor up to its own.
TEST_FILE = re.compile(r"(_test|_test_util|_contract|_testing|_suite|_model)\.(cc|h)$|/(testing|contract|bench|live)/")

WORDS = [
    # (pattern, folders that may, message); matched against code without comments and strings
    (r"\bstd::(thread(?!::id)|jthread|async|mutex|shared_mutex|recursive_mutex|timed_mutex|condition_variable(_any)?|"
     r"lock_guard|unique_lock|scoped_lock|shared_lock)\b|\bpthread_(create|mutex_\w+)\b",
     {"sys", "sim"}, "threads and locks come from sys/thread.h and sys/mutex.h"),
    (r"\b(system_clock|steady_clock|high_resolution_clock)::now\b|\bclock_gettime\s*\(|\bgettimeofday\s*\(|"
     r"(?<![\w.>:])(std::)?time\s*\(\s*(nullptr|NULL|0)\s*\)",
     {"sys"}, "time comes from a Clock"),
    (r"\bthis_thread::sleep_(for|until)\b|(?<![\w.>])(::)?(usleep|nanosleep|sleep)\s*\(",
     {"sys", "cmd"}, "nothing sleeps: wait on a CondVar or post_after"),
    (r"\bstd::random_device\b|(?<![\w.>:])(std::)?s?rand\s*\(|\bgetrandom\s*\(",
     {"sys"}, "randomness comes from a Random"),
    (r"(?<![\w:])(std::)?(f|v|vf)?printf\s*\(|\bstd::(cout|cerr|clog)\b|\bfmt::print\b|\b(std::)?f?puts\s*\(",
     {"cmd"}, "output goes through base/log.h; only cmd/ prints"),
    (r"(?<![\w>:)])::(open|openat|creat|read|readv|pread|preadv2?|write|writev|pwrite|pwritev2?|fsync|fdatasync|"
     r"sync_file_range|rename|renameat2?|unlink|unlinkat|mkdir|mkdirat|rmdir|link|linkat|stat|fstat|lstat|fstatat|"
     r"truncate|ftruncate|fallocate|posix_fallocate|opendir|readdir|flock)\s*\(|"
     r"\bstd::(filesystem::|[io]?fstream\b)|\b(std::)?f(open|read|write)\s*\(",
     {"sys", "fuse", "cmd"}, "files come from a LocalFs (sys/local_fs.h)"),
]
# These may print: the log itself, and what says why the program dies.
PRINTERS = {"src/base/check.cc", "src/base/log.cc"}

UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX)\b(?!\s*\(#\d+\))")
# Spelt so that this file does not contain them.
MACHINE_PATHS = re.compile("|".join("/" + p for p in ("work/", "farm/", "tmp/" + "tools", "root/")))
INCLUDE = re.compile(r'^\s*#\s*include\s*"([^"]+)"')

CODE = {".cc", ".h"}
TEXT = {".cc", ".h", ".py", ".sh", ".md", ".txt", ".cmake", ".json", ".toml", ".yml", ".yaml", ""}
SOURCE_FOLDERS = ("src", "tests", "bench", "fuzz")


class Tidy:
    def __init__(self, root):
        self.root = root
        self.problems = []
        self.warnings = []
        self.code = sorted(p for folder in SOURCE_FOLDERS for p in (root / folder).rglob("*") if p.suffix in CODE)
        self.text = {p: p.read_text(encoding="utf-8", errors="replace") for p in self.code}

    def name(self, path):
        return path.relative_to(self.root).as_posix()

    def problem(self, path, line, rule, what):
        self.problems.append(f"{self.name(path)}:{line}: {rule}: {what}")

    def run(self):
        for path in self.code:
            self.lengths(path)
            if self.name(path).startswith("src/"):
                self.floors(path)
                self.words(path)
        self.unfinished_and_machine_paths()
        self.dead_files()
        self.readmes()
        return self.problems

    # ---- rules --------------------------------------------------------------------------------------------

    def lengths(self, path):
        lines = self.text[path].splitlines()
        if len(lines) > LINES_MAX:
            self.problem(path, LINES_MAX + 1, "length", f"{len(lines)} lines; at most {LINES_MAX}, one concept a file")
        for number, line in enumerate(lines, 1):
            if len(line) > COLUMNS_MAX and "http" not in line and "#include" not in line:
                self.problem(path, number, "columns", f"{len(line)} columns; at most {COLUMNS_MAX}")
        for number, length in long_functions(lines):
            self.warnings.append(f"{self.name(path)}:{number}: warning: a function of {length} lines; "
                                 f"at most {FUNCTION_LINES_MAX} read well")

    def floors(self, path):
        parts = path.relative_to(self.root / "src").parts
        if len(parts) < 2:
            return
        folder = parts[0]
        is_test = bool(TEST_FILE.search(self.name(path)))
        if folder not in MAY_KNOW:
            self.problem(path, 1, "floors", f"src/{folder} is on no floor: enter it in tools/tidy.py")
            return
        for number, line in enumerate(self.text[path].splitlines(), 1):
            match = INCLUDE.match(line)
            if not match:
                continue
            target = match.group(1)
            if not (self.root / "src" / target).exists():
                if (path.parent / target).exists():
                    self.problem(path, number, "floors", f'"{target}": name it from src/ on')
                continue
            why = self.forbidden(path, folder, pathlib.PurePosixPath(target).parts, is_test)
            if why:
                self.problem(path, number, "floors", f'"{target}": {why}')

    def forbidden(self, path, folder, target, is_test):
        """Why a file of `folder` may not include `target` (its parts), or None."""
        to = target[0]
        if to == folder:
            return None if is_test else self.forbidden_twin(path, folder, target)
        if to == "base":
            return None
        if to in MAY_KNOW[folder].split():
            if to in TWINS and len(target) > 2 and folder not in ("cmd", "client") and not is_test:
                return f"{folder}/ knows the interface of {to}/, not its twins"
            return None
        if is_test and (to == "sim" or rank(to) < rank(folder) or folder == "sim"):
            return None
        return f"{folder}/ may know {MAY_KNOW[folder] or 'nothing'} and base, not {to}/"

    def forbidden_twin(self, path, folder, target):
        if folder not in TWINS or len(target) == 2:
            return None
        own = path.relative_to(self.root / "src").parts
        if len(own) > 2 and own[1] == target[1]:
            return None
        if TWIN_FACTORIES.search(self.name(path)):
            return None
        return f"{'/'.join(own[:-1])} may know {folder}/ itself, not its other twins"

    def words(self, path):
        name = self.name(path)
        folder = path.relative_to(self.root / "src").parts[0]
        is_test = bool(TEST_FILE.search(name))
        raw = self.text[path].splitlines()
        for number, line in enumerate(strip_comments_and_strings(self.text[path]).splitlines(), 1):
            if "tidy: allow(words)" in raw[number - 1]:
                continue
            for pattern, allowed, message in WORDS:
                if folder in allowed or (allowed == {"cmd"} and (name in PRINTERS or is_test)):
                    continue
                # Tests prepare files and look at them with the standard library.
                if is_test and allowed == {"sys", "fuse", "cmd"}:
                    continue
                match = re.search(pattern, line)
                if match:
                    self.problem(path, number, "words", f"{match.group(0).strip()}: {message}")

    def unfinished_and_machine_paths(self):
        for path in tracked(self.root):
            if path.suffix not in TEXT or path.name == "LICENSE" or not path.is_file():
                continue
            for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
                match = MACHINE_PATHS.search(line)
                if match:
                    self.problem(path, number, "machine", f"{match.group(0)} is a path of one machine")
                if path.suffix in CODE | {".py", ".sh"} and path.parent.name != "tools":
                    match = UNFINISHED.search(line)
                    if match:
                        self.problem(path, number, "unfinished", f"{match.group(0)} without an issue: write TODO(#N)")

    def dead_files(self):
        included = set()
        for path in self.code:
            for line in self.text[path].splitlines():
                match = INCLUDE.match(line)
                if match:
                    included.add((self.root / "src" / match.group(1)).resolve())
                    included.add((path.parent / match.group(1)).resolve())
                    included.add((self.root / match.group(1)).resolve())
        for path in self.code:
            if path.suffix == ".h" and path.resolve() not in included:
                self.problem(path, 1, "dead", "nobody includes this header")
            if path.suffix == ".cc" and not self.built(path):
                self.problem(path, 1, "dead", "no CMakeLists.txt builds this file")

    def built(self, path):
        # A shoal_folder builds every .cc beside its CMakeLists.txt but *_main.cc; others are named, or globbed.
        for folder in [path.parent, *path.parent.parents]:
            lists = folder / "CMakeLists.txt"
            if lists.exists():
                text = lists.read_text()
                if path.name in text or re.search(r"GLOB\w*\s.*\*(_main|_fuzz)?\.cc", text):
                    return True
                if folder == path.parent and "shoal_folder(" in text and not path.name.endswith("_main.cc"):
                    return True
            if folder == self.root:
                return False
        return False

    def readmes(self):
        for lists in sorted((self.root / "src").rglob("CMakeLists.txt")):
            if TEST_FILE.search(f"{self.name(lists.parent)}/"):
                continue  # its parent's README.md speaks of it
            if "shoal_folder(" in lists.read_text() and not (lists.parent / "README.md").exists():
                self.problem(lists, 1, "readme", "the folder has no README.md (what it does, promises, must not know)")


def rank(folder):
    """Floors as numbers, for tests only: a test may use everything on a lower floor."""
    floors = ["base", "sys", "format object engine rpc", "sim", "meta cache", "data metasvc", "client", "fuse gateway", "cmd"]
    return next((n for n, names in enumerate(floors) if folder in names.split()), len(floors))


def tracked(root):
    listing = subprocess.run(["git", "-C", str(root), "ls-files", "-co", "--exclude-standard"], capture_output=True, text=True)
    if listing.returncode == 0:
        return [root / name for name in listing.stdout.splitlines()]
    return [p for p in root.rglob("*") if p.is_file()]


def strip_comments_and_strings(text):
    """Blanks comments, strings and characters out, keeping the lines."""
    def blank(match):
        token = match.group(0)
        return re.sub(r"[^\n]", " ", token) if token[0] == "/" else '""' + "\n" * token.count("\n")
    return re.sub(r'//[^\n]*|/\*.*?\*/|R"(\w*)\(.*?\)\1"|"(?:\\.|[^"\\\n])*"|(?<![0-9a-fA-F])\'(?:\\.|[^\'\\\n])+\'',
                  blank, text, flags=re.S)


def long_functions(lines):
    """(line, length) of what looks like a function body over the limit: opened and closed at the same indent."""
    found = []
    for start, line in enumerate(lines):
        opens = re.match(r"^(\s{0,2})\S.*\{$", line)
        if not opens or re.match(r"\s*(namespace|class|struct|enum|union|extern|switch|if|for|while|\})", line):
            continue
        if "(" not in line and not (start and "(" in lines[start - 1]):
            continue
        end = next((n for n in range(start + 1, len(lines)) if lines[n].startswith(opens.group(1) + "}")), None)
        if end is not None and end - start + 1 > FUNCTION_LINES_MAX:
            found.append((start + 1, end - start + 1))
    return found


# ---- headers alone ------------------------------------------------------------------------------------------------

COMPILE = ["g++", "-std=c++20", "-fsyntax-only", "-Wall", "-Wextra", "-msse4.2", "-mpclmul", "-x", "c++"]


def closure(header, root, seen):
    """The header and every header of ours that it includes, however far."""
    if header in seen or not header.exists():
        return seen
    seen.add(header)
    for line in header.read_text(errors="replace").splitlines():
        match = INCLUDE.match(line)
        if match:
            closure(root / "src" / match.group(1), root, seen)
    return seen


def header_alone(header, root, cache):
    digest = hashlib.sha256(" ".join(COMPILE).encode())
    for path in sorted(closure(header, root, set())):
        digest.update(path.as_posix().encode() + b"\0" + path.read_bytes())
    good = cache / digest.hexdigest()
    if good.exists():
        return None
    name = header.relative_to(root / "src").as_posix()
    done = subprocess.run([*COMPILE, "-iquote", str(root / "src"), "-"], capture_output=True, text=True,
                          input=f'#include "{name}"\n#include "{name}"\n')
    if done.returncode == 0:
        good.touch()
        return None
    first = next((l for l in done.stderr.splitlines() if "error" in l), done.stderr.strip()[:200])
    return f"src/{name}:1: headers: does not compile alone: {first}"


def headers_alone(root):
    cache = root / "build" / "tidy"
    cache.mkdir(parents=True, exist_ok=True)
    headers = sorted((root / "src").rglob("*.h"))
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        return [p for p in pool.map(lambda h: header_alone(h, root, cache), headers) if p], len(headers)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--headers", action="store_true")
    parser.add_argument("--root", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parent.parent)
    args = parser.parse_args()
    root = args.root.resolve()
    if args.headers:
        problems, count = headers_alone(root)
        what = f"{count} headers"
    else:
        tidy = Tidy(root)
        problems = tidy.run()
        what = f"{len(tidy.code)} files, {len(tidy.warnings)} warnings"
        for warning in tidy.warnings:
            print(warning)
    for problem in problems:
        print(problem)
    print(f"tidy: {what}, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
