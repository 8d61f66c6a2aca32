// What SimFs does to names when the power is cut. Bytes: sim_fs_bytes_test.cc.
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>
#include <vector>

#include "sim/sim_fs.h"

namespace shoal::sim {
namespace {

constexpr uint64_t kSeeds = 300;

void create(LocalFs& fs, const Path& path, std::string_view text = {}) {
  auto file = fs.open(path, OpenMode::kCreate).value();
  file->write_at(0, as_bytes(text)).value();
  file->sync().value();
}

// All paths below `folder`, sorted; directories end in /.
void walk(LocalFs& fs, const Path& folder, std::vector<Path>* paths) {
  const auto names = fs.list(folder).value();
  for (const std::string& name : names) {
    const Path path = join(folder, name);
    if (fs.stat(path).value().is_directory) {
      paths->push_back(path + "/");
      walk(fs, path, paths);
    } else {
      paths->push_back(path);
    }
  }
}
std::string tree(LocalFs& fs) {
  std::vector<Path> paths;
  walk(fs, "/", &paths);
  std::string text;
  for (const Path& path : paths) text += (text.empty() ? "" : " ") + path;
  return text;
}

// Everything that cuts may leave, over many seeds, of what `act` did to a durable tree that
// `prepare` made.
template <typename Prepare, typename Act>
std::set<std::string> outcomes(Prepare prepare, Act act) {
  std::set<std::string> seen;
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    SimFs fs;
    prepare(fs);
    std::vector<Path> paths;
    walk(fs, "/", &paths);
    fs.sync_dir("/").value();
    for (const Path& path : paths) {
      if (path.back() == '/') fs.sync_dir(path).value();
    }
    act(fs);
    fs.cut_power(seed);
    seen.insert(tree(fs));
  }
  return seen;
}
using Outcomes = std::set<std::string>;

TEST(SimFsNames, a_file_created_but_not_dir_synced_may_vanish) {
  const auto seen =
      outcomes([](SimFs&) {}, [](SimFs& fs) { create(fs, "f", "synced bytes do not save it"); });
  EXPECT_EQ(seen, (Outcomes{"", "/f"}));
}

TEST(SimFsNames, a_dir_synced_name_never_vanishes_nor_do_the_bytes_synced_with_it) {
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    SimFs fs;
    create(fs, "f", "bytes");
    fs.sync_dir("/").value();
    fs.cut_power(seed);
    ASSERT_EQ(read_file(fs, "f", 100).value(), "bytes") << "seed " << seed;
  }
}

TEST(SimFsNames, a_name_may_survive_without_its_bytes) {
  std::set<std::string> seen;
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    SimFs fs;
    fs.open("f", OpenMode::kCreate).value()->write_at(0, as_bytes("x")).value();
    fs.sync_dir("/").value();
    fs.cut_power(seed);
    seen.insert(read_file(fs, "f", 100).value());
  }
  EXPECT_TRUE(seen.contains(""));
  EXPECT_TRUE(seen.contains("x"));
}

TEST(SimFsNames, rename_without_sync_dir_may_be_undone) {
  const auto seen = outcomes([](SimFs& fs) { create(fs, "old"); },
                             [](SimFs& fs) { fs.rename("old", "new").value(); });
  EXPECT_EQ(seen, (Outcomes{"/old", "/new"}));
}

TEST(SimFsNames, rename_over_a_file_without_syncing_the_new_bytes_may_leave_an_empty_file) {
  std::set<std::string> seen;
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    SimFs fs;
    create(fs, "f", "old");
    fs.sync_dir("/").value();
    fs.open("f.tmp", OpenMode::kCreate).value()->write_at(0, as_bytes("new")).value();
    fs.rename("f.tmp", "f").value();
    fs.cut_power(seed);
    seen.insert(read_file(fs, "f", 100).value());
  }
  EXPECT_TRUE(seen.contains("old"));
  EXPECT_TRUE(seen.contains("new"));
  EXPECT_TRUE(seen.contains(""));
}

TEST(SimFsNames, an_unsynced_remove_may_be_undone) {
  const auto seen =
      outcomes([](SimFs& fs) { create(fs, "f"); }, [](SimFs& fs) { fs.remove("f").value(); });
  EXPECT_EQ(seen, (Outcomes{"", "/f"}));
}

TEST(SimFsNames, of_one_directory_a_prefix_of_the_operations_survives) {
  const auto seen = outcomes([](SimFs&) {},
                             [](SimFs& fs) {
                               for (const char* name : {"3", "1", "2"}) create(fs, name);
                             });
  EXPECT_EQ(seen, (Outcomes{"", "/3", "/1 /3", "/1 /2 /3"}));
}

