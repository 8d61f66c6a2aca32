// Holders: slices that are staged at other mounts of the volume, read from there (design §6.2
// "Other nodes"). The owner says where a segment is; its holder is asked first, then for an upload;
// whoever waits for it waits at most Options::timeout and gets EIO.
//
// A holder that kept somebody waiting for so long is asked once by everybody else for as long
// again, so that a dead node does not take the threads of the living ones. Thread-safe.
#pragma once

#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include "base/error.h"
#include "format/extent.h"
#include "meta/metadata.h"
#include "rpc/channel.h"
#include "sys/mutex.h"

namespace shoal::data {

struct HoldersOptions {
  std::string volume, token;
  std::string description;                    // of this mount, for the holders' logs
  std::chrono::milliseconds timeout{10'000};  // -o holder_timeout
};

class Holders {
 public:
  // All outlive it. Its channels' deadlines run on the seams' executor.
  Holders(const rpc::Seams& seams, meta::Metadata& metadata, HoldersOptions options);
  ~Holders();
  // What is staged at the store of that number is here: nobody else has it.
  void own_store(uint32_t number) { own_store_ = number; }

  // Worth asking before the bucket is: it, or another segment of the same writer, was staged
  // elsewhere when last heard of.
  bool likely(const SegmentId& id) const;

  enum class Found { kRead, kInBucket };
  // Fills `into` with bytes [first, …) of the slice, verified; kInBucket: nothing was read, the
  // bucket has the segment by now. ENOENT: nobody knows it any more. EIO: its holder did not give
  // it in time; the message names segment and holder.
  Result<Found> read(const format::Target& slice, uint64_t first, MutableBytes into);
  // Returns when the bucket has the segment; asks its holder to see to it. Of this store's own it
  // knows nothing and returns. EIO as above.
  Status wait_stored(const SegmentId& id);
  // Whether the process behind `address` has it staged; its error when it does not answer.
  Result<bool> holds(const std::string& address, const SegmentId& id);

 private:
  struct Link;  // the connection to one holder
  class Patience;

  std::chrono::nanoseconds now() const;
  Result<meta::SegmentPlace> place_of(const SegmentId& id);
  Result<std::string> ask(const std::string& address, uint16_t method, std::string body,
                          std::chrono::milliseconds limit);
  Result<std::shared_ptr<rpc::Channel>> channel(Link& link, const std::string& address,
                                                std::chrono::milliseconds limit);
  std::shared_ptr<Link> link(const std::string& address);
  Status fetch(const std::string& address, const format::Target& slice, uint64_t first,
               MutableBytes into, const Patience& patience);
  void ask_upload(const meta::SegmentPlace& place, const SegmentId& id, const Patience& patience);
  std::string known_address(const SegmentId& id) const;
  void remember_staged(const SegmentId& id, const std::string& address);
  void remember_stored(const SegmentId& id);
  bool stored(const SegmentId& id) const;
  void forget(const SegmentId& id);

  const rpc::Seams seams_;
  meta::Metadata& metadata_;
  const HoldersOptions options_;
  std::atomic<uint32_t> own_store_{0};
  std::atomic<bool> any_{false};  // anything below is not empty
  mutable SharedMutex known_mutex_;
  std::unordered_map<SegmentId, std::string> staged_ GUARDED_BY(known_mutex_);  // where
  std::unordered_set<uint64_t> nonces_ GUARDED_BY(known_mutex_);                // of staged_, ever
  std::unordered_set<SegmentId> stored_ GUARDED_BY(known_mutex_);
  Mutex links_mutex_;
  std::map<std::string, std::shared_ptr<Link>> links_ GUARDED_BY(links_mutex_);  // shared by users
  Mutex waits_mutex_;
  CondVar never_;
  // By store: until when nobody waits for it, boot time.
  std::map<uint32_t, std::chrono::nanoseconds> silent_ GUARDED_BY(waits_mutex_);
};

}  // namespace shoal::data
