// A folder of its own for one test, removed at the end. For the tests of this folder.
#pragma once

#include <gtest/gtest.h>

#include "sys/local_fs.h"
#include "sys/random.h"

namespace shoal::engine {

class TestFolder {
 public:
  TestFolder() : path_(join(testing::TempDir(), "shoal-" + SystemRandom().uuid().to_string())) {
    make_dirs(fs_, path_).value();
  }
  ~TestFolder() { EXPECT_TRUE(remove_tree(fs_, path_).ok()); }
  TestFolder(const TestFolder&) = delete;
  TestFolder& operator=(const TestFolder&) = delete;

  RealFs& fs() { return fs_; }
  Path path(std::string_view name) const { return join(path_, name); }

 private:
  RealFs fs_;
  const Path path_;
};

}  // namespace shoal::engine
