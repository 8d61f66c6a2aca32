// How a key's value lies in RocksDB: 8 bytes little-endian stamp, then the value. A merge operand
// is one byte of kind and the 8-byte integer. Changing either needs a new number in the folder's
// FORMAT file (open.cc).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"
#include "engine/engine.h"

namespace rocksdb {
class MergeOperator;
}

namespace shoal::engine {

struct StoredView {
  Stamp stamp = 0;
  std::string_view value;  // into what was decoded
};

std::string encode_stored(Stamp stamp, std::string_view value);
// EBADMSG when it is too short to hold a stamp.
Result<StoredView> decode_stored(std::string_view stored);

// REQUIRES a merge; `value` as in Write.
std::string encode_operand(Write::Kind kind, std::string_view value);

// Folds operands by the rules of merged_value(); the result has stamp 0.
std::shared_ptr<rocksdb::MergeOperator> make_counter_merge();

}  // namespace shoal::engine
