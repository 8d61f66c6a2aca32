// One file written in pieces of 4 KiB: in order, or in random order by O_DIRECT or through a shared
// mapping. What matters comes after: how fast sequential_read reads it back.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <numeric>

#include "support.h"

namespace bench {
namespace {

// A mapping written back only at the end would reach the file system in order; so it is synced
// every few pieces.
constexpr uint64_t kPiecesPerSync = 64;

void write_mapped(const Options& options, const Pattern& pattern,
                  const std::vector<uint64_t>& order) {
  const std::string path = options.folder + "/" + options.file;
  File out(path, O_RDWR | O_CREAT | O_TRUNC);
  if (::ftruncate(out.fd(), static_cast<off_t>(options.bytes)) != 0) die_errno("ftruncate " + path);
  void* map = ::mmap(nullptr, options.bytes, PROT_READ | PROT_WRITE, MAP_SHARED, out.fd(), 0);
  if (map == MAP_FAILED) die_errno("mmap " + path);
  const std::span<std::byte> bytes(static_cast<std::byte*>(map), options.bytes);
  uint64_t done = 0;
  for (const uint64_t page : order) {
    pattern.fill(file_number(options.file), page, 0, bytes.subspan(page * kPageBytes, kPageBytes));
    if (++done % kPiecesPerSync == 0 && ::msync(map, options.bytes, MS_SYNC) != 0)
      die_errno("msync " + path);
  }
  if (::munmap(map, options.bytes) != 0) die_errno("munmap " + path);
  out.sync();
  out.close();
}

void write_by_calls(const Options& options, const Pattern& pattern,
                    const std::vector<uint64_t>& order, int flags) {
  Buffer page(kPageBytes);
  File out(options.folder + "/" + options.file, O_WRONLY | O_CREAT | O_TRUNC | flags);
  for (const uint64_t index : order) {
    pattern.fill(file_number(options.file), index, 0, page.span());
    out.write_at(page.span(), index * kPageBytes);
  }
  out.sync();
  out.close();
}

}  // namespace

Sample write_pieces(const Options& options) {
  const Pattern pattern(options.seed);
  std::vector<uint64_t> order(options.bytes / kPageBytes);
  std::iota(order.begin(), order.end(), 0);
  Rng rng(options.seed);
  if (options.how != "ordered") std::shuffle(order.begin(), order.end(), rng);
  const Stopwatch watch;
  if (options.how == "mmap") {
    write_mapped(options, pattern, order);
  } else if (options.how == "direct") {
    write_by_calls(options, pattern, order, O_DIRECT);
  } else if (options.how == "ordered") {
    write_by_calls(options, pattern, order, 0);
  } else {
    die("--how is ordered, direct or mmap");
  }
  const double seconds = watch.seconds();
  return {static_cast<double>(options.bytes) / 1e6 / seconds, "MB/s", seconds, order.size()};
}

}  // namespace bench
