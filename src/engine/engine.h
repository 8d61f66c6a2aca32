// KvEngine: the ordered transactional map under the metadata (design §5.1). Small, and hard to
// misuse.
//
// Keys and values are byte strings (key ≤ kEngineKeyBytesMax, value ≤ kEngineValueBytesMax). Every
// key that a typed write touched carries the stamp of the batch that wrote it last; stamps come
// from the caller (Batch::stamp), are unique for ever within a lineage and never 0. A key last
// written by merge has stamp 0 but exists.
//
// Calls block; all are thread-safe. commit() makes the batch visible to later reads atomically.
// Whether it is already durable when commit() returns says Capabilities::durable_on_commit; sync()
// makes everything committed before the call durable, concurrent calls share the work. After a
// failed sync() the engine must not be used again.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "base/ids.h"
#include "base/limits.h"

namespace shoal::engine {

struct Versioned {
  Stamp stamp = 0;
  std::string value;
};

struct Item {
  std::string key;
  Stamp stamp = 0;
  std::string value;
};

struct Page {
  std::vector<Item> items;  // ascending by key
  bool more = false;        // the range holds keys behind the last item
};

struct Write {
  enum class Kind : uint8_t {
    kInsert,    // the key must be absent
    kUpdate,    // the key must be there with `expected`
    kErase,     // likewise
    kCheck,     // likewise, nothing is written; many batches may hold it at once
    kPut,       // blind
    kRemove,    // blind erase; absent is fine
    kMergeAdd,  // blind: value is 8 bytes little-endian int64, added; absent counts as 0
    kMergeMax,  // blind: likewise, the greater one stays
  };
  Kind kind;
  std::string key;
  std::string value;
  Stamp expected = 0;
  Stamp stamp = 0;  // of the key afterwards; 0: the batch's
};

// Writes that happen together or not at all. At most one write per key: a second one makes commit()
// fail with EINVAL.
class Batch {
 public:
  explicit Batch(Stamp stamp) : stamp_(stamp) {}
  void insert(std::string key, std::string value) {
    add({Write::Kind::kInsert, std::move(key), std::move(value), 0, 0});
  }
  void update(std::string key, std::string value, Stamp expected) {
    add({Write::Kind::kUpdate, std::move(key), std::move(value), expected, 0});
  }
  void erase(std::string key, Stamp expected) {
    add({Write::Kind::kErase, std::move(key), {}, expected, 0});
  }
  void check(std::string key, Stamp expected) {
    add({Write::Kind::kCheck, std::move(key), {}, expected, 0});
  }
  void put(std::string key, std::string value) {
    add({Write::Kind::kPut, std::move(key), std::move(value), 0, 0});
  }
  void remove(std::string key) { add({Write::Kind::kRemove, std::move(key), {}, 0, 0}); }
  void merge_add(std::string key, int64_t delta);
  void merge_max(std::string key, int64_t value);

  // As it is: for who puts writes of several batches into one (group/).
  void add(Write write) {
    bytes_ += write.key.size() + write.value.size() + 16;
    writes_.push_back(std::move(write));
  }

  Stamp stamp() const { return stamp_; }
  // Of the key of `write` afterwards.
  Stamp stamp_of(const Write& write) const { return write.stamp != 0 ? write.stamp : stamp_; }
  bool empty() const { return writes_.empty(); }
  const std::vector<Write>& writes() const { return writes_; }
  size_t bytes() const { return bytes_; }  // ≤ kBatchBytesMax or commit() fails with E2BIG

 private:
  Stamp stamp_;
  std::vector<Write> writes_;
  size_t bytes_ = 0;
};

struct CommitResult {
  enum class Kind { kCommitted, kConflict, kUnknown };
  Kind kind = Kind::kCommitted;
  std::vector<std::string> conflicts;  // the keys that were not as expected (at least one of them)
};

struct Capabilities {
  bool native_merge = true;
  bool durable_on_commit = false;
  bool bulk_ingest = false;
};

// A moment to read at: reads with one token see one state. Short-lived: a token may answer ESTALE
// after some seconds.
class ReadToken {
 public:
  virtual ~ReadToken() = default;
};

class KvEngine {
 public:
  virtual ~KvEngine() = default;

  virtual std::unique_ptr<ReadToken> read_token() = 0;
  // `token` null: the latest state. One entry per key, nullopt where absent.
  virtual Result<std::optional<Versioned>> get(const ReadToken* token, std::string_view key) = 0;
  virtual Result<std::vector<std::optional<Versioned>>> get_many(
      const ReadToken* token, const std::vector<std::string>& keys) = 0;
  // Keys in [begin, end), ascending, at most `limit` (1 … kPageEntriesMax). Empty `end`: to the
  // last key.
  virtual Result<Page> scan(const ReadToken* token, std::string_view begin, std::string_view end,
                            size_t limit) = 0;
  // The last key in [begin, end), if any.
  virtual Result<std::optional<Item>> last(const ReadToken* token, std::string_view begin,
                                           std::string_view end) = 0;

  // An Error means: certainly not committed (bad batch, failing disk). Unknown is a value, not an
  // error.
  virtual Result<CommitResult> commit(const Batch& batch) = 0;
  virtual Status sync() = 0;

  // Writes `items` (ascending, keys absent before, merge-free) past the log; durable when it
  // returns. ENOTSUP without bulk_ingest.
  virtual Status ingest(const std::vector<Item>& items) = 0;

  virtual Capabilities capabilities() const = 0;
  virtual std::string describe() const = 0;
  virtual Result<uint64_t> disk_bytes() = 0;
};

// The integer of a merged key; 0 when absent. EBADMSG when the value is not 8 bytes.
Result<int64_t> read_counter(KvEngine& engine, const ReadToken* token, std::string_view key);
std::string encode_counter(int64_t value);
Result<int64_t> decode_counter(std::string_view value);
// The smallest key greater than every key with this prefix; "" when there is none.
std::string prefix_end(std::string_view prefix);

}  // namespace shoal::engine
