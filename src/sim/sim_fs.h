// SimFs: a file system in memory whose power can be cut. For tests that what was synced survives,
// and that nothing relies on what was not.
//
//   SimFs fs;
//   …write, sync…
//   fs.cut_power(seed);  // every open File now answers EIO; what survived goes on
//   …open again, look…
//
// or, with threads at work, cut_after(n), join them, restore_power(seed).
//
// What survives a cut
//
//   Bytes: everything before the last completed sync of the file. Of what came later any mixture in
//   units of 512-byte sectors; see sim_content.h.
//
//   Names: everything before the last completed sync_dir of the directory. Of the later creates,
//   renames, removes and links a prefix per directory, the directories independent of each other,
//   except that
//
//   - a rename is atomic, also between directories: both halves or none (ext4, xfs and btrfs log it
//     as one);
//   - a name never goes while another, given to the file before in another directory, is lost; and
//     a rename or link into a new directory never survives without that directory: what was durable
//     under some name has one afterwards;
//   - a removed or replaced directory was empty.
//
//   So sync_dir of one side of a rename makes both sides durable, with what came before in either
//   directory. But neither syncing a file nor syncing a directory makes its own name durable in its
//   parent: a new file or directory may vanish, synced bytes and all. ext4 and xfs often promise
//   more (one log for everything); POSIX does not.
//
//   A rename over a file does not wait for the new bytes (ext4's auto_da_alloc): the name may show
//   an empty file.
//
//   Locks are released. Modification times are those of the last change, kept or not.
//
// Reading sees every write at once, as through the page cache. What nobody ever syncs is written
// back, and then survives: a file's changes when they exceed 128 MiB or 64 Ki, the older half of
// the names when more than 8 Ki wait.
//
// Thread-safe; calls are serialized. The same calls in the same order with the same seed leave the
// same state. Files and locks may outlive the SimFs. No symbolic links, no permissions.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "sim/sim_content.h"
#include "sys/clock.h"
#include "sys/local_fs.h"

namespace shoal::sim {

class SimFs final : public LocalFs {
 public:
  struct Options {
    // Counted in 4 KiB pages of file content; beyond it ENOSPC, after what still fitted was
    // written.
    uint64_t capacity_bytes = uint64_t{1} << 40;
    // Stamps files. Not owned. nullptr: the number of the change serves as the second.
    const Clock* clock = nullptr;
  };

  SimFs();
  explicit SimFs(Options options);
  ~SimFs() override;

  Result<std::unique_ptr<File>> open(const Path& path, OpenMode mode) override;
  Status make_dir(const Path& path) override;
  Status remove(const Path& path) override;
  Status remove_dir(const Path& path) override;
  Status rename(const Path& from, const Path& to) override;
  Status link(const Path& from, const Path& to) override;
  Result<std::vector<std::string>> list(const Path& folder) override;
  Result<FileInfo> stat(const Path& path) override;
  Status sync_dir(const Path& folder) override;
  Result<DiskSpace> space(const Path& path) override;
  Result<std::unique_ptr<FileLock>> lock(const Path& path) override;

  // Cuts the power now and restores it. Every File and FileLock from before is dead: EIO.
  CutReport cut_power(uint64_t seed);

  // The n-th mutation from now (1: the next) is in flight when the power goes: it fails with EIO
  // but may leave its effect, and every later call of any kind fails with EIO until
  // restore_power(). 0: never mind, no cut.
  void cut_after(uint64_t n);
  bool power_is_cut() const;
  CutReport restore_power(uint64_t seed);

  // Calls so far that change what is stored or what survives: creates, writes, truncates,
  // allocates, punches, syncs, and every change and sync of names. A test counts a run first, then
  // cuts at each.
  uint64_t mutations() const;

  // As when the kernel could not write a file back: what of it is not synced is kept, dropped or
  // torn as in a cut, now and visibly, while names, handles and all other files stay. Pair it with
  // a FaultyFs that fails the sync.
  Status lose_unsynced(const Path& path, uint64_t seed);

  // Lets a test fill the disk and free it. Below what is used: nothing more fits.
  void set_capacity(uint64_t bytes);
  uint64_t used_bytes() const;

  struct State;  // private to sim_fs.cc

 private:
  const std::shared_ptr<State>
      state_;  // shared with open Files and FileLocks, which may outlive this
};

}  // namespace shoal::sim
