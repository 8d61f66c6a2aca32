// Rows on many small files: create, stat, list, read.
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <numeric>

#include "support.h"

namespace bench {

FileSet::FileSet(const Options& options)
    : root(options.folder + "/" + options.set),
      prefix(options.prefix),
      files(options.files),
      folders(8 * ((options.files + 7'999) / 8'000)) {}

std::string FileSet::folder(uint64_t index) const { return root + "/d" + std::to_string(index); }

uint64_t FileSet::first_of(uint64_t folder_index) const { return files * folder_index / folders; }

std::string FileSet::path(uint64_t file) const {
  // The inverse of first_of: the last folder that begins at or before `file`.
  uint64_t index = file * folders / files;
  while (index + 1 < folders && first_of(index + 1) <= file) ++index;
  return folder(index) + "/" + prefix + std::to_string(file);
}

Sample create(const Options& options) {
  const FileSet set(options);
  const Pattern pattern(options.seed);
  make_folder(set.root);
  for (uint64_t i = 0; i < set.folders; ++i) make_folder(set.folder(i));
  std::atomic<uint64_t> next_folder = 0;
  const double seconds = run_threads(options.threads, [&](unsigned) {
    std::vector<std::byte> data(options.size_bytes);
    for (uint64_t i = next_folder++; i < set.folders; i = next_folder++) {
      for (uint64_t file = set.first_of(i); file < set.first_of(i + 1); ++file) {
        pattern.fill_run(file, 0, data);
        File out(set.path(file), O_WRONLY | O_CREAT | O_EXCL);
        out.append(data);
        out.close();
      }
    }
  });
  return {static_cast<double>(set.files) / seconds, "files/s", seconds, set.files};
}

Sample stat_all(const Options& options) {
  const FileSet set(options);
  std::atomic<uint64_t> next_folder = 0;
  const double seconds = run_threads(options.threads, [&](unsigned) {
    for (uint64_t i = next_folder++; i < set.folders; i = next_folder++) {
      for (uint64_t file = set.first_of(i); file < set.first_of(i + 1); ++file) {
        struct stat st;
        const std::string path = set.path(file);
        if (::stat(path.c_str(), &st) != 0) die_errno("stat " + path);
        if (st.st_size != static_cast<off_t>(options.size_bytes)) die(path + ": wrong size");
      }
    }
  });
  return {static_cast<double>(set.files) / seconds, "stats/s", seconds, set.files};
}

// What `ls -l` does, folder after folder, on one thread.
Sample list(const Options& options) {
  const FileSet set(options);
  const Stopwatch watch;
  uint64_t entries = 0;
  for (uint64_t i = 0; i < set.folders; ++i) {
    const std::string path = set.folder(i);
    DIR* folder = ::opendir(path.c_str());
    if (folder == nullptr) die_errno("opendir " + path);
    while (const dirent* entry = ::readdir(folder)) {
      if (entry->d_name[0] == '.') continue;
      struct stat st;
      if (::fstatat(::dirfd(folder), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
        die_errno("stat " + path + "/" + entry->d_name);
      }
      if (st.st_size != static_cast<off_t>(options.size_bytes)) {
        die(path + "/" + entry->d_name + ": wrong size");
      }
      ++entries;
    }
    ::closedir(folder);
  }
  const double seconds = watch.seconds();
  if (entries != set.files)
    die("listed " + std::to_string(entries) + " of " + std::to_string(set.files));
  return {static_cast<double>(entries) / seconds, "entries/s", seconds, entries};
}

Sample read_files(const Options& options) {
  const FileSet set(options);
  const Pattern pattern(options.seed);
  std::vector<uint64_t> order(set.files);
  std::iota(order.begin(), order.end(), 0);
  Rng rng(options.seed ^ 0x5eed);
  std::shuffle(order.begin(), order.end(), rng);
  std::atomic<uint64_t> next = 0;
  const double seconds = run_threads(options.threads, [&](unsigned) {
    std::vector<std::byte> data(options.size_bytes + 1);  // one more: a file that is too long shows
    for (uint64_t i = next++; i < order.size(); i = next++) {
      const std::string path = set.path(order[i]);
      File in(path, O_RDONLY);
      const size_t got = in.read_at(data, 0);
      if (got != options.size_bytes) die(path + ": " + std::to_string(got) + " bytes");
      if (!pattern.run_matches(order[i], 0, std::span(data).first(got), true))
        die(path + ": wrong bytes");
      in.close();
    }
  });
  return {static_cast<double>(set.files) / seconds, "files/s", seconds, set.files};
}

Sample read_megabytes(const Options& options) {
  Sample sample = read_files(options);
  sample.value = static_cast<double>(options.files * options.size_bytes) / 1e6 / sample.seconds;
  sample.unit = "MB/s";
  return sample;
}

}  // namespace bench
