// What every row of the workload needs: its options, contents that can be checked, threads, a
// stopwatch.
//
// The workload knows nothing of Shoal: it sees a folder, does what a program would do there, checks
// every byte it reads against what it must have written, and prints one JSON line. Anything
// unexpected ends the process with a message and exit 1: a row that read wrong bytes has no speed.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <random>
#include <span>
#include <string>
#include <vector>

namespace bench {

inline constexpr size_t kPageBytes = 4096;

struct Options {
  std::string row;
  std::string folder;
  uint64_t seed = 1;
  unsigned threads = 8;
  uint64_t files = 10'000;       // of a set of small files
  uint64_t size_bytes = 4096;    // of each of them
  std::string set = "small";     // the folder of that set, below `folder`
  std::string prefix = "f";      // of its names; rename turns f into r
  std::string file = "big.dat";  // of the rows on one file
  uint64_t bytes = 1ull << 30;   // of that file
  uint64_t operations = 10'000;  // at most, over all threads
  double seconds_max = 10;       // of a row bounded by operations
  std::string how = "ordered";   // pieces: ordered, direct, mmap
  bool check_all = false;  // sequential reads: compare whole pages, not each page's first bytes
};

struct Sample {
  double value = 0;
  const char* unit = "";
  double seconds = 0;
  uint64_t operations = 0;
};

// Prints the message and ends the process.
[[noreturn]] void die(const std::string& what);
// Prints "what: strerror(errno)" and ends the process.
[[noreturn]] void die_errno(const std::string& what);

class Stopwatch {
 public:
  double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

using Rng = std::mt19937_64;

// Contents by (seed, file, page, version): any page can be checked alone, none can be taken for
// another or for an older version of itself. Immutable after construction; safe from many threads.
class Pattern {
 public:
  explicit Pattern(uint64_t seed);

  // Fills `page` (≤ kPageBytes; a file's last page may be short).
  void fill(uint64_t file, uint64_t page_index, uint64_t version, std::span<std::byte> page) const;
  bool matches(uint64_t file, uint64_t page_index, uint64_t version,
               std::span<const std::byte> page) const;
  // Compares the first bytes only: says whose page it is, at a cost that does not hide a fast read.
  bool begins_like(uint64_t file, uint64_t page_index, uint64_t version,
                   std::span<const std::byte> page) const;

  // Version 0 of whole pages from `page_index` on.
  void fill_run(uint64_t file, uint64_t page_index, std::span<std::byte> run) const;
  bool run_matches(uint64_t file, uint64_t page_index, std::span<const std::byte> run,
                   bool check_all) const;

 private:
  uint64_t tag(uint64_t file, uint64_t page_index, uint64_t version) const;

  uint64_t seed_;
  std::vector<std::byte> pool_;
};

// A number for a file's name, the `file` of Pattern.
uint64_t file_number(const std::string& name);

// Runs body(thread) on `threads` threads, all let go at once; returns the seconds until the last
// ended.
double run_threads(unsigned threads, const std::function<void(unsigned)>& body);

// A descriptor that ends with its scope; close() reports what close(2) said, as a file system may
// fail there.
class File {
 public:
  File(const std::string& path, int flags);
  ~File();
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  void close();
  void sync();
  void write_at(std::span<const std::byte> data, uint64_t at);
  void append(std::span<const std::byte> data);
  // Reads until `buffer` is full or the file ends; returns the bytes read.
  size_t read_at(std::span<std::byte> buffer, uint64_t at);
  int fd() const { return fd_; }

 private:
  std::string path_;
  int fd_;
};

// Page-aligned memory, as O_DIRECT wants it.
class Buffer {
 public:
  explicit Buffer(size_t bytes);
  ~Buffer();
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  std::span<std::byte> span() { return {data_, bytes_}; }

 private:
  std::byte* data_;
  size_t bytes_;
};

void make_folder(const std::string& path);  // an existing one is fine

// The rows, by file.
Sample create(const Options&);  // files.cc
Sample stat_all(const Options&);
Sample list(const Options&);
Sample read_files(const Options&);
Sample read_megabytes(const Options&);
Sample rename_all(const Options&);  // names.cc
Sample make_folders(const Options&);
Sample unlink_all(const Options&);
Sample sequential_write(const Options&);  // one_file.cc
Sample sequential_read(const Options&);
Sample random_read(const Options&);
Sample random_write(const Options&);
Sample overwrite_sync(const Options&);
Sample append_sync(const Options&);
Sample write_pieces(const Options&);  // pieces.cc

// Small files: `files` of them in folders of at most 1,000, always a multiple of 8 folders so that
// threads share alike.
struct FileSet {
  explicit FileSet(const Options& options);
  std::string folder(uint64_t index) const;
  std::string path(uint64_t file) const;
  uint64_t first_of(uint64_t folder_index) const;  // file number; first_of(folders) == files

  std::string root;
  std::string prefix;
  uint64_t files;
  uint64_t folders;
};

}  // namespace bench