TEST(SimFsNames, directories_fare_independently_of_each_other) {
  const auto seen = outcomes(
      [](SimFs& fs) {
        fs.make_dir("a").value();
        fs.make_dir("b").value();
      },
      [](SimFs& fs) {
        create(fs, "a/1");
        create(fs, "b/2");
      });
  EXPECT_EQ(seen, (Outcomes{"/a/ /b/", "/a/ /a/1 /b/", "/a/ /b/ /b/2", "/a/ /a/1 /b/ /b/2"}));
}

TEST(SimFsNames, a_new_directory_needs_its_parent_synced) {
  const auto seen = outcomes([](SimFs&) {},
                             [](SimFs& fs) {
                               fs.make_dir("d").value();
                               create(fs, "d/f");
                               fs.sync_dir("d").value();
                             });
  EXPECT_EQ(seen, (Outcomes{"", "/d/ /d/f"}));
}

TEST(SimFsNames, a_rename_between_directories_is_done_or_not_and_nothing_between) {
  const auto prepare = [](SimFs& fs) {
    fs.make_dir("a").value();
    fs.make_dir("b").value();
    create(fs, "a/f");
  };
  const auto seen = outcomes(prepare, [](SimFs& fs) { fs.rename("a/f", "b/g").value(); });
  EXPECT_EQ(seen, (Outcomes{"/a/ /a/f /b/", "/a/ /b/ /b/g"}));
  for (const char* side : {"a", "b"}) {
    const auto synced = outcomes(prepare, [side](SimFs& fs) {
      fs.rename("a/f", "b/g").value();
      fs.sync_dir(side).value();
    });
    EXPECT_EQ(synced, (Outcomes{"/a/ /b/ /b/g"}));
  }
}

TEST(SimFsNames, a_file_linked_elsewhere_and_then_removed_keeps_a_name) {
  const auto prepare = [](SimFs& fs) {
    fs.make_dir("a").value();
    fs.make_dir("b").value();
    create(fs, "a/f");
  };
  const auto act = [](SimFs& fs) {
    fs.link("a/f", "b/g").value();
    fs.remove("a/f").value();
  };
  EXPECT_EQ(outcomes(prepare, act),
            (Outcomes{"/a/ /a/f /b/", "/a/ /a/f /b/ /b/g", "/a/ /b/ /b/g"}));
  // Syncing the remove makes the link durable.
  const auto synced = outcomes(prepare, [&](SimFs& fs) {
    act(fs);
    fs.sync_dir("a").value();
  });
  EXPECT_EQ(synced, (Outcomes{"/a/ /b/ /b/g"}));
}

TEST(SimFsNames,
     nothing_survives_behind_an_operation_of_its_directory_that_another_one_took_along) {
  const auto prepare = [](SimFs& fs) {
    fs.make_dir("a").value();
    fs.make_dir("b").value();
    create(fs, "a/f");
  };
  const auto seen = outcomes(prepare, [](SimFs& fs) {
    fs.link("a/f", "b/g").value();
    fs.remove("a/f").value();
    create(fs, "a/later");
  });
  EXPECT_EQ(seen, (Outcomes{"/a/ /a/f /b/", "/a/ /a/f /b/ /b/g", "/a/ /b/ /b/g",
                            "/a/ /a/later /b/ /b/g"}));
}

TEST(SimFsNames, a_file_moved_into_a_new_directory_is_not_lost_with_it) {
  const auto prepare = [](SimFs& fs) { create(fs, "f"); };
  const auto seen = outcomes(prepare, [](SimFs& fs) {
    fs.make_dir("d").value();
    fs.make_dir("d/e").value();
    fs.rename("f", "d/e/f").value();
  });
  EXPECT_EQ(seen, (Outcomes{"/f", "/d/ /f", "/d/ /d/e/ /f", "/d/ /d/e/ /d/e/f"}));
}

TEST(SimFsNames, a_file_moved_out_of_a_removed_directory_is_not_lost_with_it) {
  const auto prepare = [](SimFs& fs) {
    fs.make_dir("d").value();
    fs.make_dir("e").value();
    create(fs, "d/f");
  };
  const auto seen = outcomes(prepare, [](SimFs& fs) {
    fs.rename("d/f", "e/f").value();
    fs.remove_dir("d").value();
  });
  EXPECT_EQ(seen, (Outcomes{"/d/ /d/f /e/", "/d/ /e/ /e/f", "/e/ /e/f"}));
}

TEST(SimFsNames, moved_directories_never_end_up_inside_each_other) {
  const auto prepare = [](SimFs& fs) {
    for (const char* folder : {"a", "b", "a/x"}) fs.make_dir(folder).value();
    create(fs, "a/x/f");
  };
  const auto seen = outcomes(prepare, [](SimFs& fs) {
    fs.rename("a/x", "b/x").value();
    fs.rename("a", "b/x/a").value();
  });
  EXPECT_EQ(seen,
            (Outcomes{"/a/ /a/x/ /a/x/f /b/", "/a/ /b/ /b/x/ /b/x/f", "/b/ /b/x/ /b/x/a/ /b/x/f"}));
}

