// Rows on one file: sequential and random reads and writes, overwrite and append with fsync.
#include <fcntl.h>
#include <sys/stat.h>

#include <atomic>

#include "support.h"

namespace bench {
namespace {

constexpr size_t kChunkBytes = 1 << 20;
constexpr size_t kRecordBytes = 200;  // of the append row

std::string path_of(const Options& options) { return options.folder + "/" + options.file; }

double megabytes_per_s(uint64_t bytes, double seconds) {
  return static_cast<double>(bytes) / 1e6 / seconds;
}

void check_versions(const Options& options, const Pattern& pattern,
                    const std::vector<uint64_t>& versions) {
  File in(path_of(options), O_RDONLY);
  Buffer page(kPageBytes);
  for (uint64_t i = 0; i < versions.size(); ++i) {
    const size_t got = in.read_at(page.span(), i * kPageBytes);
    if (got != kPageBytes) die(path_of(options) + ": short at page " + std::to_string(i));
    if (!pattern.matches(file_number(options.file), i, versions[i], page.span())) {
      die(path_of(options) + ": page " + std::to_string(i) + " is not what was written last");
    }
  }
}

// Overwrites random pages of a file that is there whole; fsync after each when `sync_each`, else
// once at the end.
Sample overwrite(const Options& options, bool sync_each) {
  Options prepare = options;
  sequential_write(prepare);
  const Pattern pattern(options.seed);
  const uint64_t pages = options.bytes / kPageBytes;
  std::vector<uint64_t> versions(pages, 0);
  Rng rng(options.seed);
  Buffer page(kPageBytes);
  File out(path_of(options), O_WRONLY);
  const Stopwatch watch;
  uint64_t done = 0;
  while (done < options.operations && watch.seconds() < options.seconds_max) {
    const uint64_t index = rng() % pages;
    pattern.fill(file_number(options.file), index, ++versions[index], page.span());
    out.write_at(page.span(), index * kPageBytes);
    if (sync_each) out.sync();
    ++done;
  }
  out.sync();
  const double seconds = watch.seconds();
  out.close();
  check_versions(options, pattern, versions);
  return {static_cast<double>(done) / seconds, sync_each ? "fsyncs/s" : "writes/s", seconds, done};
}

}  // namespace

Sample sequential_write(const Options& options) {
  const Pattern pattern(options.seed);
  const uint64_t file = file_number(options.file);
  Buffer chunk(kChunkBytes);
  const Stopwatch watch;
  File out(path_of(options), O_WRONLY | O_CREAT | O_TRUNC);
  for (uint64_t at = 0; at < options.bytes; at += kChunkBytes) {
    const std::span<std::byte> data =
        chunk.span().first(std::min<uint64_t>(kChunkBytes, options.bytes - at));
    pattern.fill_run(file, at / kPageBytes, data);
    out.write_at(data, at);
  }
  out.sync();
  out.close();
  const double seconds = watch.seconds();
  return {megabytes_per_s(options.bytes, seconds), "MB/s", seconds, options.bytes / kChunkBytes};
}

Sample sequential_read(const Options& options) {
  const Pattern pattern(options.seed);
  const uint64_t file = file_number(options.file);
  Buffer chunk(kChunkBytes);
  const Stopwatch watch;
  File in(path_of(options), O_RDONLY);
  uint64_t at = 0;
  while (const size_t got = in.read_at(chunk.span(), at)) {
    if (!pattern.run_matches(file, at / kPageBytes, chunk.span().first(got), options.check_all)) {
      die(path_of(options) + ": wrong bytes in the MiB at " + std::to_string(at));
    }
    at += got;
  }
  in.close();
  const double seconds = watch.seconds();
  if (at != options.bytes) die(path_of(options) + ": " + std::to_string(at) + " bytes");
  return {megabytes_per_s(at, seconds), "MB/s", seconds, options.bytes / kChunkBytes};
}

Sample random_read(const Options& options) {
  const Pattern pattern(options.seed);
  const uint64_t file = file_number(options.file);
  const uint64_t pages = options.bytes / kPageBytes;
  std::atomic<uint64_t> done = 0;
  const Stopwatch watch;
  const double seconds = run_threads(options.threads, [&](unsigned thread) {
    Rng rng(options.seed + 1000 * (thread + 1));
    File in(path_of(options), O_RDONLY);
    // Without this the kernel reads ahead after two pages that happen to lie together.
    if (::posix_fadvise(in.fd(), 0, 0, POSIX_FADV_RANDOM) != 0) die("fadvise " + path_of(options));
    Buffer page(kPageBytes);
    while (watch.seconds() < options.seconds_max && done.fetch_add(1) < options.operations) {
      const uint64_t index = rng() % pages;
      if (in.read_at(page.span(), index * kPageBytes) != kPageBytes)
        die(path_of(options) + ": short read");
      if (!pattern.matches(file, index, 0, page.span())) die(path_of(options) + ": wrong bytes");
    }
  });
  const uint64_t count = std::min(done.load(), options.operations);
  return {static_cast<double>(count) / seconds, "reads/s", seconds, count};
}

Sample random_write(const Options& options) { return overwrite(options, false); }

Sample overwrite_sync(const Options& options) { return overwrite(options, true); }

Sample append_sync(const Options& options) {
  const Pattern pattern(options.seed);
  const uint64_t file = file_number(options.file);
  Buffer record(kPageBytes);
  const std::span<std::byte> data = record.span().first(kRecordBytes);
  File out(path_of(options), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND);
  const Stopwatch watch;
  uint64_t done = 0;
  while (done < options.operations && watch.seconds() < options.seconds_max) {
    pattern.fill(file, done, 0, data);
    out.append(data);
    out.sync();
    ++done;
  }
  const double seconds = watch.seconds();
  out.close();
  File in(path_of(options), O_RDONLY);
  for (uint64_t i = 0; i < done; ++i) {
    if (in.read_at(data, i * kRecordBytes) != kRecordBytes)
      die(path_of(options) + ": a record is missing");
    if (!pattern.matches(file, i, 0, data)) die(path_of(options) + ": wrong record");
  }
  return {static_cast<double>(done) / seconds, "fsyncs/s", seconds, done};
}

}  // namespace bench
