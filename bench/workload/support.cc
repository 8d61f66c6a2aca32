// See support.h.
#include "support.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <barrier>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>

namespace bench {
namespace {

// Large enough that pages differ, small enough to stay in the processor's cache while pages are
// compared.
constexpr size_t kPoolBytes = 256 * 1024;

uint64_t mixed(uint64_t x) {  // splitmix64's finalizer (Steele, Lea, Flood 2014)
  x += 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

}  // namespace

void die(const std::string& what) {
  std::fprintf(stderr, "bench_workload: %s\n", what.c_str());
  std::_Exit(1);  // other threads may be inside system calls
}

void die_errno(const std::string& what) { die(what + ": " + std::strerror(errno)); }

Pattern::Pattern(uint64_t seed) : seed_(seed), pool_(kPoolBytes) {
  for (size_t i = 0; i < kPoolBytes; i += sizeof(uint64_t)) {
    const uint64_t word = mixed(mixed(seed) + i);
    std::memcpy(&pool_[i], &word, sizeof word);
  }
}

uint64_t Pattern::tag(uint64_t file, uint64_t page_index, uint64_t version) const {
  return mixed(mixed(mixed(seed_ ^ file) + page_index) + version);
}

void Pattern::fill(uint64_t file, uint64_t page_index, uint64_t version,
                   std::span<std::byte> page) const {
  const uint64_t word = tag(file, page_index, version);
  const size_t head = std::min(sizeof word, page.size());
  std::memcpy(page.data(), &word, head);
  std::memcpy(page.data() + head, &pool_[word % (kPoolBytes - kPageBytes)], page.size() - head);
}

bool Pattern::matches(uint64_t file, uint64_t page_index, uint64_t version,
                      std::span<const std::byte> page) const {
  const uint64_t word = tag(file, page_index, version);
  const size_t head = std::min(sizeof word, page.size());
  return std::memcmp(page.data(), &word, head) == 0 &&
         std::memcmp(page.data() + head, &pool_[word % (kPoolBytes - kPageBytes)],
                     page.size() - head) == 0;
}

bool Pattern::begins_like(uint64_t file, uint64_t page_index, uint64_t version,
                          std::span<const std::byte> page) const {
  const uint64_t word = tag(file, page_index, version);
  return std::memcmp(page.data(), &word, std::min(sizeof word, page.size())) == 0;
}

void Pattern::fill_run(uint64_t file, uint64_t page_index, std::span<std::byte> run) const {
  for (size_t at = 0; at < run.size(); at += kPageBytes, ++page_index) {
    fill(file, page_index, 0, run.subspan(at, std::min(kPageBytes, run.size() - at)));
  }
}

bool Pattern::run_matches(uint64_t file, uint64_t page_index, std::span<const std::byte> run,
                          bool check_all) const {
  for (size_t at = 0; at < run.size(); at += kPageBytes, ++page_index) {
    const std::span<const std::byte> page = run.subspan(at, std::min(kPageBytes, run.size() - at));
    const bool whole = check_all || page_index % 16 == 0;
    if (!(whole ? matches(file, page_index, 0, page) : begins_like(file, page_index, 0, page)))
      return false;
  }
  return true;
}

uint64_t file_number(const std::string& name) {
  uint64_t number = 0;
  for (const char c : name) number = mixed(number + static_cast<unsigned char>(c));
  return number;
}

double run_threads(unsigned threads, const std::function<void(unsigned)>& body) {
  // The clock starts in the barrier's own step, before anybody is let go: after it this thread may
  // not run for long.
  std::chrono::steady_clock::time_point begun;
  std::barrier start(threads, [&]() noexcept { begun = std::chrono::steady_clock::now(); });
  std::vector<std::thread> running;
  running.reserve(threads);
  for (unsigned t = 0; t < threads; ++t) {
    running.emplace_back([&, t] {
      start.arrive_and_wait();
      body(t);
    });
  }
  for (std::thread& thread : running) thread.join();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
}

File::File(const std::string& path, int flags)
    : path_(path), fd_(::open(path.c_str(), flags | O_CLOEXEC, 0644)) {
  if (fd_ < 0) die_errno("open " + path);
}

File::~File() {
  if (fd_ >= 0) ::close(fd_);
}

void File::close() {
  const int fd = fd_;
  fd_ = -1;
  if (::close(fd) != 0) die_errno("close " + path_);
}

void File::sync() {
  if (::fsync(fd_) != 0) die_errno("fsync " + path_);
}

void File::write_at(std::span<const std::byte> data, uint64_t at) {
  const ssize_t done = ::pwrite(fd_, data.data(), data.size(), static_cast<off_t>(at));
  if (done < 0) die_errno("write " + path_);
  if (static_cast<size_t>(done) != data.size()) die("write " + path_ + ": short");
}

void File::append(std::span<const std::byte> data) {
  const ssize_t done = ::write(fd_, data.data(), data.size());
  if (done < 0) die_errno("append " + path_);
  if (static_cast<size_t>(done) != data.size()) die("append " + path_ + ": short");
}

size_t File::read_at(std::span<std::byte> buffer, uint64_t at) {
  size_t done = 0;
  while (done < buffer.size()) {
    const ssize_t got =
        ::pread(fd_, buffer.data() + done, buffer.size() - done, static_cast<off_t>(at + done));
    if (got < 0) die_errno("read " + path_);
    if (got == 0) break;
    done += static_cast<size_t>(got);
  }
  return done;
}

Buffer::Buffer(size_t bytes)
    : data_(static_cast<std::byte*>(std::aligned_alloc(kPageBytes, bytes))), bytes_(bytes) {
  if (data_ == nullptr) die("out of memory");
  std::memset(data_, 0, bytes_);
}

Buffer::~Buffer() { std::free(data_); }

void make_folder(const std::string& path) {
  if (::mkdir(path.c_str(), 0755) != 0 && errno != EEXIST) die_errno("mkdir " + path);
}

}  // namespace bench
