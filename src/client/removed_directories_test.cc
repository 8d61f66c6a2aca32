#include "client/removed_directories.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

namespace shoal::client {
namespace {

meta::Attr directory(Ino ino) {
  meta::Attr attr;
  attr.ino = ino;
  attr.mode = S_IFDIR | 0755;
  attr.nlink = 2;
  return attr;
}

TEST(RemovedDirectories, have_no_links_until_the_kernel_forgets_them) {
  RemovedDirectories removed;
  removed.add(directory(7));
  ASSERT_TRUE(removed.find(7).has_value());
  EXPECT_EQ(removed.find(7)->nlink, 0u);
  removed.forgotten(7);
  EXPECT_FALSE(removed.find(7).has_value());
}

TEST(RemovedDirectories, keep_no_files_and_a_bounded_number) {
  RemovedDirectories removed;
  meta::Attr file = directory(3);
  file.mode = S_IFREG | 0644;
  removed.add(file);
  EXPECT_EQ(removed.size(), 0u);
  for (Ino ino = 10; ino < 10 + RemovedDirectories::kMax + 5; ++ino) removed.add(directory(ino));
  EXPECT_EQ(removed.size(), RemovedDirectories::kMax);
  EXPECT_FALSE(removed.find(10).has_value());
}

}  // namespace
}  // namespace shoal::client
