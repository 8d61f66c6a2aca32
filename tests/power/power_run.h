// PowerRun: random work on the whole stack of one simulated machine whose power goes at random
// changes of its disk. After each cut the volume must open without help, and
//
//   names  are as after some prefix of the operations on names, at least up to the last fsync of a
//   directory and the
//          last change of the names of a file that was fsynced since;
//   files  are as after some prefix of their operations, at least up to their last fsync, and to
//   what they were when
//          they were renamed over another one, if that rename is there (I12); never an error;
//   fsck   finds nothing; and no epoch and no inode number recurs.
//
// A SIGKILL, now and then, loses nothing of the names, and of a file only what no close, truncate,
// punch or copy followed.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "forgetful_fs.h"
#include "world.h"

namespace shoal::power {

struct Tally {
  uint64_t cuts = 0;
  uint64_t cuts_in_start = 0;
  uint64_t cuts_that_lost =
      0;  // something acknowledged but not synced, so the cut could be told from none
  uint64_t kills = 0;
  uint64_t operations = 0;
  uint64_t fsyncs = 0;
  uint64_t files_verified = 0;
  uint64_t synced_files_verified = 0;  // that had to be found up to an fsync of the same life
  uint64_t replayed = 0;
  uint64_t segments_stored = 0;
  uint64_t large_segments = 0;  // of large writers
  std::set<std::string> syncs;  // kinds seen
};

class PowerRun {
 public:
  // `forget`: the kind of sync that is left out; empty: none.
  PowerRun(model::EngineKind engine, uint64_t seed, std::string forget, Tally& tally);
  // The first violation, if any.
  std::optional<std::string> run(int lives);

 private:
  using FileId = size_t;
  struct File {
    Ino ino = 0;  // 0: its creation was under way when the power went
    std::vector<std::string> states = {""};
    size_t power_floor = 0;
    size_t kill_floor = 0;
    bool synced_in_this_life = false;
    std::optional<client::HandleId> open;
    size_t named_at = 0;  // index of the last names that changed where it is
    const std::string& now() const { return states.back(); }
  };
  using Names = std::map<std::string, FileId>;  // path → file
  struct Bound {                                // holds if the names at `index` or later are found
    size_t index;
    FileId file;
    size_t state;
  };

  bool start();
  void life();
  void step();
  void end(bool power);
  void verify(bool power);
  std::map<std::string, Ino> observe();
  bool matches(const Names& names, const std::map<std::string, Ino>& observed) const;
  std::optional<size_t> find_names(const std::map<std::string, Ino>& observed, size_t floor) const;
  void verify_file(FileId id, const std::string& path, size_t floor);
  void settle(size_t found, const std::map<std::string, Ino>& observed, bool power);

  // --- operations ---
  void create();
  void unlink();
  void rename();
  void link();
  void write();
  void stream();   // goes on at the end of a file, as a large writer does
  void reshape();  // truncate, punch, zero
  void copy();
  void fsync();
  void fsync(FileId id);
  void fsync_dir();
  void close();
  void whole();

  // True: it went well and counts. False: the power went (or the test failed).
  bool done(const Status& status, std::string_view what);
  bool ended() const { return world_.disk.power_is_cut() || world_.process_ended(); }
  void fail(std::string what);
  const Names& names() const { return history_.back(); }
  void changed_names(Names names, std::initializer_list<FileId> files);
  std::string random_path();
  std::optional<std::pair<std::string, FileId>> random_file();
  std::pair<Ino, std::string> split(const std::string& path) const;
  std::optional<client::HandleId> handle_of(FileId id);
  void add_state(FileId id, std::string state) { files_[id].states.push_back(std::move(state)); }
  uint64_t below(uint64_t n) { return random_.below(n); }

  const uint64_t seed_;
  const std::string forget_;
  Tally& tally_;
  Mutex syncs_mutex_;
  sim::SeededRandom random_;
  model::World world_;
  std::vector<Ino> folders_;
  std::vector<File> files_;
  std::vector<Names> history_ = {{}};
  size_t names_floor_ = 0;
  uint64_t last_epoch_ = 0;
  std::set<Ino> inos_;  // ever handed out
  std::vector<Bound> bounds_;
  std::string failure_;
};

}  // namespace shoal::power
