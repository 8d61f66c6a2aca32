// ObjectStore: the bucket. Immutable objects named by unique keys (I2), so every call may be
// repeated.
//
// Asynchronous: a call returns at once and `done` runs later, exactly once, on a thread of the
// store (never inside the call). `done` must not block for long and may call the store. Memory
// passed in (spans to put, target of get) belongs to the caller and must stay until `done` ran. All
// calls are thread-safe.
//
// Errors: ENOENT no such object · EACCES credentials or rights · ESTALE if_match failed · ETIMEDOUT
// the deadline passed · EIO the store answered nonsense or kept failing · ENOSPC the folder's disk
// is full · EINVAL a key that is empty or longer than kObjectKeyBytesMax · ENXIO the bucket itself
// is not there · ECANCELED the store was destroyed · ENOTSUP this store cannot do that. Transient
// faults (5xx, throttling, resets, short or corrupt answers) are retried inside until the deadline,
// within a retry budget.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "base/time.h"

namespace shoal::object {

enum class Priority { kForeground, kWriteback, kPrefetch, kBackground };

struct CallOptions {
  std::chrono::milliseconds deadline{30'000};  // for the whole call, retries included
  Priority priority = Priority::kForeground;
  // put and upload_complete: EEXIST when the key is there already. Only where
  // Capabilities::if_none_match; elsewhere ENOTSUP or silently ignored. After a retry the object
  // may be this call's own: compare before believing in a rival.
  bool if_absent = false;
  // A try failed and another one follows, with what went wrong: so that a long call can be
  // explained before it ends. On a thread of the store; must not block.
  std::function<void(const Error&)> on_retry;
};

inline constexpr size_t kObjectKeyBytesMax = 1024;  // of a whole key, a URL's prefix included

struct ObjectInfo {
  std::string key;
  uint64_t size = 0;
  std::string etag;  // opaque; compared verbatim
  Time modified;
};

struct ListPage {
  std::vector<ObjectInfo> objects;           // ascending by key bytes
  std::vector<std::string> common_prefixes;  // only when a delimiter was given
  bool truncated = false;
  std::string next_start_after;  // pass as start_after to go on
};

struct GetOptions {
  CallOptions call;
  std::string if_match;  // an etag; empty: any
};

struct GetResult {
  size_t bytes = 0;          // read into the target; fewer than asked only at the object's end
  uint64_t object_size = 0;  // 0 when the store did not say
  std::string etag;          // may be empty when `bytes` is 0
};

struct ListOptions {
  CallOptions call;
  std::string
      start_after;  // entries behind this; with a delimiter: only what an earlier page ended with
  std::string delimiter;  // empty: none
  size_t limit = 1000;    // 1 … 1000
};

struct UploadedPart {
  int number = 0;  // from 1
  std::string etag;
};

// What the bucket can do; correctness needs none of it.
struct Capabilities {
  bool if_none_match = false;
  bool multipart = false;
  bool ordered_list = true;
};

// Requests sent, by kind, retries included; for status, metrics and tests.
struct RequestCounts {
  uint64_t put = 0, get = 0, head = 0, remove = 0, list = 0, multipart = 0, retries = 0;
  uint64_t bytes_out = 0, bytes_in = 0;
};

template <typename T>
using Done = std::function<void(Result<T>)>;

class ObjectStore {
 public:
  virtual ~ObjectStore() =
      default;  // fails what is in flight with ECANCELED, waits for the callbacks

  // Stores the concatenation of `spans` whole or not at all; returns the etag.
  virtual void put(std::string key, std::vector<ByteView> spans, CallOptions options,
                   Done<std::string> done) = 0;
  // Reads [offset, offset + into.size()) into `into`; an offset at or behind the object's end reads
  // 0 bytes.
  virtual void get(std::string key, uint64_t offset, MutableBytes into, GetOptions options,
                   Done<GetResult> done) = 0;
  virtual void head(std::string key, CallOptions options, Done<ObjectInfo> done) = 0;
  // Removes up to 1,000 keys; absent ones are no error. The result lists keys that could not be
  // removed.
  virtual void remove_many(std::vector<std::string> keys, CallOptions options,
                           Done<std::vector<std::string>> done) = 0;
  virtual void list(std::string prefix, ListOptions options, Done<ListPage> done) = 0;

  // Multipart: the object appears at upload_complete, made of `parts` in ascending order of their
  // numbers. Equal parts of 5 MiB or more but the last.
  virtual void upload_begin(std::string key, CallOptions options,
                            Done<std::string> done) = 0;  // upload id
  virtual void upload_part(std::string key, std::string upload, int number,
                           std::vector<ByteView> spans, CallOptions options,
                           Done<UploadedPart> done) = 0;
  virtual void upload_complete(std::string key, std::string upload, std::vector<UploadedPart> parts,
                               CallOptions options, Done<std::string> done) = 0;
  virtual void upload_abort(std::string key, std::string upload, CallOptions options,
                            Done<bool> done) = 0;

  virtual RequestCounts counts() const = 0;
  virtual std::string describe() const = 0;  // "s3://bucket/prefix at http://…"; no secrets
};

// Blocking forms; never call them from `done`.
Result<std::string> put_and_wait(ObjectStore& store, std::string key, ByteView bytes,
                                 CallOptions options = {});
Result<std::string> get_and_wait(ObjectStore& store, std::string key, uint64_t offset,
                                 size_t bytes_max, GetOptions options = {});
Result<ObjectInfo> head_and_wait(ObjectStore& store, std::string key, CallOptions options = {});
Result<ListPage> list_and_wait(ObjectStore& store, std::string prefix, ListOptions options = {});
Status remove_and_wait(ObjectStore& store, std::string key, CallOptions options = {});
// Runs `start(done)` and blocks until done was called. For the result types of ObjectStore's calls.
template <typename T>
Result<T> wait_for(const std::function<void(Done<T>)>& start);

// PUT with If-None-Match, ranged GET, ordered list on keys below `prefix`; removes what it made.
Result<Capabilities> probe(ObjectStore& store, std::string prefix);

}  // namespace shoal::object
