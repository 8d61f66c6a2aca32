// moving_bench FOLDER [INODES] [POSTGRES-URL]: how fast dump and load are. Makes a volume of small
// inodes on RocksDB through its owner, dumps it to a string a time (the disk is not measured), and
// loads it into RocksDB and, with a URL, into an empty PostgreSQL volume. Not a test; figures go
// into docs/performance.md.
#include <fmt/core.h>

#include <cstdlib>

#include "engine/postgres/postgres_engine.h"
#include "engine/rocksdb/rocksdb_engine.h"
#include "meta/dump.h"
#include "meta/load.h"
#include "meta/owner.h"
#include "meta/travelling.h"
#include "sys/executor.h"

namespace shoal::meta {
namespace {

constexpr uint64_t kPerFolder = 10'000;

class Bench {
 public:
  explicit Bench(Path folder) : folder_(std::move(folder)) {}

  void make(uint64_t inodes) {
    make_dirs(fs_, folder_).value();
    source_ = open("source");
    format_volume(*source_, {.name = "v", .bucket = "file:///b"}, clock_, random_).value();
    ThreadPool executor("work", 2);
    const auto owner = open_owner(*source_, clock_, random_, executor).value();
    Metadata& m = owner->metadata();
    Request request;
    request.session = m.session_open("host", "bench").value();
    request.caller.kernel_checked = true;
    const uint32_t store = m.store_open(request.session, Uuid{{1}}, "host", "/s", 77, "").value();
    const SegmentId segment{77, 1};
    m.segment_open(request, segment, store).value();
    for (uint64_t made = 1; made < inodes;) {
      const Ino folder = m.mkdir(request, kRootIno, fmt::format("folder-{}", made), 0755)->ino;
      ++made;
      for (uint64_t i = 0; i < kPerFolder && made < inodes;) {
        std::vector<Metadata::CreateMany> files;
        for (; files.size() < 100 && made < inodes; ++i, ++made) {
          files.push_back({fmt::format("small-file-{:07}.bin", i), 0100644});
        }
        std::vector<DataRecord> records;
        for (auto& created : m.create_many(request, folder, files)) {
          const Attr attr = created.value().opened.attr;
          records.push_back(record_of(attr, segment));
          m.release(request, attr.ino, {}).value();
        }
        m.commit_data(request, store, records).value();
      }
    }
    m.segment_stored(request, segment, 64 << 20, true).value();
    m.session_close(request.session).value();
    m.sync().value();
  }

  void dump_it() {
    const auto begin = clock_.since_boot();
    const auto sink = [this](ByteView bytes) -> Status {
      stream_ += as_text(bytes);
      return {};
    };
    const DumpReport report = dump(*source_, clock_, random_, sink, {}).value();
    inodes_ = count_of(report.footer.totals, 'I');
    say("dump from", *source_, begin);
    fmt::print("{} inodes, {} keys, {:.1f} MB of keys and values, {:.1f} MB of stream\n", inodes_,
               report.footer.totals.keys, static_cast<double>(report.footer.totals.bytes) / 1e6,
               static_cast<double>(stream_.size()) / 1e6);
  }

  void load_it(engine::KvEngine& engine) {
    const auto begin = clock_.since_boot();
    const auto reader =
        DumpReader::open([this, at = size_t{0}](MutableBytes into) mutable -> Result<size_t> {
          const size_t n = std::min(into.size(), stream_.size() - at);
          std::copy_n(as_bytes(stream_).begin() + static_cast<ptrdiff_t>(at), n, into.begin());
          at += n;
          return n;
        }).value();
    load(engine, *reader, random_).value();
    say("load into", engine, begin);
  }
  void dump_from(engine::KvEngine& engine) {
    const auto begin = clock_.since_boot();
    dump(engine, clock_, random_, [](ByteView) { return Status(); }, {}).value();
    say("dump from", engine, begin);
  }

  std::unique_ptr<engine::KvEngine> open(const std::string& name) {
    return engine::open_rocksdb(fs_, join(folder_, name), {.create_if_missing = true}).value();
  }
  const Clock& clock() const { return clock_; }

 private:
  DataRecord record_of(const Attr& attr, const SegmentId& segment) {
    DataRecord record;
    record.header.kind = format::RecordKind::kData;
    record.header.ino = attr.ino;
    record.header.generation = attr.generation;
    record.header.sequence = ++sequence_;
    record.header.base_version = attr.data_version;
    record.header.length = 100;
    record.header.mtime = clock_.now();
    record.target = format::Target{.segment = segment, .offset = sequence_ * 228, .length = 100};
    return record;
  }
  void say(std::string_view what, engine::KvEngine& engine, std::chrono::nanoseconds begin) {
    const double seconds = static_cast<double>((clock_.since_boot() - begin).count()) / 1e9;
    fmt::print("{} {}: {:.2f} s, {:.2f} million inodes a minute\n", what, engine.describe(),
               seconds, static_cast<double>(inodes_) * 60 / seconds / 1e6);
  }

  const Path folder_;
  RealFs fs_;
  SystemClock clock_;
  SystemRandom random_;
  std::unique_ptr<engine::KvEngine> source_;
  std::string stream_;
  uint64_t inodes_ = 0;
  uint64_t sequence_ = 0;
};

int run(const Path& folder, uint64_t inodes, const std::string& url) {
  Bench bench(folder);
  bench.make(inodes);
  bench.dump_it();
  bench.load_it(*bench.open("target"));
  if (url.empty()) return 0;
  const auto postgres =
      engine::open_postgres(url, {.create_if_missing = true}, bench.clock()).value();
  bench.load_it(*postgres);
  bench.dump_from(*postgres);
  return 0;
}

}  // namespace
}  // namespace shoal::meta

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  const uint64_t inodes = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1'000'000;
  return shoal::meta::run(argv[1], inodes, argc > 3 ? argv[3] : "");
}
