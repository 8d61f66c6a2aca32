// The bucket's side of fsck: every stored segment is there with the right length and, when asked,
// the right bytes; what staging took with it; and which files that hurts.
#pragma once

#include <functional>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/engine.h"
#include "meta/fsck.h"
#include "object/object_store.h"

namespace shoal::data {

struct BucketCheck {
  bool data = false;  // reads every stored byte and verifies its checksum
  // Stores of this machine whose staging folder is gone: number → folder.
  std::unordered_map<uint32_t, std::string> gone_stores;
  std::function<std::string(Ino)> name_of;            // for messages: a path
  std::function<void(uint64_t bytes_read)> progress;  // with `data`
};

struct BucketReport {
  std::vector<meta::FsckProblem> problems;  // the first 1,000
  uint64_t problems_total = 0;
};

// Lists the bucket once, in pages.
Result<BucketReport> fsck_bucket(engine::KvEngine& engine, object::ObjectStore& store,
                                 const Uuid& volume, const BucketCheck& check);

}  // namespace shoal::data
