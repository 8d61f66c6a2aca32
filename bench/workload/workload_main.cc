// bench_workload ROW --folder DIR [options]: does one row's work below DIR and prints one JSON
// line.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>

#include "support.h"

namespace bench {
namespace {

struct Row {
  const char* name;
  Sample (*run)(const Options&);
  const char* what;
};

constexpr Row kRows[] = {
    {"create", create, "create, write, close --files of --size-bytes by --threads"},
    {"stat", stat_all, "stat every one of them by --threads"},
    {"list", list, "readdir and stat of every folder, one thread"},
    {"read", read_files, "open, read whole, close in shuffled order; files/s"},
    {"read-mb", read_megabytes, "the same; MB/s"},
    {"rename", rename_all, "rename every one from f… to r…"},
    {"mkdir", make_folders, "make --files folders"},
    {"unlink", unlink_all, "remove every one (--prefix r after rename)"},
    {"sequential-write", sequential_write, "--bytes of --file by 1 MiB, fsync, close"},
    {"sequential-read", sequential_read, "read it by 1 MiB"},
    {"random-read", random_read, "4 KiB at random places by --threads"},
    {"random-write", random_write,
     "4 KiB at random places, one fsync at the end (writes --file first)"},
    {"overwrite-sync", overwrite_sync,
     "4 KiB at random places, fsync after each (writes --file first)"},
    {"append-sync", append_sync, "append 200 B, fsync, again"},
    {"write-pieces", write_pieces, "--bytes of --file by 4 KiB, --how ordered|direct|mmap, fsync"},
};

[[noreturn]] void usage() {
  std::fprintf(
      stderr,
      "usage: bench_workload ROW --folder DIR [--seed N] [--threads N] [--files N] [--size-bytes "
      "N]\n"
      "  [--set NAME] [--prefix f|r] [--file NAME] [--bytes N] [--operations N] [--seconds-max S]\n"
      "  [--how ordered|direct|mmap] [--check-all 0|1]\nrows:\n");
  for (const Row& row : kRows) std::fprintf(stderr, "  %-18s%s\n", row.name, row.what);
  std::exit(2);
}

uint64_t number(const char* text) {
  char* end = nullptr;
  const uint64_t value = std::strtoull(text, &end, 10);
  if (end == text || *end != '\0') die(std::string("not a number: ") + text);
  return value;
}

Options parse(int argc, char** argv) {
  if (argc < 2) usage();
  Options options;
  options.row = argv[1];
  const std::map<std::string, std::string*> texts = {{"--folder", &options.folder},
                                                     {"--set", &options.set},
                                                     {"--prefix", &options.prefix},
                                                     {"--file", &options.file},
                                                     {"--how", &options.how}};
  const std::map<std::string, uint64_t*> numbers = {{"--seed", &options.seed},
                                                    {"--files", &options.files},
                                                    {"--size-bytes", &options.size_bytes},
                                                    {"--bytes", &options.bytes},
                                                    {"--operations", &options.operations}};
  for (int i = 2; i < argc; i += 2) {
    const std::string name = argv[i];
    if (i + 1 >= argc) usage();
    const char* value = argv[i + 1];
    if (const auto text = texts.find(name); text != texts.end()) {
      *text->second = value;
    } else if (const auto found = numbers.find(name); found != numbers.end()) {
      *found->second = number(value);
    } else if (name == "--threads") {
      options.threads = static_cast<unsigned>(number(value));
    } else if (name == "--seconds-max") {
      options.seconds_max = std::atof(value);
    } else if (name == "--check-all") {
      options.check_all = number(value) != 0;
    } else {
      usage();
    }
  }
  if (options.folder.empty() || options.threads == 0 || options.files == 0) usage();
  if (options.bytes == 0 || options.bytes % kPageBytes != 0) die("--bytes: a multiple of 4096");
  return options;
}

}  // namespace
}  // namespace bench

int main(int argc, char** argv) {
  const bench::Options options = bench::parse(argc, argv);
  for (const bench::Row& row : bench::kRows) {
    if (options.row != row.name) continue;
    const bench::Sample sample = row.run(options);
    std::printf(
        "{\"row\": \"%s\", \"value\": %.3f, \"unit\": \"%s\", \"seconds\": %.6f, \"operations\": "
        "%llu, "
        "\"threads\": %u, \"seed\": %llu}\n",
        row.name, sample.value, sample.unit, sample.seconds,
        static_cast<unsigned long long>(sample.operations), options.threads,
        static_cast<unsigned long long>(options.seed));
    return 0;
  }
  bench::usage();
}
