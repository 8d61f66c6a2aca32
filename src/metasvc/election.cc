#include "metasvc/election.h"

#include "format/keys.h"

namespace shoal::metasvc {

using engine::CommitResult;

Election::Election(engine::KvEngine& engine, const Clock& clock, ElectionOptions options)
    : engine_(engine), clock_(clock), options_(std::move(options)) {}

bool Election::in_term() const {
  return clock_.since_boot().count() < valid_until_.load(std::memory_order_acquire);
}

// The record's stamp is its count: each write adds one, whoever makes it.
Result<bool> Election::take(std::optional<Stamp> expected, uint64_t count, bool release) {
  const auto begun = clock_.since_boot();
  const format::Election mine{options_.me, options_.address, count, release};
  const std::string key = format::election_key();
  engine::Batch batch(Stamp{count});
  if (expected) {
    batch.update(key, format::encode_election(mine), *expected);
  } else {
    batch.insert(key, format::encode_election(mine));
  }
  TRY_ASSIGN(const CommitResult result, engine_.commit(batch));
  if (result.kind == CommitResult::Kind::kUnknown)
    return error(EIO, "the reply to a write of the election record was lost");
  if (result.kind == CommitResult::Kind::kConflict) return false;
  stamp_ = count;
  seen_ = mine;
  seen_at_ = begun;
  if (!release) {
    const std::chrono::nanoseconds term = options_.term;
    valid_until_.store((begun + term * 2 / 3).count(), std::memory_order_release);
  }
  return true;
}

Result<bool> Election::step() {
  const auto looked = clock_.since_boot();
  if (owner_) {
    Result<bool> renewed = take(stamp_, stamp_ + 1, false);
    if (renewed.ok() && *renewed) return true;
    if (!renewed.ok()) {
      // Perhaps it was written: the record tells.
      TRY_ASSIGN(const auto found, engine_.get(nullptr, format::election_key()));
      if (found) {
        TRY_ASSIGN(const format::Election record, format::decode_election(found->value));
        if (record.owner == options_.me) {
          stamp_ = found->stamp;
          return std::move(renewed).error();
        }
      }
    }
    owner_ = false;
    valid_until_ = 0;
  }
  TRY_ASSIGN(const auto found, engine_.get(nullptr, format::election_key()));
  if (!found) {
    TRY_ASSIGN(owner_, take(std::nullopt, 1, false));
    return owner_;
  }
  TRY_ASSIGN(format::Election record, format::decode_election(found->value));
  const bool same =
      seen_ && seen_->owner == record.owner && seen_->count == record.count && !record.released;
  if (!same) {
    seen_ = record;
    seen_at_ = looked;
  }
  // A record of our own is a try whose reply was lost: it counts as another's until its term is
  // over, for nobody knows how long ago it was.
  const bool over = record.released || looked - seen_at_ > options_.term;
  if (!over) return false;
  TRY_ASSIGN(owner_, take(found->stamp, record.count + 1, false));
  return owner_;
}

void Election::release() {
  if (!owner_) return;
  owner_ = false;
  valid_until_ = 0;
  (void)take(stamp_, stamp_ + 1, true).code();  // else the successor waits for a term
}

}  // namespace shoal::metasvc