// Files that exist durably are moved, linked and unlinked at random, never without a name: each
// must still have one.
TEST(SimFsNames, what_was_durable_under_some_name_has_one_after_any_cut) {
  CutReport total;
  for (uint64_t seed = 0; seed < 1500; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    SeededRandom random(seed);
    SimFs fs;
    std::vector<Path> folders = {"/"};
    std::map<uint64_t, std::vector<Path>> names;  // of each file, by inode
    for (int i = 0; i < 3; ++i) {
      fs.make_dir("/d" + std::to_string(i)).value();
      folders.push_back("/d" + std::to_string(i));
    }
    for (int i = 0; i < 4; ++i) {
      const Path path = "/f" + std::to_string(i);
      create(fs, path, std::to_string(i));
      names[fs.stat(path).value().inode] = {path};
    }
    fs.sync_dir("/").value();
    const size_t files = names.size();

    for (int step = 0; step < 30; ++step) {
      const Path folder = folders[random.below(folders.size())];
      const Path fresh = join(folder, "n" + std::to_string(step));
      auto file = std::next(names.begin(), static_cast<ptrdiff_t>(random.below(names.size())));
      std::vector<Path>& own = file->second;
      const size_t which = random.below(own.size());
      switch (random.below(7)) {
        case 0:
          fs.make_dir(fresh).value();
          folders.push_back(fresh);
          break;
        case 1:
          fs.link(own[which], fresh).value();
          own.push_back(fresh);
          break;
        case 2:
        case 3:
          fs.rename(own[which], fresh).value();
          own[which] = fresh;
          break;
        case 4:
          if (own.size() == 1) break;
          fs.remove(own[which]).value();
          own.erase(own.begin() + static_cast<ptrdiff_t>(which));
          break;
        case 5:
          fs.sync_dir(folder).value();
          break;
        default: {  // move or remove a directory: paths change, so look again
          const Path victim = folders[random.below(folders.size())];
          if (victim == "/") break;
          if (!fs.remove_dir(victim).ok() && fs.rename(victim, fresh).code() != 0) break;
          std::vector<Path> paths;
          walk(fs, "/", &paths);
          folders = {"/"};
          for (auto& [inode, list] : names) list.clear();
          for (const Path& path : paths) {
            if (path.back() == '/') {
              folders.push_back(path.substr(0, path.size() - 1));
            } else {
              names[fs.stat(path).value().inode].push_back(path);
            }
          }
        }
      }
    }
    total += fs.cut_power(seed);
    std::vector<Path> paths;
    walk(fs, "/", &paths);
    std::set<uint64_t> found;
    for (const Path& path : paths) {
      if (path.back() != '/') found.insert(fs.stat(path).value().inode);
    }
    ASSERT_EQ(found.size(), files) << tree(fs);
  }
  EXPECT_GT(total.names_kept, 0u);
  EXPECT_GT(total.names_dropped, 0u);
}

TEST(SimFsNames, names_that_nobody_ever_syncs_are_written_back_in_the_end) {
  for (uint64_t seed = 0; seed < 8; ++seed) {
    SimFs fs;
    fs.make_dir("d").value();
    for (int i = 0; i < 8500; ++i) fs.open("d/" + std::to_string(i), OpenMode::kCreate).value();
    fs.cut_power(seed);
    EXPECT_TRUE(exists(fs, "d/0").value()) << "seed " << seed;
  }
}

// --- the conveniences of local_fs.h, at every instant ---

TEST(SimFsPower, write_file_atomically_leaves_the_old_or_the_new_and_once_done_the_new) {
  const std::string old_text(3000, 'o');
  const std::string new_text(5000, 'n');
  bool done = false;
  for (uint64_t n = 1; !done; ++n) {
    for (uint64_t seed = 0; seed < 100; ++seed) {
      SimFs fs;
      make_dirs(fs, "a/b").value();
      write_file_atomically(fs, "a/b/f", as_bytes(old_text)).value();
      fs.cut_after(n);
      done = write_file_atomically(fs, "a/b/f", as_bytes(new_text)).ok();
      fs.restore_power(seed);
      const std::string left = read_file(fs, "a/b/f", 1 << 20).value();
      ASSERT_TRUE(left == new_text || (!done && left == old_text))
          << "cut at " << n << " seed " << seed;
    }
  }
}

TEST(SimFsPower, make_dirs_is_durable_even_over_what_a_killed_process_left_unsynced) {
  for (uint64_t seed = 0; seed < 100; ++seed) {
    SimFs fs;
    fs.make_dir("a").value();  // and killed before sync_dir
    make_dirs(fs, "a/b/c").value();
    fs.cut_power(seed);
    ASSERT_EQ(tree(fs), "/a/ /a/b/ /a/b/c/") << "seed " << seed;
  }
}

}  // namespace
}  // namespace shoal::sim
