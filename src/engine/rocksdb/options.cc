// How RocksDB is set up, and why.
//
// Recovery. The log is synced by sync() only, so after a power cut its tail may be torn or have
// holes anywhere behind the last sync. kPointInTimeRecovery replays up to the first record that is
// not whole and drops what follows: a prefix of the commits, never without the synced ones.
// kTolerateCorruptedTailRecords would refuse to open when a later page of the tail reached the disk
// and an earlier one did not (I9: no manual step). Damage inside the synced part looks the same to
// RocksDB and would also cut the tail off; the owner's epoch and the bucket's owner marker (design
// §5.2) are what notices a rewound database.
//
// Logs are not recycled: a recycled log has old records behind its end, and this version of RocksDB
// turns recycling off for point-in-time recovery because it was found to leave holes.
#include <rocksdb/cache.h>
#include <rocksdb/env.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/listener.h>
#include <rocksdb/options.h>
#include <rocksdb/table.h>
#include <rocksdb/utilities/table_properties_collectors.h>

#include <algorithm>
#include <cstdarg>
#include <cstdio>

#include "base/log.h"
#include "engine/rocksdb/database.h"
#include "engine/rocksdb/stored_value.h"

namespace shoal::engine {
namespace {

constexpr size_t kBlockBytesOnDisk = 16 << 10;
constexpr int kFilterBitsPerKey = 10;  // 1 % false positives

// RocksDB's own log: what it calls errors goes into ours, the rest only when debugging. It must not
// go to LOG files: Debian's RocksDB has its assertions on, and one of them aborts the process when
// a LOG file fails a second time.
class ForwardedLog final : public rocksdb::Logger {
 public:
  ForwardedLog() : Logger(rocksdb::InfoLogLevel::WARN_LEVEL) {}
  using Logger::Logv;
  void Logv(const rocksdb::InfoLogLevel level, const char* format, va_list arguments) override {
    const bool serious = level >= rocksdb::InfoLogLevel::ERROR_LEVEL;
    if (serious || level == rocksdb::InfoLogLevel::WARN_LEVEL) {
      forward(serious ? LogLevel::kWarn : LogLevel::kDebug, format, arguments);
    }
  }
  // Called for its headers only, which are of no interest.
  void Logv(const char*, va_list) override {}

 private:
  static void forward(LogLevel level, const char* format, va_list arguments) {
    if (!log_enabled(level)) return;
    char line[1024];
    std::vsnprintf(line, sizeof line, format, arguments);
    log(level, "RocksDB: {}", line);
  }
};

// RocksDB would poll every 5 s for space; the engine itself resumes it, at the first commit that
// finds room.
class SpaceListener final : public rocksdb::EventListener {
 public:
  explicit SpaceListener(std::shared_ptr<std::atomic<bool>> full) : full_(std::move(full)) {}
  void OnBackgroundError(rocksdb::BackgroundErrorReason, rocksdb::Status* status) override {
    if (status->IsNoSpace()) *full_ = true;
  }
  void OnErrorRecoveryBegin(rocksdb::BackgroundErrorReason, rocksdb::Status,
                            bool* automatic) override {
    *automatic = false;
  }

 private:
  const std::shared_ptr<std::atomic<bool>> full_;  // with the engine
};

rocksdb::BlockBasedTableOptions table_options(const RocksdbOptions& wanted) {
  rocksdb::BlockBasedTableOptions table;
  table.block_size = kBlockBytesOnDisk;
  table.format_version = 5;
  table.data_block_index_type = rocksdb::BlockBasedTableOptions::kDataBlockBinaryAndHash;
  rocksdb::LRUCacheOptions cache;
  cache.capacity = wanted.block_cache_bytes;
  cache.num_shard_bits = 4;
  cache.high_pri_pool_ratio = 0.5;
  table.block_cache = rocksdb::NewLRUCache(cache);
  // Indexes and filters live in the cache too, in parts, so that memory is bounded by it however
  // many files there are; only their tops (a few KiB a file) stay.
  table.index_type = rocksdb::BlockBasedTableOptions::kTwoLevelIndexSearch;
  table.partition_filters = true;
  table.metadata_block_size = 8 << 10;
  table.cache_index_and_filter_blocks = true;
  table.cache_index_and_filter_blocks_with_high_priority = true;
  table.pin_top_level_index_and_filter = true;
  // Whole keys: an insert has to know that its key is absent, and most are.
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(kFilterBitsPerKey));
  table.whole_key_filtering = true;
  return table;
}

}  // namespace

rocksdb::Options database_options(const RocksdbOptions& wanted, rocksdb::Env* env,
                                  std::shared_ptr<std::atomic<bool>> full) {
  rocksdb::Options options;
  options.listeners.push_back(std::make_shared<SpaceListener>(std::move(full)));
  options.env = env;
  options.create_if_missing = wanted.create_if_missing;
  options.merge_operator = make_counter_merge();
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table_options(wanted)));
  options.compression = rocksdb::kLZ4Compression;

  // Memory: three memtables of half the budget at worst, beside the block cache.
  options.write_buffer_size = std::max<uint64_t>(wanted.write_buffer_bytes / 2, 64 << 10);
  options.max_write_buffer_number = 3;
  options.memtable_whole_key_filtering = true;
  options.memtable_prefix_bloom_size_ratio = 0.05;
  options.max_successive_merges = 64;  // so that reading a hot counter stays short
  options.max_open_files = 256;

  options.max_background_jobs = 2;
  options.max_subcompactions = 1;
  options.level_compaction_dynamic_level_bytes = true;
  options.target_file_size_base = 64 << 20;
  options.max_bytes_for_level_base = 128 << 20;
  // Queues (reclaim, trash) are read from a front where everything was deleted; compact such
  // stretches early.
  options.table_properties_collector_factories.push_back(
      rocksdb::NewCompactOnDeletionCollectorFactory(4'096, 2'048));

  options.wal_recovery_mode = rocksdb::WALRecoveryMode::kPointInTimeRecovery;
  options.recycle_log_file_num = 0;
  options.manual_wal_flush = false;
  options.allow_fallocate = false;
  options.max_manifest_file_size = 16 << 20;
  options.skip_stats_update_on_db_open = true;

  options.info_log = std::make_shared<ForwardedLog>();
  options.stats_dump_period_sec = 0;
  options.stats_persist_period_sec = 0;
  return options;
}

}  // namespace shoal::engine
