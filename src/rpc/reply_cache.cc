#include "rpc/reply_cache.h"

#include <utility>

#include "base/check.h"

namespace shoal::rpc {

Result<ReplyCache::Begun> ReplyCache::begin(uint32_t number, uint64_t sequence, Tell tell) {
  if (number >= slots_max_)
    return error(EPROTO, "slot {} of a session that has {}", number, slots_max_);
  const auto found = slots_.find(number);
  const uint64_t last = found == slots_.end() ? 0 : found->second.sequence;
  const bool gap_allowed = gaps_ && (found == slots_.end() || !found->second.begun);
  if (sequence != last && sequence != last + 1 && !(gap_allowed && sequence > last)) {
    return error(EPROTO, "slot {}: sequence {} where {} was the last one; it is {}", number,
                 sequence, last, sequence < last ? "too old" : "a gap");
  }
  if (sequence == 0) return error(EPROTO, "slot {}: sequences begin at 1", number);
  if (sequence == last) {
    Slot& slot = found->second;
    if (!slot.running && !slot.kept)  // its successor had come, which acknowledged it
      return error(EPROTO, "slot {}: the reply of sequence {} is not kept any more", number,
                   sequence);
    if (!slot.running) return Begun{Kind::kDone, slot.reply};
    if (slot.waiting.size() > kRetriesJoinedMax)
      return error(EAGAIN, "slot {}: {} retries wait already", number, kRetriesJoinedMax);
    slot.waiting.push_back(std::move(tell));
    return Begun{Kind::kRunning, {}};
  }
  if (found != slots_.end() && found->second.running) {
    return error(EPROTO, "slot {}: sequence {} before {} was answered", number, sequence, last);
  }
  Slot& slot = slots_[number];
  keep(slot, {});
  slot.kept = false;
  slot.sequence = sequence;
  slot.running = slot.begun = true;
  slot.waiting.push_back(std::move(tell));
  ++running_;
  return Begun{Kind::kNew, {}};
}

ReplyCache::Slot& ReplyCache::running_slot(uint32_t number, uint64_t sequence) {
  const auto found = slots_.find(number);
  CHECK(found != slots_.end() && found->second.running && found->second.sequence == sequence);
  return found->second;
}

void ReplyCache::keep(Slot& slot, KeptReply reply) {
  CHECK(reply.body.size() <= kKeptReplyBytesMax);
  reply_bytes_ += reply.body.size();
  reply_bytes_ -= slot.reply.body.size();
  slot.reply = std::move(reply);
}

std::vector<ReplyCache::Tell> ReplyCache::finish(uint32_t number, uint64_t sequence,
                                                 KeptReply reply) {
  Slot& slot = running_slot(number, sequence);
  keep(slot, std::move(reply));
  slot.kept = true;
  slot.running = false;
  --running_;
  return std::exchange(slot.waiting, {});
}

std::vector<ReplyCache::Tell> ReplyCache::forget(uint32_t number, uint64_t sequence) {
  Slot& slot = running_slot(number, sequence);
  slot.sequence = sequence - 1;
  slot.running = false;
  --running_;
  return std::exchange(slot.waiting, {});
}

void ReplyCache::restore(uint32_t number, uint64_t sequence, KeptReply reply) {
  CHECK(number < slots_max_);
  Slot& slot = slots_[number];
  CHECK(!slot.running);
  slot.sequence = sequence;
  slot.kept = true;
  keep(slot, std::move(reply));
}

}  // namespace shoal::rpc
