// SieveCache: a sharded map of bounded size that drops what was not asked for lately (SIEVE, NSDI
// '24: a queue whose entries carry a "visited" bit and a hand that passes over visited ones once; a
// hit only sets the bit).
//
// Thread-safe; a call takes one shard's lock and never another's. Values are copied out: make them
// small or a pointer.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "sys/mutex.h"

namespace shoal::meta {

// `Hash` hashes Key and whatever else is looked up with; `Equal` compares them (both transparent).
template <typename Key, typename Value, typename Hash, typename Equal>
class SieveCache {
 public:
  explicit SieveCache(size_t entries_max)
      : shard_entries_max_(entries_max / kShards + 1),
        shards_(std::make_unique<Shard[]>(kShards)) {}

  template <typename Lookup>
  std::optional<Value> get(const Lookup& key) {
    Shard& shard = shard_of(key);
    MutexLock lock(shard.mutex);
    auto it = shard.map.find(key);
    if (it == shard.map.end()) return std::nullopt;
    it->second.visited = true;
    return it->second.value;
  }

  void put(Key key, Value value) {
    Shard& shard = shard_of(key);
    MutexLock lock(shard.mutex);
    auto [it, fresh] = shard.map.try_emplace(std::move(key));
    Node& node = it->second;
    node.value = std::move(value);
    if (!fresh) {
      node.visited = true;
      return;
    }
    node.key = &it->first;
    push_front(shard, node);
    if (shard.map.size() > shard_entries_max_) evict(shard);
  }

  template <typename Lookup>
  void erase(const Lookup& key) {
    Shard& shard = shard_of(key);
    MutexLock lock(shard.mutex);
    auto it = shard.map.find(key);
    if (it == shard.map.end()) return;
    unlink(shard, it->second);
    shard.map.erase(it);
  }

  size_t size() {
    size_t total = 0;
    for (size_t i = 0; i < kShards; ++i) {
      MutexLock lock(shards_[i].mutex);
      total += shards_[i].map.size();
    }
    return total;
  }

 private:
  static constexpr size_t kShards = 64;
  struct Node {
    Value value{};
    const Key* key = nullptr;
    Node* newer = nullptr;
    Node* older = nullptr;
    bool visited = false;
  };
  struct alignas(64) Shard {
    Mutex mutex;
    std::unordered_map<Key, Node, Hash, Equal> map GUARDED_BY(mutex);
    Node* newest GUARDED_BY(mutex) = nullptr;
    Node* oldest GUARDED_BY(mutex) = nullptr;
    Node* hand GUARDED_BY(mutex) = nullptr;
  };

  template <typename Lookup>
  Shard& shard_of(const Lookup& key) {
    return shards_[(Hash{}(key) >> 40) % kShards];  // not the bits that choose the bucket
  }

  static void push_front(Shard& shard, Node& node) REQUIRES(shard.mutex) {
    node.older = shard.newest;
    if (shard.newest != nullptr) shard.newest->newer = &node;
    shard.newest = &node;
    if (shard.oldest == nullptr) shard.oldest = &node;
  }

  static void unlink(Shard& shard, Node& node) REQUIRES(shard.mutex) {
    if (shard.hand == &node) shard.hand = node.newer;
    (node.newer != nullptr ? node.newer->older : shard.newest) = node.older;
    (node.older != nullptr ? node.older->newer : shard.oldest) = node.newer;
  }

  // REQUIRES that the map is not empty. Ends after at most one round: it clears the bits it passes.
  static void evict(Shard& shard) REQUIRES(shard.mutex) {
    Node* victim = shard.hand != nullptr ? shard.hand : shard.oldest;
    while (victim->visited) {
      victim->visited = false;
      victim = victim->newer != nullptr ? victim->newer : shard.oldest;
    }
    shard.hand = victim;
    unlink(shard, *victim);
    shard.map.erase(shard.map.find(*victim->key));
  }

  const size_t shard_entries_max_;
  std::unique_ptr<Shard[]> shards_;
};

}  // namespace shoal::meta
