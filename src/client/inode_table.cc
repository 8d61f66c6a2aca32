#include "client/inode_table.h"

namespace shoal::client {

void InodeState::rebase() {
  overlay.clear();
  allocated.reset();
  size = base_size;
  for (uint64_t id = list.first_id(); id < list.next_id(); ++id) {
    Operation& operation = list.at(id);
    if (operation.append) operation.offset = size;
    const uint64_t end = operation.offset + operation.length;
    switch (operation.kind) {
      case format::RecordKind::kData:
        overlay.lay_data(id, operation.offset, operation.length);
        size = std::max(size, end);
        break;
      case format::RecordKind::kTruncate:
        overlay.lay_hole(id, operation.offset, Overlay::kNoEnd);
        size = operation.offset;
        break;
      case format::RecordKind::kPunch:
        overlay.lay_hole(id, operation.offset, end);
        break;
      case format::RecordKind::kZero:
        overlay.lay_hole(id, operation.offset, end);
        if ((operation.flags & format::kRecordKeepSize) == 0) size = std::max(size, end);
        break;
      default:
        break;
    }
  }
}

InodeRef& InodeRef::operator=(InodeRef&& other) noexcept {
  if (this != &other) {
    reset();
    table_ = other.table_;
    state_ = other.state_;
    other.state_ = nullptr;
  }
  return *this;
}

void InodeRef::reset() {
  if (state_ != nullptr) table_->release(state_);
  state_ = nullptr;
}

InodeTable::~InodeTable() {
  for (Shard& at : shards_) {  // references point into this table
    std::unordered_map<Ino, InodeRef> dirty;
    {
      MutexLock lock(at.mutex);
      dirty.swap(at.dirty);
    }
  }
}

InodeRef InodeTable::acquire(Ino ino) {
  Shard& at = shard(ino);
  MutexLock lock(at.mutex);
  std::unique_ptr<InodeState>& state = at.states[ino];
  if (!state) {
    state = std::make_unique<InodeState>(ino, cached_extents_);
    unfold(*state, at);
  }
  ++state->references;
  return InodeRef(this, state.get());
}

InodeRef InodeTable::find(Ino ino) {
  Shard& at = shard(ino);
  MutexLock lock(at.mutex);
  const auto it = at.states.find(ino);
  if (it == at.states.end()) return {};
  ++it->second->references;
  return InodeRef(this, it->second.get());
}

InodeRef InodeTable::again(const InodeState& state) {
  InodeRef ref = find(state.ino);
  CHECK(ref && &*ref == &state);
  return ref;
}

void InodeTable::release(InodeState* state) {
  Shard& at = shard(state->ino);
  std::unique_ptr<InodeState> gone;  // destroyed after the lock
  MutexLock lock(at.mutex);
  if (--state->references > 0) return;
  fold(*state, at);
  const auto it = at.states.find(state->ino);
  gone = std::move(it->second);
  at.states.erase(it);
}

// The last reference is gone, and it was given back under the shard's mutex: nobody else can see
// the state, so its latch is not needed (and taking it here would invert the lock order).
void InodeTable::fold(InodeState& state, Shard& shard) NO_THREAD_SAFETY_ANALYSIS {
  CHECK(state.list.empty());
  Remembered record{state.last_sequence, state.committed_stamp, state.errors,
                    state.error_heard ? 0 : state.error_code};
  if (record.last_sequence != 0 || record.error_code != 0) shard.remembered[state.ino] = record;
}

void InodeTable::unfold(InodeState& state, Shard& shard) NO_THREAD_SAFETY_ANALYSIS {
  const auto it = shard.remembered.find(state.ino);
  if (it == shard.remembered.end()) return;
  state.last_sequence = state.durable_sequence = it->second.last_sequence;
  state.committed_stamp = it->second.committed_stamp;
  state.errors = it->second.errors;
  state.error_code = it->second.error_code;
  state.error_heard = it->second.error_code == 0;
  shard.remembered.erase(it);
}

void InodeTable::add_dirty(const InodeState& state) {
  InodeRef ref = again(state);
  Shard& at = shard(state.ino);
  MutexLock lock(at.mutex);
  at.dirty[state.ino] = std::move(ref);
}

InodeRef InodeTable::remove_dirty(const InodeState& state) {
  Shard& at = shard(state.ino);
  MutexLock lock(at.mutex);
  const auto it = at.dirty.find(state.ino);
  if (it == at.dirty.end()) return {};
  InodeRef ref = std::move(it->second);
  at.dirty.erase(it);
  return ref;
}

std::vector<InodeRef> InodeTable::dirty() {
  std::vector<InodeRef> all;
  for (Shard& at : shards_) {
    MutexLock lock(at.mutex);
    for (auto& [ino, ref] : at.dirty) {
      ++ref->references;
      all.push_back(InodeRef(this, &*ref));
    }
  }
  return all;
}

void InodeTable::forget_sequences(Stamp stamp) {
  for (Shard& at : shards_) {
    MutexLock lock(at.mutex);
    std::erase_if(at.remembered, [&](const auto& entry) {
      return entry.second.error_code == 0 && entry.second.committed_stamp <= stamp;
    });
  }
}

size_t InodeTable::remembered() const {
  size_t count = 0;
  for (const Shard& at : shards_) {
    MutexLock lock(at.mutex);
    count += at.remembered.size();
  }
  return count;
}

}  // namespace shoal::client
