// What SimFs does to the bytes of files when the power is cut. Names: sim_fs_names_test.cc.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "sim/sim_fs.h"
#include "sys/thread.h"

namespace shoal::sim {
namespace {

constexpr uint64_t kSeeds = 300;
constexpr size_t kSector = 512;

// A file system with an empty file "f" whose name is durable.
struct Disk {
  Disk() {
    fs.open("f", OpenMode::kCreate).value();
    fs.sync_dir("/").value();
  }
  std::unique_ptr<File> open(const Path& path = "f") {
    return fs.open(path, OpenMode::kReadWrite).value();
  }
  void write(uint64_t offset, std::string_view text) {
    open()->write_at(offset, as_bytes(text)).value();
  }
  void sync() { open()->sync_data().value(); }
  std::string content(const Path& path = "f") { return read_file(fs, path, 1 << 30).value(); }
  SimFs fs;
};

std::string sectors(std::string_view letters) {
  std::string text;
  for (const char letter : letters) text += std::string(kSector, letter);
  return text;
}
// The inverse: one letter a sector, '0' for zeros, '?' for a mixture.
std::string letters(std::string_view text) {
  std::string result;
  for (size_t at = 0; at < text.size(); at += kSector) {
    const std::string_view sector = text.substr(at, kSector);
    const char first = sector.front() == '\0' ? '0' : sector.front();
    result += sector.find_first_not_of(sector.front()) == std::string_view::npos ? first : '?';
  }
  return result;
}

// Everything that cuts may leave of what `act` did, over many seeds.
template <typename Act>
std::set<std::string> outcomes(Act act) {
  std::set<std::string> seen;
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    Disk disk;
    act(disk);
    disk.fs.cut_power(seed);
    seen.insert(letters(disk.content()));
  }
  return seen;
}

TEST(SimFsBytes, unsynced_write_may_be_lost_synced_never) {
  const auto seen = outcomes([](Disk& disk) {
    disk.write(0, sectors("aaaa"));
    disk.sync();
    disk.write(0, sectors("bb"));
  });
  // Dropped, kept, torn after the first sector, and the second without the first.
  EXPECT_EQ(seen, (std::set<std::string>{"aaaa", "bbaa", "baaa", "abaa"}));
}

TEST(SimFsBytes, each_kind_of_sync_is_enough) {
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    Disk disk;
    auto file = disk.open();
    file->write_at(0, as_bytes(sectors("ab"))).value();
    seed % 2 == 0 ? file->sync().value() : file->sync_data().value();
    file.reset();
    disk.fs.cut_power(seed);
    ASSERT_EQ(letters(disk.content()), "ab") << "seed " << seed;
  }
}

TEST(SimFsBytes, later_writes_may_survive_earlier_ones) {
  const auto seen = outcomes([](Disk& disk) {
    disk.write(0, sectors("--"));
    disk.sync();
    disk.write(0, sectors("1"));
    disk.write(kSector, sectors("2"));
  });
  EXPECT_EQ(seen, (std::set<std::string>{"--", "1-", "-2", "12"}));
}

TEST(SimFsBytes, of_two_writes_to_one_place_either_may_be_the_last_written_back) {
  const auto seen = outcomes([](Disk& disk) {
    disk.write(0, sectors("-"));
    disk.sync();
    disk.write(0, sectors("1"));
    disk.write(0, sectors("2"));
  });
  EXPECT_EQ(seen, (std::set<std::string>{"-", "1", "2"}));
}

TEST(SimFsBytes, a_sector_is_never_torn_and_never_lacks_what_was_written_to_it_before) {
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    Disk disk;
    disk.write(0, std::string(kSector, '-'));
    disk.sync();
    disk.write(0, std::string(100, '1'));
    disk.write(100, std::string(100, '2'));
    disk.fs.cut_power(seed);
    const std::string text = disk.content();
    const std::string rest(kSector - 200, '-');
    const std::set<std::string> legal = {std::string(200, '-') + rest,
                                         std::string(100, '1') + std::string(100, '-') + rest,
                                         std::string(100, '1') + std::string(100, '2') + rest};
    ASSERT_TRUE(legal.contains(text)) << "seed " << seed;
  }
}

