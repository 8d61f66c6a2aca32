// ForgetfulFs: a LocalFs that leaves out chosen syncs and says they were done. A power test that
// does not notice proves that either the sync is not needed or the test is blind.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "sys/local_fs.h"

namespace shoal::power {

// What is synced: the kind of a file or directory, numbers and ids left out ("journal", "bucket
// directory", …).
std::string sync_kind(const Path& path, bool directory);

class ForgetfulFs final : public LocalFs {
 public:
  // True: the sync of this kind is left out. Called by any thread.
  using Forget = std::function<bool(const std::string& kind)>;
  ForgetfulFs(LocalFs& below, Forget forget) : below_(below), forget_(std::move(forget)) {}

  Result<std::unique_ptr<File>> open(const Path& path, OpenMode mode) override;
  Status make_dir(const Path& path) override { return below_.make_dir(path); }
  Status remove(const Path& path) override { return below_.remove(path); }
  Status remove_dir(const Path& path) override { return below_.remove_dir(path); }
  Status rename(const Path& from, const Path& to) override { return below_.rename(from, to); }
  Status link(const Path& from, const Path& to) override { return below_.link(from, to); }
  Result<std::vector<std::string>> list(const Path& folder) override { return below_.list(folder); }
  Result<FileInfo> stat(const Path& path) override { return below_.stat(path); }
  Status sync_dir(const Path& folder) override {
    return forget_(sync_kind(folder, true)) ? Status() : below_.sync_dir(folder);
  }
  Result<DiskSpace> space(const Path& path) override { return below_.space(path); }
  Result<std::unique_ptr<FileLock>> lock(const Path& path) override { return below_.lock(path); }

 private:
  LocalFs& below_;
  const Forget forget_;
};

}  // namespace shoal::power
