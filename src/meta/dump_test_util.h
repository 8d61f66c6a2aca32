// For tests of dump and load: a volume with a bit of everything, and dumps as strings.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "meta/dump.h"
#include "meta/fsck.h"
#include "meta/load.h"
#include "meta/travelling.h"
#include "meta/volume_test_util.h"

namespace shoal::meta {

// Every kind of key that an owner writes; left as a crash would, with a file open and unlinked.
inline void fill(TestVolume& v) {
  const Ino folder = v.dir(kRootIno, "folder");
  const SegmentId segment = v.segment(1);
  for (int i = 0; i < 60; ++i) {
    const Ino ino = v.file(folder, fmt::format("file-{:03}", i));
    const auto at = static_cast<uint64_t>(i) * 4096;
    v.commit({v.data(ino, 0, 1000, segment, at)});
  }
  const Ino rewritten = v.file(kRootIno, "rewritten");  // its extents are records of their own
  for (uint64_t i = 0; i < 20; ++i) {
    v.commit({v.data(rewritten, i * 8192, 4096, segment, (1 << 20) + i * 4096)});
  }
  const Ino linked = v.file(folder, "linked");
  v.m().link(v.request, linked, kRootIno, "second name").value();
  v.m().symlink(v.request, kRootIno, "symlink", "folder/linked").value();
  v.m().mknod(v.request, kRootIno, "fifo", 0010644, 0).value();
  const std::string big(4000, 'x');
  v.m().setxattr(v.request, linked, "user.big", big, Metadata::XattrMode::kEither, false).value();
  v.m().copy_range(v.request, rewritten, 0, linked, 0, 4096).value();
  v.m().unlink(v.request, folder, "file-000").value();  // to the trash, if there is one
  v.m().create_unnamed(v.request, kRootIno, 0600, {}).value();
  v.m().segment_stored(v.request, segment, 2 << 20, true).value();
}

inline VolumeSpec spec_with_trash() {
  return {.name = "v", .bucket = "file:///b", .trash_days = 1};
}

// Takes an epoch and lets the owner go, as a command does before it dumps.
inline void fence(engine::KvEngine& engine, TestVolume& v, OwnerOptions options = {}) {
  v.owner.reset();
  sim::ManualExecutor executor(v.clock);
  open_owner(engine, v.clock, v.random, executor, options).value()->metadata().sync().value();
}

inline Result<std::string> dumped(engine::KvEngine& engine, TestVolume& v,
                                  DumpReport* report = nullptr, size_t chunk_bytes = 1000) {
  std::string stream;
  const auto sink = [&stream](ByteView bytes) -> Status {
    stream += as_text(bytes);
    return {};
  };
  TRY_ASSIGN(DumpReport made,
             dump(engine, v.clock, v.random, sink, {.progress = {}, .chunk_bytes = chunk_bytes}));
  EXPECT_EQ(made.stream_bytes, stream.size());
  if (report != nullptr) *report = std::move(made);
  return stream;
}

// Gives out odd pieces, as a pipe would.
inline DumpSource source_of(std::string_view stream) {
  return [stream, at = size_t{0}](MutableBytes into) mutable -> Result<size_t> {
    const size_t n = std::min({into.size(), stream.size() - at, size_t{777}});
    std::copy_n(as_bytes(stream).begin() + static_cast<ptrdiff_t>(at), n, into.begin());
    at += n;
    return n;
  };
}

inline Result<LoadReport> loaded(engine::KvEngine& engine, std::string_view stream, Random& random,
                                 size_t ingest_bytes = 3000) {
  TRY_ASSIGN(const auto reader, DumpReader::open(source_of(stream)));
  return load(engine, *reader, random, {.progress = {}, .ingest_bytes = ingest_bytes});
}

// Everything that travels: "key@stamp=value", in hex where it must.
inline std::vector<std::string> travelling(engine::KvEngine& engine) {
  std::vector<std::string> all;
  each_travelling(engine, [&all](const engine::Item& item) -> Status {
    all.push_back(fmt::format("{}{}@{}={}", item.key[0], to_hex(as_bytes(item.key.substr(1))),
                              item.stamp, to_hex(as_bytes(item.value))));
    return {};
  }).value();
  return all;
}

inline void expect_clean(engine::KvEngine& engine) {
  const FsckReport report = fsck(engine, {}).value();
  EXPECT_EQ(report.problems_total, 0u);
  for (const FsckProblem& problem : report.problems) ADD_FAILURE() << problem.what;
}

}  // namespace shoal::meta