TEST(SimFsBytes, a_size_may_survive_without_the_bytes_but_stale_bytes_never_appear) {
  const auto seen = outcomes([](Disk& disk) {
    disk.write(0, sectors("x"));
    disk.sync();
    disk.write(kSector, sectors("ab"));
  });
  EXPECT_TRUE(seen.contains("x"));
  EXPECT_TRUE(seen.contains("xab"));
  EXPECT_TRUE(seen.contains("x00"));
  EXPECT_TRUE(seen.contains("xa0"));
  for (const std::string& left : seen)
    EXPECT_EQ(left.find_first_not_of("xab0"), std::string::npos) << left;
}

TEST(SimFsBytes, an_unsynced_truncate_may_be_undone_and_what_was_written_behind_it_goes_with_it) {
  const auto seen = outcomes([](Disk& disk) {
    disk.write(0, sectors("abc"));
    disk.sync();
    disk.open()->truncate(kSector).value();
    disk.write(kSector, sectors("d"));
  });
  // Undone; done; regrown with and without the bytes.
  EXPECT_EQ(seen, (std::set<std::string>{"abc", "a", "a0", "ad"}));
}

TEST(SimFsBytes, an_unsynced_hole_may_be_full_again) {
  const auto seen = outcomes([](Disk& disk) {
    disk.write(0, std::string(8192, 'a'));
    disk.sync();
    disk.open()->punch(0, 4096).value();
  });
  EXPECT_EQ(seen, (std::set<std::string>{"aaaaaaaaaaaaaaaa", "00000000aaaaaaaa"}));
}

TEST(SimFsBytes, an_unsynced_allocation_may_be_undone_a_synced_one_never) {
  const auto unsynced = outcomes([](Disk& disk) { disk.open()->allocate(0, 2 * kSector).value(); });
  EXPECT_EQ(unsynced, (std::set<std::string>{"", "00"}));
  const auto synced = outcomes([](Disk& disk) {
    disk.open()->allocate(0, 2 * kSector).value();
    disk.sync();
    disk.write(kSector, sectors("a"));
  });
  EXPECT_EQ(synced, (std::set<std::string>{"00", "0a"}));
}

TEST(SimFsBytes, bytes_beyond_a_size_that_was_undone_never_come_back) {
  uint64_t undone = 0;
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    Disk disk;
    disk.write(0, sectors("a"));
    disk.sync();
    disk.write(100, std::string(5000, 'b'));
    disk.fs.cut_power(seed);
    auto file = disk.open();
    if (file->size().value() != kSector) continue;
    ++undone;
    EXPECT_LE(disk.fs.used_bytes(), 4096u);
    file->truncate(8192).value();
    ASSERT_EQ(disk.content().substr(kSector), std::string(8192 - kSector, '\0')) << "seed " << seed;
  }
  EXPECT_GT(undone, 0u);
}

TEST(SimFsBytes, files_fare_independently_of_each_other) {
  std::set<std::string> seen;
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    SimFs fs;
    for (const char* path : {"a", "b"})
      fs.open(path, OpenMode::kCreate).value()->write_at(0, as_bytes("x")).value();
    fs.sync_dir("/").value();
    fs.cut_power(seed);
    seen.insert(read_file(fs, "a", 9).value() + "/" + read_file(fs, "b", 9).value());
  }
  EXPECT_TRUE(seen.contains("x/"));
  EXPECT_TRUE(seen.contains("/x"));
  EXPECT_TRUE(seen.contains("x/x"));
  EXPECT_TRUE(seen.contains("/"));
}

