#include "data/holders.h"

#include <algorithm>
#include <cstring>

#include "base/crc32c.h"
#include "base/log.h"
#include "data/holder_protocol.h"
#include "sys/on_behalf.h"

namespace shoal::data {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using State = format::Segment::State;

constexpr milliseconds kCallMax{5'000};
constexpr milliseconds kConnectMax{3'000};
constexpr milliseconds kLimitMin{100};   // of a call that is made at all
constexpr milliseconds kRetryFirst{50};  // doubles
constexpr milliseconds kRetryMax{500};
constexpr nanoseconds kFailedMemory = milliseconds(400);  // whoever waited for the same connection
constexpr size_t kKnownMax = 1 << 14;
constexpr size_t kLinksMax = 256;

bool in_bucket(const meta::SegmentPlace& place) {
  return place.state == State::kStored || place.state == State::kDying;
}

std::string holder_name(const meta::SegmentPlace& place) {
  if (place.host.empty()) return fmt::format("store {}", place.store);
  return fmt::format("host {} (store {}, {})", place.host, place.store, place.path);
}

}  // namespace

struct Holders::Link {
  Mutex mutex;  // held while connecting: the others wait here for the same connection
  std::shared_ptr<rpc::Channel> channel GUARDED_BY(mutex);  // shared with calls under way
  std::optional<Error> failed GUARDED_BY(mutex);
  nanoseconds failed_at GUARDED_BY(mutex){0};
};

// How long one caller still waits for a holder.
class Holders::Patience {
 public:
  Patience(Holders& holders) : holders_(holders), begun_(holders.now()) {}

  milliseconds left() const {
    const nanoseconds used = holders_.now() - begun_;
    return std::chrono::ceil<milliseconds>(holders_.options_.timeout - used);
  }
  milliseconds at_most(milliseconds limit) const {
    return std::max(kLimitMin, std::min(limit, left()));
  }
  // False: the time is over.
  Result<bool> wait_for(uint32_t store) {
    if (given_up()) return Error(EINTR);
    const nanoseconds now = holders_.now();
    MutexLock lock(holders_.waits_mutex_);
    const auto silent = holders_.silent_.find(store);
    if (silent != holders_.silent_.end() && now < silent->second) return false;
    if (left().count() <= 0) {
      holders_.silent_[store] = now + holders_.options_.timeout;
      return false;
    }
    holders_.never_.wait_for(holders_.waits_mutex_, std::min(retry_, at_most(retry_)));
    retry_ = std::min(kRetryMax, retry_ * 2);
    return true;
  }

 private:
  Holders& holders_;
  const nanoseconds begun_;
  milliseconds retry_ = kRetryFirst;
};

Holders::Holders(const rpc::Seams& seams, meta::Metadata& metadata, HoldersOptions options)
    : seams_(seams), metadata_(metadata), options_(std::move(options)) {}

Holders::~Holders() = default;

nanoseconds Holders::now() const { return seams_.clock.since_boot(); }

// --- what is known ---

bool Holders::likely(const SegmentId& id) const {
  if (!any_.load(std::memory_order_relaxed)) return false;
  ReadLock lock(known_mutex_);
  return staged_.contains(id) || (nonces_.contains(id.nonce) && !stored_.contains(id));
}

std::string Holders::known_address(const SegmentId& id) const {
  ReadLock lock(known_mutex_);
  const auto it = staged_.find(id);
  return it == staged_.end() ? std::string() : it->second;
}

void Holders::remember_staged(const SegmentId& id, const std::string& address) {
  WriteLock lock(known_mutex_);
  if (staged_.size() >= kKnownMax) staged_.clear();
  if (nonces_.size() >= kKnownMax) nonces_.clear();
  staged_[id] = address;
  nonces_.insert(id.nonce);
  any_ = true;
}

void Holders::remember_stored(const SegmentId& id) {
  WriteLock lock(known_mutex_);
  staged_.erase(id);
  if (stored_.size() >= kKnownMax) stored_.clear();
  stored_.insert(id);
}

bool Holders::stored(const SegmentId& id) const {
  ReadLock lock(known_mutex_);
  return stored_.contains(id);
}

void Holders::forget(const SegmentId& id) {
  WriteLock lock(known_mutex_);
  staged_.erase(id);
}

// EIO: nobody will ever have it, as far as can be known.
Result<meta::SegmentPlace> Holders::place_of(const SegmentId& id) {
  TRY_ASSIGN(meta::SegmentPlace place, metadata_.segment_place(id));
  if (in_bucket(place)) {
    remember_stored(id);
  } else if (place.state == State::kLost) {
    return error(EIO, "segment {} was given up: it was staged on {}, which lost it", id.to_string(),
                 holder_name(place));
  }
  return place;
}

// --- connections ---

std::shared_ptr<Holders::Link> Holders::link(const std::string& address) {
  MutexLock lock(links_mutex_);
  if (links_.size() >= kLinksMax && !links_.contains(address)) links_.erase(links_.begin());
  std::shared_ptr<Link>& link = links_[address];
  if (link == nullptr) link = std::make_shared<Link>();
  return link;
}

Result<std::shared_ptr<rpc::Channel>> Holders::channel(Link& link, const std::string& address,
                                                       milliseconds limit) {
  std::shared_ptr<rpc::Channel> dropped;  // outside of the lock: its end waits for callbacks
  MutexLock lock(link.mutex);
  if (link.channel != nullptr) {
    if (link.channel->usable().ok()) return link.channel;
    dropped = std::move(link.channel);
    link.channel = nullptr;
  }
  if (link.failed && now() - link.failed_at < kFailedMemory) return *link.failed;
  TRY_ASSIGN(const NetAddress to, NetAddress::parse(address));
  rpc::ChannelOptions options;
  options.credentials = {options_.volume, options_.token, options_.description};
  options.connect_max = std::min(limit, kConnectMax);
  auto connected = rpc::Channel::connect(seams_, to, std::move(options));
  if (!connected.ok()) {
    link.failed = connected.error();
    link.failed_at = now();
    return *link.failed;
  }
  link.failed.reset();
  link.channel = std::move(*connected);
  return link.channel;
}

// ENOTCONN: nobody answered. Everything else is the holder's answer.
Result<std::string> Holders::ask(const std::string& address, uint16_t method, std::string body,
                                 milliseconds limit) {
  if (address.empty()) return error(ENOTCONN, "it serves its staged data to nobody");
  const std::shared_ptr<Link> to = link(address);
  Result<std::shared_ptr<rpc::Channel>> found = channel(*to, address, limit);
  if (!found.ok()) return error(ENOTCONN, "{}", found.error().text());
  rpc::CallOptions options;
  options.deadline = std::min(limit, kCallMax);
  rpc::Answer answer = (*found)->call(method, std::move(body), options);
  if (answer.outcome == rpc::Outcome::kAnswered) return std::move(answer.result);
  return error(ENOTCONN, "{}: {}", address, answer.result.error().text());
}

Result<bool> Holders::holds(const std::string& address, const SegmentId& id) {
  const Result<std::string> answer = ask(address, kIsStaged, encode(id), options_.timeout);
  if (answer.ok()) return true;
  if (answer.error().is(ENOENT)) return false;
  return answer.error();
}

void Holders::ask_upload(const meta::SegmentPlace& place, const SegmentId& id,
                         const Patience& patience) {
  const auto asked =
      ask(place.address, kUploadSoon, encode(id), patience.at_most(options_.timeout));
  if (!asked.ok() && !asked.error().is(ENOENT)) {
    log(LogLevel::kInfo, "upload of segment {} by {}: {}", id.to_string(), holder_name(place),
        asked.error().text());
  }
}

// --- reading ---

Status Holders::fetch(const std::string& address, const format::Target& slice, uint64_t first,
                      MutableBytes into, const Patience& patience) {
  const bool whole = first == 0 && into.size() == slice.length;
  for (size_t at = 0; at < into.size(); at += kHolderReadBytesMax) {
    const MutableBytes part =
        into.subspan(at, std::min<size_t>(kHolderReadBytesMax, into.size() - at));
    TRY_ASSIGN(const std::string answer,
               ask(address, kReadStaged, encode(StagedRange{slice, first + at, part.size()}),
                   patience.at_most(options_.timeout)));
    TRY_ASSIGN(const ByteView bytes, open_staged_bytes(answer, part.size()));
    std::memcpy(part.data(), bytes.data(), bytes.size());
  }
  if (whole && slice.crc && crc32c(into) != *slice.crc)
    return error(EBADMSG, "{} sent other bytes than were written", address);
  return {};
}

Result<Holders::Found> Holders::read(const format::Target& slice, uint64_t first,
                                     MutableBytes into) {
  const SegmentId& id = slice.segment;
  Patience patience(*this);
  if (const std::string address = known_address(id); !address.empty()) {
    const Status got = fetch(address, slice, first, into, patience);
    if (got.ok()) return Found::kRead;
    got.ignore("it moved, or is stored: the owner knows");
    forget(id);
  }
  for (;;) {
    TRY_ASSIGN(const meta::SegmentPlace place, place_of(id));
    if (in_bucket(place)) return Found::kInBucket;
    if (place.store == own_store_)
      return error(EIO, "segment {} was staged here and is gone", id.to_string());
    const Status got = fetch(place.address, slice, first, into, patience);
    if (got.ok()) {
      remember_staged(id, place.address);
      return Found::kRead;
    }
    // It is there and cannot be read, so perhaps it can be uploaded.
    if (!got.error().is(ENOTCONN) && !got.error().is(ENOENT)) ask_upload(place, id, patience);
    TRY_ASSIGN(const bool again, patience.wait_for(place.store));
    if (again) continue;
    return error(EIO, "segment {} is staged on {}, which did not give it within {} ms: {}",
                 id.to_string(), holder_name(place), options_.timeout.count(), got.error().text());
  }
}

Status Holders::wait_stored(const SegmentId& id) {
  Patience patience(*this);
  for (std::string asked;;) {
    if (stored(id)) return {};
    const auto found = place_of(id);
    if (found.code() == ENOENT) return {};  // freed: no file needs it
    TRY_ASSIGN(const meta::SegmentPlace place, found);
    if (in_bucket(place) || place.store == own_store_) return {};
    if (place.address != asked) {
      ask_upload(place, id, patience);
      asked = place.address;
    }
    TRY_ASSIGN(const bool again, patience.wait_for(place.store));
    if (again) continue;
    const Error why = error(EIO, "segment {} is staged on {}, which did not upload it within {} ms",
                            id.to_string(), holder_name(place), options_.timeout.count());
    log(LogLevel::kError, "volume {}: {}", options_.volume, why.text());
    return why;
  }
}

}  // namespace shoal::data
