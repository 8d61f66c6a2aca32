// A folder of its own on the real disk for one test, removed with everything in it at the end.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <cstdlib>
#include <string>
#include <string_view>

#include "base/check.h"
#include "sys/local_fs.h"

namespace shoal::sim {

class ScratchFolder {
 public:
  // Short, for the sake of sockets in it: their paths end at 107 bytes.
  ScratchFolder() {
    const char* const parent = std::getenv("TMPDIR");
    std::string pattern = join(parent != nullptr ? parent : "/tmp", "shoal-XXXXXX");
    CHECK(::mkdtemp(pattern.data()) != nullptr);
    path_ = pattern;
  }
  ~ScratchFolder() { EXPECT_TRUE(remove_tree(fs_, path_).ok()) << path_; }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;

  RealFs& fs() { return fs_; }
  const Path& path() const { return path_; }
  Path path(std::string_view name) const { return join(path_, name); }

 private:
  RealFs fs_;
  Path path_;
};

}  // namespace shoal::sim