// Random histories against an oracle that keeps the whole file after every step.
TEST(SimFsBytes, every_sector_left_is_a_version_it_had_since_the_sync) {
  constexpr uint64_t kSectors = 20;
  CutReport total;
  for (uint64_t seed = 0; seed < 2000; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    SeededRandom random(seed);
    Disk disk;
    auto file = disk.open();
    std::vector<std::string> history = {""};
    char letter = 'a';
    for (uint64_t step = 0; step < 12;
         ++step, letter = letter == 'z' ? 'a' : static_cast<char>(letter + 1)) {
      const uint64_t from = random.below(kSectors * kSector);
      const uint64_t sector = random.below(kSectors) * kSector;
      std::string now = history.back();
      switch (random.below(8)) {
        case 0:
          file->truncate(sector).value();
          now.resize(sector);
          break;
        case 1:
          file->punch(sector, 3 * kSector).value();
          for (uint64_t i = sector; i < std::min<uint64_t>(now.size(), sector + 3 * kSector); ++i)
            now[i] = '\0';
          break;
        case 2:
          file->allocate(sector, kSector).value();
          now.resize(std::max<size_t>(now.size(), sector + kSector));
          break;
        case 3:
          file->sync_data().value();
          history = {now};
          continue;
        default: {
          const std::string text(1 + random.below(5 * kSector), letter);
          file->write_at(from, as_bytes(text)).value();
          now.resize(std::max<size_t>(now.size(), from + text.size()));
          now.replace(from, text.size(), text);
        }
      }
      ASSERT_EQ(disk.content(), now);
      history.push_back(now);
    }
    total += disk.fs.cut_power(seed + 1'000'000);
    const std::string left = disk.content();
    ASSERT_TRUE(std::any_of(history.begin(), history.end(), [&](const std::string& version) {
      return version.size() == left.size();
    }));
    for (size_t at = 0; at < left.size(); at += kSector) {
      const std::string sector = left.substr(at, kSector);
      bool legal = sector == std::string(sector.size(), '\0');
      for (const std::string& version : history) {
        std::string then = at < version.size() ? version.substr(at, kSector) : "";
        then.resize(sector.size());
        legal = legal || sector == then;
      }
      ASSERT_TRUE(legal) << "sector " << at / kSector;
    }
  }
  EXPECT_GT(total.writes_kept, 0u);
  EXPECT_GT(total.writes_dropped, 0u);
  EXPECT_GT(total.writes_torn, 0u);
}

TEST(SimFsBytes, what_survived_a_cut_survives_the_next_one) {
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    Disk disk;
    disk.write(0, sectors("aaaa"));
    disk.fs.cut_power(seed);
    const std::string left = disk.content();
    disk.fs.cut_power(seed + 1);
    ASSERT_EQ(disk.content(), left) << "seed " << seed;
  }
}

TEST(SimFsBytes, lose_unsynced_is_a_cut_of_one_file_under_open_handles) {
  std::set<std::string> seen;
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    Disk disk;
    auto file = disk.open();
    file->write_at(0, as_bytes(sectors("a"))).value();
    file->sync_data().value();
    file->write_at(0, as_bytes(sectors("b"))).value();
    disk.fs.lose_unsynced("f", seed).value();
    seen.insert(letters(disk.content()));
    EXPECT_EQ(file->size().value(), kSector);
  }
  EXPECT_EQ(seen, (std::set<std::string>{"a", "b"}));
}

TEST(SimFsBytes, a_thousand_cuts_of_a_large_sparse_file) {
  Disk disk;
  std::string expected(64, '.');  // one letter for each MiB: the synced byte there
  disk.open()->truncate(64 << 20).value();
  disk.sync();
  SeededRandom random(1);
  for (uint64_t seed = 0; seed < 1000; ++seed) {
    const uint64_t place = random.below(64);
    const char letter = static_cast<char>('a' + seed % 26);
    auto file = disk.open();
    file->write_at(place << 20, as_bytes(std::string(5000, letter))).value();
    if (random.chance(50)) {
      file->sync_data().value();
      expected[place] = letter;
      disk.fs.cut_power(seed);
    } else {
      disk.fs.cut_power(seed);
      std::string left(1, '\0');
      disk.open()->read_at(place << 20, as_mutable_bytes(left)).value();
      expected[place] = left[0] == '\0' ? '.' : left[0];
    }
  }
  for (uint64_t place = 0; place < 64; ++place) {
    std::string left(1, '?');
    disk.open()->read_at(place << 20, as_mutable_bytes(left)).value();
    EXPECT_EQ(left[0] == '\0' ? '.' : left[0], expected[place]);
  }
  EXPECT_LE(disk.fs.used_bytes(), 64 * 8192u);
}

// --- the cut itself ---

TEST(SimFsCut, open_files_are_dead_and_locks_are_free_afterwards) {
  Disk disk;
  auto file = disk.open();
  auto lock = disk.fs.lock("f").value();
  disk.fs.cut_power(1);
  std::string text(1, '\0');
  EXPECT_EQ(file->read_at(0, as_mutable_bytes(text)).code(), EIO);
  EXPECT_EQ(file->write_at(0, as_bytes("x")).code(), EIO);
  EXPECT_EQ(file->sync_data().code(), EIO);
  EXPECT_EQ(file->size().code(), EIO);
  EXPECT_EQ(file->truncate(0).code(), EIO);
  auto again = disk.fs.lock("f").value();
  lock.reset();  // the dead one must not release the new one
  EXPECT_EQ(disk.fs.lock("f").code(), EWOULDBLOCK);
}

