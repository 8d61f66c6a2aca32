// Rows that change names only: rename, mkdir, unlink.
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>

#include "support.h"

namespace bench {
namespace {

// Runs body(file) for every file of the set, a folder per thread at a time.
template <typename Body>
Sample for_all(const Options& options, const FileSet& set, const char* unit, const Body& body) {
  std::atomic<uint64_t> next_folder = 0;
  const double seconds = run_threads(options.threads, [&](unsigned) {
    for (uint64_t i = next_folder++; i < set.folders; i = next_folder++) {
      for (uint64_t file = set.first_of(i); file < set.first_of(i + 1); ++file) body(i, file);
    }
  });
  return {static_cast<double>(set.files) / seconds, unit, seconds, set.files};
}

void expect_absent(const std::string& path) {
  struct stat st;
  if (::stat(path.c_str(), &st) == 0) die(path + " is still there");
  if (errno != ENOENT) die_errno("stat " + path);
}

}  // namespace

Sample rename_all(const Options& options) {
  const FileSet from(options);
  FileSet to = from;
  to.prefix = "r";
  const Sample sample = for_all(options, from, "renames/s", [&](uint64_t, uint64_t file) {
    if (std::rename(from.path(file).c_str(), to.path(file).c_str()) != 0)
      die_errno("rename " + from.path(file));
  });
  for (uint64_t file = 0; file < from.files; file += 97) {
    struct stat st;
    expect_absent(from.path(file));
    if (::stat(to.path(file).c_str(), &st) != 0) die_errno("stat " + to.path(file));
    if (st.st_size != static_cast<off_t>(options.size_bytes)) die(to.path(file) + ": wrong size");
  }
  return sample;
}

Sample make_folders(const Options& options) {
  Options own = options;
  own.set = "folders";
  const FileSet set(own);
  make_folder(set.root);
  for (uint64_t i = 0; i < set.folders; ++i) make_folder(set.folder(i));
  return for_all(options, set, "mkdirs/s", [&](uint64_t, uint64_t file) {
    if (::mkdir(set.path(file).c_str(), 0755) != 0) die_errno("mkdir " + set.path(file));
  });
}

Sample unlink_all(const Options& options) {
  const FileSet set(options);
  const Sample sample = for_all(options, set, "unlinks/s", [&](uint64_t, uint64_t file) {
    if (::unlink(set.path(file).c_str()) != 0) die_errno("unlink " + set.path(file));
  });
  // rmdir is the file system's own word that nothing was left.
  for (uint64_t i = 0; i < set.folders; ++i) {
    if (::rmdir(set.folder(i).c_str()) != 0) die_errno("rmdir " + set.folder(i));
  }
  return sample;
}

}  // namespace bench
