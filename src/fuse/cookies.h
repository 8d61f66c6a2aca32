// Directory cookies: the numbers (d_off) from which the kernel lets a listing go on.
//
// A cookie belongs to the directory inode, not to a handle: all handles share one table until the
// kernel forgets the inode. Names are listed in the order of their bytes, so a listing goes on
// "behind a name"; but names do not fit into a number, and keeping a million of them is not wanted.
// So the table keeps *runs*: up to kRunNames names that were listed one behind the other, as
//     start   the name before the run ("" = the first of the directory)
//     hashes  32 bits of each name of the run, all different
//     last    the run's last name
// A cookie is (run, index): "behind the index-th name of that run". About 6 bytes a name.
//
// Invariant: going on at (run, i) lists every name of run[i+1 …] that is still there and none of
// run[0 … i], whatever was removed or added meanwhile. For the names now between `start` and `last`
// are scanned in order: the last one whose hash is among run[0 … i], ahead of the first whose hash
// is among run[i+1 …], is where the listing goes on; when there is none, `start` is. Names made
// after the run was listed match no hash and may be listed or not (POSIX leaves it open). Runs
// never change but by growth at their end, so what was handed out stays right; a directory that
// changed is recorded in new runs from the first difference to the next old boundary.
//
// Thread-safe.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/error.h"
#include "base/ids.h"
#include "sys/mutex.h"

namespace shoal::fuse {

inline constexpr uint64_t kCookieStart = 0;   // ahead of "."
inline constexpr uint64_t kCookieDot = 1;     // behind "."
inline constexpr uint64_t kCookieDotDot = 2;  // behind "..": ahead of the first name

class CookieTable {
 public:
  static constexpr size_t kRunNames = 64;
  static constexpr size_t kNamesMax = 16 << 20;  // recorded in one table; the oldest runs go first

  // Names behind `after`, at most `limit`, and whether there are more.
  struct Names {
    std::vector<std::string> names;
    bool more = false;
  };
  using List = std::function<Result<Names>(std::string_view after, size_t limit)>;

  // The name behind which a listing goes on. ESTALE: a cookie that was never handed out or was
  // dropped.
  Result<std::string> resume(uint64_t cookie, const List& list);

  // Cookies for `names`, which were listed right behind `previous_name`, whose cookie is `previous`
  // (kCookieDotDot and "" at the start).
  std::vector<uint64_t> assign(uint64_t previous, std::string_view previous_name,
                               const std::vector<std::string_view>& names);

  // Forgets what no open handle can hold when much of it was superseded. REQUIRES: no handle is
  // open.
  void trim();

  size_t recorded_names() const;

 private:
  struct Run {
    std::string start;
    std::string last;
    std::vector<uint32_t> hashes;
  };
  struct Recent {
    uint64_t cookie = 0;
    std::string name;
  };
  static constexpr size_t kRecent = 16;

  Run* run(uint64_t id) REQUIRES(mutex_);
  uint64_t assign_one(uint64_t previous, std::string_view previous_name, std::string_view name)
      REQUIRES(mutex_);
  uint64_t new_run(std::string_view start, std::string_view name, uint32_t hash) REQUIRES(mutex_);
  void drop_oldest() REQUIRES(mutex_);

  mutable Mutex mutex_;
  uint64_t first_id_ GUARDED_BY(mutex_) = 1;  // of runs_.front()
  std::deque<Run> runs_ GUARDED_BY(mutex_);
  std::unordered_map<std::string, uint64_t> by_start_
      GUARDED_BY(mutex_);  // the newest run behind a name
  size_t recorded_ GUARDED_BY(mutex_) = 0;
  size_t pass_ GUARDED_BY(mutex_) = 0;  // names assigned since a listing last began
  size_t longest_pass_ GUARDED_BY(mutex_) = 0;
  // Where replies ended: what a listing goes on from nearly always, without a scan.
  std::vector<Recent> recent_ GUARDED_BY(mutex_);
  size_t recent_next_ GUARDED_BY(mutex_) = 0;
};

// The tables of all directories.
class CookieTables {
 public:
  void opened(Ino ino);
  void closed(Ino ino);
  void forgotten(Ino ino);  // the table goes, at the latest when the last handle is closed
  // Shared with listings under way when the inode is forgotten.
  std::shared_ptr<CookieTable> table(Ino ino);
  size_t size() const;

 private:
  struct Directory {
    std::shared_ptr<CookieTable> table = std::make_shared<CookieTable>();
    uint64_t handles = 0;
    bool forgotten = false;
  };
  mutable Mutex mutex_;
  std::unordered_map<Ino, Directory> directories_ GUARDED_BY(mutex_);
};

}  // namespace shoal::fuse