TEST(SimFsCut, from_the_nth_mutation_everything_fails_until_power_returns) {
  Disk disk;
  auto file = disk.open();
  const uint64_t before = disk.fs.mutations();
  disk.fs.cut_after(3);
  file->write_at(0, as_bytes("1")).value();
  file->sync_data().value();
  EXPECT_FALSE(disk.fs.power_is_cut());
  EXPECT_EQ(file->write_at(1, as_bytes("2")).code(), EIO);
  EXPECT_TRUE(disk.fs.power_is_cut());
  EXPECT_EQ(disk.fs.mutations() - before, 3u);
  std::string text(1, '\0');
  EXPECT_EQ(file->read_at(0, as_mutable_bytes(text)).code(), EIO);
  EXPECT_EQ(disk.fs.stat("f").code(), EIO);
  EXPECT_EQ(disk.fs.list("/").code(), EIO);
  EXPECT_EQ(disk.fs.open("f", OpenMode::kRead).code(), EIO);
  disk.fs.restore_power(1);
  EXPECT_EQ(disk.content().substr(0, 1), "1");
}

TEST(SimFsCut, the_mutation_in_flight_may_have_happened) {
  std::set<std::string> seen;
  for (uint64_t seed = 0; seed < 50; ++seed) {
    Disk disk;
    disk.fs.cut_after(1);
    EXPECT_EQ(disk.open()->write_at(0, as_bytes("x")).code(), EIO);
    disk.fs.restore_power(seed);
    seen.insert(disk.content());
  }
  EXPECT_TRUE(seen.contains(""));
  EXPECT_TRUE(seen.contains("x"));
}

TEST(SimFsCut, a_sync_in_flight_promises_nothing) {
  std::set<std::string> bytes;
  std::set<bool> names;
  for (uint64_t seed = 0; seed < 50; ++seed) {
    Disk disk;
    auto file = disk.open();
    file->write_at(0, as_bytes("x")).value();
    disk.fs.cut_after(1);
    EXPECT_EQ(file->sync().code(), EIO);
    disk.fs.restore_power(seed);
    bytes.insert(disk.content());

    disk.fs.open("new", OpenMode::kCreate).value();
    disk.fs.cut_after(1);
    EXPECT_EQ(disk.fs.sync_dir("/").code(), EIO);
    disk.fs.restore_power(seed);
    names.insert(exists(disk.fs, "new").value());
  }
  EXPECT_TRUE(bytes.contains("x"));
  EXPECT_TRUE(bytes.contains(""));
  EXPECT_EQ(names.size(), 2u);
}

TEST(SimFsCut, a_cut_called_off_never_comes) {
  Disk disk;
  disk.fs.cut_after(1);
  disk.fs.cut_after(0);
  disk.write(0, "x");
  EXPECT_FALSE(disk.fs.power_is_cut());
}

TEST(SimFsCut, one_seed_one_outcome) {
  const auto run = [](uint64_t seed) {
    SimFs fs;
    for (int i = 0; i < 40; ++i) {
      const Path folder = "d" + std::to_string(i % 4);
      fs.make_dir(folder).ignore("there after the first four");
      auto file = fs.open(folder + "/f" + std::to_string(i), OpenMode::kCreate).value();
      file->write_at(0, as_bytes(std::string(3000, static_cast<char>('a' + i % 26)))).value();
      if (i == 20) fs.sync_dir("/").value();
    }
    fs.cut_power(seed);
    std::string digest;
    const auto folders = fs.list("/").value();
    for (const std::string& folder : folders) {
      const auto names = fs.list(folder).value();
      for (const std::string& name : names) {
        digest +=
            join(folder, name) + "=" + read_file(fs, join(folder, name), 1 << 20).value() + "\n";
      }
    }
    return digest;
  };
  std::set<std::string> different;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const std::string first = run(seed);
    EXPECT_EQ(run(seed), first) << "seed " << seed;
    different.insert(first);
  }
  EXPECT_GT(different.size(), 10u);
}

