// dump and load between the real engines: whatever left comes back.
#include "engine/postgres/testing/volume.h"
#include "engine/rocksdb/rocksdb_engine.h"
#include "meta/dump_test_util.h"
#include "sim/scratch_folder.h"

namespace shoal::meta {
namespace {

class MovingTest : public testing::Test {
 protected:
  std::unique_ptr<engine::KvEngine> rocksdb(const std::string& name) {
    return engine::open_rocksdb(fs_, join(scratch_.path(), name), {.create_if_missing = true})
        .value();
  }
  // Every file of the volume that fill() made is where it was, for an owner of its own.
  void expect_usable(engine::KvEngine& engine, TestVolume& v, const std::string& made_name) {
    sim::ManualExecutor executor(v.clock);
    const auto owner = open_owner(engine, v.clock, v.random, executor).value();
    Request request;
    request.caller.kernel_checked = true;
    const Ino folder = owner->metadata().lookup(request, kRootIno, "folder")->ino;
    EXPECT_EQ(owner->metadata().lookup(request, folder, "file-059")->size, 1000u);
    EXPECT_EQ(owner->metadata()
                  .readlink(request, owner->metadata().lookup(request, kRootIno, "symlink")->ino)
                  .value(),
              "folder/linked");
    request.session = owner->metadata().session_open("host", "after").value();
    const Ino made = owner->metadata().mkdir(request, kRootIno, made_name, 0755)->ino;
    EXPECT_GT(made, folder) << "numbers are leased anew, above those that are taken";
    owner->metadata().session_close(request.session).value();
    owner->metadata().sync().value();
  }

  RealFs fs_;
  sim::ScratchFolder scratch_;
};

TEST_F(MovingTest, from_rocksdb_to_postgres_and_back_nothing_changes) {
  const auto source = rocksdb("source");
  TestVolume v(spec_with_trash(), source.get());
  fill(v);
  fence(*source, v);
  const std::string out = dumped(*source, v).value();

  engine::postgres::Volume place;
  const auto postgres = place.open();
  loaded(*postgres, out, v.random).value();
  EXPECT_EQ(travelling(*postgres), travelling(*source));
  expect_clean(*postgres);
  expect_usable(*postgres, v, "made on PostgreSQL");
  expect_clean(*postgres);

  fence(*postgres, v);
  const std::string back = dumped(*postgres, v).value();
  const auto target = rocksdb("target");
  loaded(*target, back, v.random).value();
  EXPECT_EQ(travelling(*target), travelling(*postgres));
  expect_clean(*target);
  expect_usable(*target, v, "made on RocksDB");
}

TEST_F(MovingTest, a_load_into_postgres_goes_on_after_an_interruption) {
  const auto source = rocksdb("source");
  TestVolume v(spec_with_trash(), source.get());
  fill(v);
  fence(*source, v);
  const std::string stream = dumped(*source, v).value();
  engine::postgres::Volume place;
  const auto postgres = place.open();
  ASSERT_EQ(loaded(*postgres, stream.substr(0, stream.size() * 3 / 4), v.random).code(), EBADMSG);
  EXPECT_GT(loaded(*postgres, stream, v.random)->chunks_before, 0u);
  EXPECT_EQ(travelling(*postgres), travelling(*source));
  expect_clean(*postgres);
}

TEST_F(MovingTest, a_load_into_rocksdb_goes_on_in_another_process) {
  const auto source = rocksdb("source");
  TestVolume v(spec_with_trash(), source.get());
  fill(v);
  fence(*source, v);
  const std::string stream = dumped(*source, v).value();
  ASSERT_EQ(loaded(*rocksdb("target"), stream.substr(0, stream.size() / 2), v.random).code(),
            EBADMSG);
  EXPECT_EQ(read_volume(*rocksdb("target")).code(), EINPROGRESS);
  EXPECT_GT(loaded(*rocksdb("target"), stream, v.random)->chunks_before, 0u);
  const auto target = rocksdb("target");
  EXPECT_EQ(travelling(*target), travelling(*source));
  expect_clean(*target);
}

}  // namespace
}  // namespace shoal::meta
