#!/usr/bin/env python3
"""Each rule of tidy.py fires on a tree that breaks it, and is silent on one that does not."""
import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import tidy  # noqa: E402

GOOD = {
    "src/base/CMakeLists.txt": "shoal_folder(NAME base)\n",
    "src/base/README.md": "base\n",
    "src/base/a.h": "#pragma once\nint a();\n",
    "src/base/a.cc": '#include "base/a.h"\nint a() { return 1; }\n',
    "src/engine/CMakeLists.txt": "shoal_folder(NAME engine DEPS base)\n",
    "src/engine/README.md": "engine\n",
    "src/engine/engine.h": '#pragma once\n#include "base/a.h"\n',
    "src/engine/memory/CMakeLists.txt": "shoal_folder(NAME engine_memory DEPS engine)\n",
    "src/engine/memory/README.md": "memory\n",
    "src/engine/memory/memory.cc": '#include "engine/engine.h"\n',
}


class TidyTest(unittest.TestCase):
    def problems(self, changes):
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            for name, text in {**GOOD, **changes}.items():
                if text is None:
                    continue
                path = root / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
            self.checker = tidy.Tidy(root)
            return self.checker.run()

    def fires(self, rule, changes, times=1):
        problems = self.problems(changes)
        self.assertEqual([p.split(": ")[1] for p in problems], [rule] * times, problems)

    def silent(self, changes):
        self.assertEqual(self.problems(changes), [])

    def test_a_good_tree_is_clean(self):
        self.silent({})

    def test_include_upwards(self):
        self.fires("floors", {"src/base/a.cc": '#include "base/a.h"\n#include "engine/engine.h"\n'})

    def test_include_sideways(self):
        self.fires("floors", {"src/object/x.cc": '#include "engine/engine.h"\n',
                              "src/object/CMakeLists.txt": "shoal_folder(NAME object)\n", "src/object/README.md": "x"})

    def test_include_between_twins(self):
        other = {"src/engine/faulty/CMakeLists.txt": "shoal_folder(NAME f)\n", "src/engine/faulty/README.md": "f",
                 "src/engine/memory/memory.h": "#pragma once\n"}
        self.fires("floors", {**other, "src/engine/faulty/faulty.cc": '#include "engine/memory/memory.h"\n'})
        self.silent({**other, "src/engine/faulty/faulty_test.cc": '#include "engine/memory/memory.h"\n'})
        self.silent({**other, "src/engine/open_engine.cc": '#include "engine/memory/memory.h"\n'})

    def test_include_of_a_twin_from_a_floor_that_knows_the_interface(self):
        self.fires("floors", {"src/meta/m.cc": '#include "engine/memory/memory.h"\n', "src/meta/README.md": "m",
                              "src/meta/CMakeLists.txt": "shoal_folder(NAME m)\n", "src/engine/memory/memory.h": "#pragma once\n"})

    def test_include_of_sim_from_a_test_only(self):
        sim = {"src/sim/fake.h": "#pragma once\n", "src/sim/README.md": "s"}
        self.silent({**sim, "src/base/a_test.cc": '#include "sim/fake.h"\n'})
        self.fires("floors", {**sim, "src/base/a.cc": '#include "base/a.h"\n#include "sim/fake.h"\n'})

    def test_a_test_may_use_lower_floors_but_not_higher(self):
        meta = {"src/meta/m.h": "#pragma once\n", "src/meta/README.md": "m",
                "src/meta/CMakeLists.txt": "shoal_folder(NAME m)\n", "src/meta/m_test.cc": '#include "meta/m.h"\n'}
        self.silent({**meta, "src/engine/memory/memory.h": "#pragma once\n",
                     "src/meta/n_test.cc": '#include "engine/memory/memory.h"\n'})
        self.fires("floors", {**meta, "src/engine/e_test.cc": '#include "meta/m.h"\n'})

    def test_unknown_folder(self):
        self.fires("floors", {"src/misc/x.cc": "\n", "src/misc/README.md": "x",
                              "src/misc/CMakeLists.txt": "shoal_folder(NAME misc)\n"})

    def test_relative_include(self):
        self.fires("floors", {"src/base/a.cc": '#include "base/a.h"\n#include "b.h"\n',
                              "src/base/b.h": "#pragma once\n", "src/base/c.cc": '#include "base/b.h"\n'})

    def test_long_file_long_line_long_function(self):
        self.fires("length", {"src/base/a.cc": '#include "base/a.h"\n' + "int x;\n" * 600})
        self.fires("columns", {"src/base/a.cc": '#include "base/a.h"\n// ' + "x" * 98 + "\n"})
        self.silent({"src/base/a.cc": '#include "base/a.h"\n// ' + "ä" * 97 + "\n"})
        self.silent({"src/base/a.cc": '#include "base/a.h"\nint f(int) {\n' + "  a();\n" * 69 + "}\n"})
        self.assertEqual(len(self.checker.warnings), 1)
        self.silent({"src/base/a.cc": '#include "base/a.h"\nint f(int) {\n' + "  a();\n" * 68 + "}\n"})
        self.assertEqual(self.checker.warnings, [])

    def test_words(self):
        for code in ["std::thread t;", "std::mutex m;", "std::lock_guard<M> g;", "auto t = std::chrono::system_clock::now();",
                     "auto t = std::chrono::steady_clock::now();", "time(nullptr);", "std::this_thread::sleep_for(d);",
                     "usleep(3);", "rand();", "std::random_device d;", 'printf("x");', 'std::fprintf(stderr, "x");',
                     "std::cout << 1;", 'fmt::print("x");', '::open("x", 0);', "::pwrite(a);", "::rename(a, b);",
                     "std::ofstream f;", "std::filesystem::path p;", "std::fopen(a, b);"]:
            with self.subTest(code):
                self.fires("words", {"src/base/a.cc": '#include "base/a.h"\nvoid f() { ' + code + " }\n"})

    def test_words_that_only_look_alike(self):
        for code in ["store.read(x);", "Staging::open(x);", "LocalFs::open(x);", "fs.rename(a, b);", "// std::thread",
                     'log("printf(");', "std::thread::id i;", "modify_time(0);", "x->unlink(a);", "snprintf_like(3);",
                     "/* rand() */", "std::string s = R\"(::open())\";", "int n = 1'000'000;"]:
            with self.subTest(code):
                self.silent({"src/base/a.cc": '#include "base/a.h"\nvoid f() { ' + code + "\n}\n"})

    def test_words_are_allowed_where_they_belong_and_with_a_reason(self):
        sys_folder = {"src/sys/README.md": "s", "src/sys/CMakeLists.txt": "shoal_folder(NAME sys)\n"}
        self.silent({**sys_folder, "src/sys/t.cc": 'std::thread t;\nint f = ::open("x", 0);\n'})
        self.silent({"src/base/a.cc": '#include "base/a.h"\nstd::mutex m;  // tidy: allow(words) why\n'})
        self.silent({"src/base/check.cc": 'void f() { std::fprintf(stderr, "x"); }\n'})

    def test_unfinished_and_machine_paths(self):
        word = "TO" + "DO"
        self.fires("unfinished", {"src/base/a.cc": f'#include "base/a.h"\n// {word}: later\n'})
        self.silent({"src/base/a.cc": f'#include "base/a.h"\n// {word}(#12): later\n'})
        self.fires("machine", {"docs/x.md": "see /" + "work/shared\n"})

    def test_dead_files(self):
        self.fires("dead", {"src/base/b.h": "#pragma once\n"})
        self.fires("dead", {"tests/model/x.cc": "\n"})
        self.fires("dead", {"src/base/b_main.cc": "\n"})
        self.silent({"tests/model/x.cc": "\n", "tests/model/CMakeLists.txt": "add_executable(x x.cc)\n"})

    def test_missing_readme(self):
        self.fires("readme", {"src/engine/memory/README.md": None})

    def test_parts_of_tests_need_no_readme_and_may_print_and_know_twins(self):
        self.silent({"src/engine/contract/CMakeLists.txt": "shoal_folder(NAME engine_contract)\n",
                     "src/engine/memory/memory.h": "#pragma once\n",
                     "src/engine/contract/contract.cc": '#include "engine/memory/memory.h"\nvoid f() { std::cout << 1; }\n'})

    def test_header_that_does_not_compile_alone(self):
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            (root / "src/base").mkdir(parents=True)
            header = root / "src/base/a.h"
            header.write_text("#pragma once\ninline std::string f() { return {}; }\n")
            problems, count = tidy.headers_alone(root)
            self.assertEqual((len(problems), count), (1, 1))
            header.write_text("#pragma once\n#include <string>\ninline std::string f() { return {}; }\n")
            self.assertEqual(tidy.headers_alone(root), ([], 1))
            self.assertEqual(tidy.headers_alone(root), ([], 1))  # from the cache


if __name__ == "__main__":
    unittest.main()
