// Where a dump goes and comes from: a file, or "-" for standard output and input.
#pragma once

#include <string>

#include "base/bytes.h"
#include "base/error.h"

namespace shoal::cmd {

inline constexpr const char* kStandardStream = "-";

// A file appears under its name when it is whole and safe; before, it is FILE.partial.
class DumpOutput {
 public:
  // EEXIST when the file is there, EINVAL when standard output is a terminal.
  static Result<DumpOutput> open(const std::string& file);
  DumpOutput(DumpOutput&& other) noexcept;
  DumpOutput& operator=(DumpOutput&&) = delete;
  ~DumpOutput();  // removes what was not finished

  Status write(ByteView bytes);
  Status finish();

 private:
  DumpOutput(int fd, std::string file) : fd_(fd), file_(std::move(file)) {}
  bool is_standard() const { return file_ == kStandardStream; }
  std::string partial() const { return file_ + ".partial"; }
  int fd_;
  std::string file_;
};

class DumpInput {
 public:
  static Result<DumpInput> open(const std::string& file);
  DumpInput(DumpInput&& other) noexcept;
  DumpInput& operator=(DumpInput&&) = delete;
  ~DumpInput();

  Result<size_t> read(MutableBytes into);  // 0: the end

 private:
  DumpInput(int fd, std::string file) : fd_(fd), file_(std::move(file)) {}
  int fd_;
  std::string file_;
};

}  // namespace shoal::cmd
