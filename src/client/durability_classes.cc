#include "client/durability_classes.h"

#include <vector>

#include "base/log.h"

namespace shoal::client {

format::Durability DurabilityClasses::of_directory(Ino directory) {
  return find(directory).durability;
}

DurabilityClasses::Found DurabilityClasses::find(Ino directory) {
  meta::Request request;
  request.session = session_;
  request.caller.kernel_checked = true;
  std::vector<Ino> passed;
  uint64_t forgotten = 0;
  Found found{of_volume_, 0};
  Ino at = directory;
  for (int depth = 0; depth < kDepthMax; ++depth) {
    {
      ReadLock lock(mutex_);
      if (depth == 0) forgotten = forgotten_;
      const auto it = cached_.find(at);
      if (it != cached_.end()) {
        found = it->second;
        break;
      }
    }
    passed.push_back(at);
    const Result<std::string> value = metadata_.getxattr(request, at, kDurabilityXattr);
    if (value.ok() && (*value == "local" || *value == "object")) {
      found = {*value == "object" ? format::Durability::kObject : format::Durability::kLocal, at};
      break;
    }
    if (value.ok())
      log(LogLevel::kWarn, "directory {}: durability \"{}\" is not known, inheriting", at, *value);
    if (at == kRootIno) break;
    const Result<meta::Attr> attr = metadata_.getattr(request, at);
    if (!attr.ok()) break;  // removed meanwhile: the volume's class
    at = attr->parent;
  }
  WriteLock lock(mutex_);
  if (forgotten != forgotten_) return found;
  if (cached_.size() > kEntriesMax) cached_.clear();
  for (const Ino ino : passed) cached_[ino] = found;
  return found;
}

void DurabilityClasses::forget() {
  WriteLock lock(mutex_);
  ++forgotten_;
  cached_.clear();
}

}  // namespace shoal::client