TEST(SimFsCut, threads_keep_what_they_were_told_is_synced) {
  uint64_t acknowledged_in_all = 0;
  for (uint64_t seed = 0; seed < 40; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    constexpr int kThreads = 4;
    SimFs fs;
    for (int t = 0; t < kThreads; ++t) fs.open("f" + std::to_string(t), OpenMode::kCreate).value();
    fs.sync_dir("/").value();
    fs.cut_after(20 + SeededRandom(seed).below(200));
    uint64_t acknowledged[kThreads] = {};
    {
      std::vector<Thread> threads;
      for (int t = 0; t < kThreads; ++t) {
        threads.emplace_back("writer", [&, t] {
          auto file = fs.open("f" + std::to_string(t), OpenMode::kReadWrite);
          for (uint64_t n = 0; file.ok(); ++n) {
            const std::string record(100, static_cast<char>('a' + n % 26));
            if (!(*file)->write_at(n * 100, as_bytes(record)).ok() || !(*file)->sync_data().ok())
              return;
            acknowledged[t] = n + 1;
          }
        });
      }
    }
    fs.restore_power(seed);
    for (int t = 0; t < kThreads; ++t) {
      const std::string left = read_file(fs, "f" + std::to_string(t), 1 << 20).value();
      ASSERT_GE(left.size(), acknowledged[t] * 100);
      for (uint64_t n = 0; n < acknowledged[t]; ++n) {
        ASSERT_EQ(left.substr(n * 100, 100), std::string(100, static_cast<char>('a' + n % 26)));
      }
      acknowledged_in_all += acknowledged[t];
    }
  }
  EXPECT_GT(acknowledged_in_all, 0u);
}

// --- space ---

TEST(SimFsSpace, a_full_disk_takes_what_fits_and_says_ENOSPC) {
  SimFs fs(SimFs::Options{.capacity_bytes = 3 * 4096});
  auto file = fs.open("f", OpenMode::kCreate).value();
  EXPECT_EQ(file->write_at(0, as_bytes(std::string(5 * 4096, 'x'))).code(), ENOSPC);
  EXPECT_EQ(file->size().value(), 3 * 4096u);
  EXPECT_EQ(fs.space("/").value().available_bytes, 0u);
  file->write_at(100, as_bytes("overwriting needs no space")).value();
  EXPECT_EQ(file->allocate(0, 4 * 4096).code(), ENOSPC);
  EXPECT_EQ(file->size().value(), 3 * 4096u);
  fs.set_capacity(4 * 4096);
  file->write_at(3 * 4096, as_bytes("x")).value();
}

TEST(SimFsSpace, every_way_of_freeing_gives_space_back) {
  SimFs fs;
  const auto fill = [&](const Path& path) {
    auto file = fs.open(path, OpenMode::kCreate).value();
    file->write_at(0, as_bytes(std::string(4 * 4096, 'x'))).value();
    return file;
  };
  auto file = fill("f");
  EXPECT_EQ(fs.used_bytes(), 4 * 4096u);
  file->punch(0, 4096).value();
  EXPECT_EQ(fs.used_bytes(), 3 * 4096u);
  file->truncate(4096 + 1).value();
  EXPECT_EQ(fs.used_bytes(), 4096u);
  fs.link("f", "g").value();
  fs.remove("f").value();
  file.reset();
  EXPECT_EQ(fs.used_bytes(), 4096u);  // "g"
  fill("h");
  fs.rename("h", "g").value();  // replaces
  EXPECT_EQ(fs.used_bytes(), 4 * 4096u);
  file = fs.open("g", OpenMode::kReadWrite).value();
  fs.remove("g").value();
  EXPECT_EQ(fs.used_bytes(), 4 * 4096u);  // open
  file.reset();
  EXPECT_EQ(fs.used_bytes(), 0u);
}

TEST(SimFsSpace, is_counted_anew_after_a_cut) {
  for (uint64_t seed = 0; seed < 50; ++seed) {
    Disk disk;
    disk.write(0, std::string(3 * 4096, 'x'));
    disk.fs.open("new", OpenMode::kCreate)
        .value()
        ->write_at(0, as_bytes(std::string(4096, 'x')))
        .value();
    disk.fs.cut_power(seed);
    uint64_t counted = 0;
    const auto names = disk.fs.list("/").value();
    for (const std::string& name : names) counted += disk.fs.stat(name).value().allocated_bytes;
    EXPECT_EQ(disk.fs.used_bytes(), counted) << "seed " << seed;
  }
}

}  // namespace
}  // namespace shoal::sim
