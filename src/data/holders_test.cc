// Slices that only another mount has: right bytes or an error, over real sockets.
#include "data/holders.h"

#include <gtest/gtest.h>

#include "base/coding.h"
#include "data/holder_protocol.h"
#include "data/holder_service.h"
#include "data/reader_file_test_util.h"
#include "rpc/rpc_test_util.h"

namespace shoal::data {
namespace {

using namespace std::chrono_literals;
using rpc::eventually;
using State = format::Segment::State;

// An owner that is asked for nothing but where segments are.
class Places final : public meta::UnansweredMetadata {
 public:
  std::function<Result<meta::SegmentPlace>()> answer;  // one at a time
  int asked() const {
    MutexLock lock(mutex_);
    return asked_;
  }
  Result<meta::SegmentPlace> segment_place(const SegmentId&) override {
    MutexLock lock(mutex_);
    ++asked_;
    return answer();
  }
  Result<uint32_t> store_open(SessionId, const Uuid&, const std::string&, const std::string&,
                              uint64_t, const std::string&) override {
    return Error(ENOSYS);
  }
  Status segment_open(const meta::Request&, const SegmentId&, uint32_t) override {
    return Error(ENOSYS);
  }
  Result<meta::CommitReply> commit_data(const meta::Request&, uint32_t,
                                        const std::vector<meta::DataRecord>&) override {
    return Error(ENOSYS);
  }
  Status segment_stored(const meta::Request&, const SegmentId&, uint64_t, bool) override {
    return Error(ENOSYS);
  }
  Status segment_discard(const meta::Request&, const SegmentId&) override { return Error(ENOSYS); }
  Result<std::vector<meta::SegmentInfo>> store_segments(uint32_t) override { return Error(ENOSYS); }
  Status sync() override { return Error(ENOSYS); }
  Stamp committed_stamp() override { return 0; }
  Stamp synced_stamp() override { return 0; }

 private:
  mutable Mutex mutex_;
  int asked_ GUARDED_BY(mutex_) = 0;
};

// One mount with staging and a service, another one that reads.
class HoldersTest : public ReaderTest {
 protected:
  HoldersTest() {
    set_log_sink([](LogLevel, std::string_view) {});
    machine.boot();
    FakeState state;
    for (Ino ino = 2; ino < 10; ++ino) state.inodes[ino];
    machine.engine.commit(state);
    machine.engine.sync();
    staging = machine.open(small_segments()).value();
    staging->replay(*machine.owner, 1).value();
    holder_reader =
        Reader::make({world->store, *world->cache, world->executor, world->clock, world->volume},
                     staging.get(), {});
    places.answer = [this] { return at(address()); };
  }
  ~HoldersTest() override {
    close();
    holders.reset();
    service.reset();
    holder_reader.reset();
    staging.reset();
    set_log_sink(nullptr);
  }

  static meta::SegmentPlace at(const std::string& address, State state = State::kStaging) {
    return {state, 1, "node-a", "/state/stores/1", address};
  }
  std::string address() const { return rig.scratch.unix_address().to_string(); }
  void serve() {
    service = HolderService::start(rig.real(), *staging, *holder_reader,
                                   {rig.scratch.unix_address(), "v", std::string(rpc::kTestToken)})
                  .value();
  }
  // The mount that reads.
  void begin(std::chrono::milliseconds timeout, std::string_view token = rpc::kTestToken) {
    close();
    holders = std::make_unique<Holders>(rig.real(), places,
                                        HoldersOptions{"v", std::string(token), "reader", timeout});
    holders->own_store(9);
    reader = Reader::make(
        {world->store, *world->cache, world->executor, world->clock, world->volume, holders.get()},
        nullptr, {});
    pattern = reader->make_pattern();
    world->store.take_gets();
  }
  TestFile stage(const std::vector<uint64_t>& lengths) {
    TestFile file;
    for (const uint64_t length : lengths) {
      const std::string bytes = data::pattern(length, length);
      const Journaled journaled =
          append_bytes(*staging, data_operation(2, file.bytes.size(), length), bytes).value();
      file.add(*journaled.record.target, bytes);
    }
    return file;
  }

  rpc::Rig rig;
  Machine machine{7};
  std::unique_ptr<Staging> staging;
  std::unique_ptr<Reader> holder_reader;
  std::unique_ptr<HolderService> service;
  Places places;
  std::unique_ptr<Holders> holders;
};

TEST_F(HoldersTest, what_another_mount_has_staged_is_read_from_it_and_kept_nowhere) {
  const TestFile file = stage({4096, 300'000, 1, 65'536, 65'537});
  serve();
  begin(10s);
  for (const ReadMode how : {ReadMode::kRandom, ReadMode::kStream}) {
    for (uint64_t offset = 0; offset < file.bytes.size(); offset += 70'001)
      expect_right(file, offset, std::min<uint64_t>(90'000, file.bytes.size() - offset), how);
    expect_right(file, 0, file.bytes.size(), how);
  }
  for (uint64_t offset = 0; offset + 10'000 < file.bytes.size(); offset += 10'000) {
    EXPECT_EQ(read_file(file, offset, 10'000), file.bytes.substr(offset, 10'000)) << "read ahead";
  }
  // The bucket was asked for the first one only: then it is known who writes these segments.
  EXPECT_EQ(world->store.take_gets().size(), 1u);
  EXPECT_GT(reader->stats().holder_bytes, 2 * file.bytes.size());
  EXPECT_EQ(reader->stats().store_bytes, 0u);
  for (const format::Extent& extent : file.extents) {
    EXPECT_FALSE(world->cached(extent.target.segment, extent.target.offset / kBlockBytes));
  }
}

TEST_F(HoldersTest, who_does_not_know_the_token_gets_nothing) {
  const TestFile file = stage({4096});
  serve();
  begin(200ms, "another token, long enough");
  EXPECT_EQ(read_pieces(file, 0, 4096, ReadMode::kRandom), failure(EIO));
  EXPECT_EQ(holders->holds(address(), file.extents[0].target.segment).code(), ENOTCONN);
  EXPECT_EQ(reader->stats().holder_bytes, 0u);
}

TEST_F(HoldersTest, bytes_damaged_on_the_holders_disk_are_eio) {
  for (const uint64_t length : {uint64_t{4096}, uint64_t{100'000}}) {
    const TestFile file = stage({length});
    const Path journals = join(staging->folder(), "journals");
    int damaged = 0;
    for (const std::string& name : machine.disk.list(journals).value()) {
      auto journal = machine.disk.open(join(journals, name), OpenMode::kReadWrite).value();
      std::string text(journal->size().value(), 0);
      journal->read_at(0, as_mutable_bytes(text)).value();
      const size_t at = text.find(file.bytes.substr(2000, 64));
      if (at == std::string::npos) continue;
      const auto flipped = static_cast<std::byte>(text[at] ^ 1);
      journal->write_at(at, {&flipped, 1}).value();
      ++damaged;
    }
    ASSERT_EQ(damaged, 1);
    if (service == nullptr) serve();
    begin(200ms);
    EXPECT_EQ(read_pieces(file, 0, length, ReadMode::kRandom), failure(EIO));
  }
}

// Answers what a test says, with the volume's token.
class Liar {
 public:
  Liar(rpc::Rig& rig, std::function<Result<std::string>(rpc::Call&)> give)
      : answer_(std::move(give)) {
    rpc::ServerOptions options;
    options.authenticate = [](const rpc::Applicant&) -> Result<std::string> {
      return std::string(rpc::kTestToken);
    };
    server_ = rpc::RpcServer::start(rig.real(), rig.scratch.unix_address(), options,
                                    {.call =
                                         [this](const std::shared_ptr<rpc::Call>& call) {
                                           Result<std::string> answer = answer_(*call);
                                           if (answer.ok()) return call->reply(*answer);
                                           call->fail(answer.error());
                                         },
                                     .connected = {},
                                     .disconnected = {}})
                  .value();
  }
  ~Liar() { server_->stop(0ms); }

 private:
  std::function<Result<std::string>(rpc::Call&)> answer_;
  std::unique_ptr<rpc::RpcServer> server_;
};

TEST_F(HoldersTest, an_answer_that_is_damaged_is_never_handed_on) {
  const TestFile file = stage({4096});
  std::string right(kStagedBytesAt, '\0');
  right += file.bytes;
  seal_staged_bytes(right);
  std::string flipped = right, other(kStagedBytesAt, '\0');
  flipped[1000] = static_cast<char>(flipped[1000] ^ 1);
  other += data::pattern(99, 4096);  // with its right CRC
  seal_staged_bytes(other);
  for (const std::string& answer :
       {flipped, other, right.substr(0, 4000), right + "x", std::string(), std::string("abc")}) {
    std::atomic<int> uploads = 0;
    const Liar liar(rig, [&](rpc::Call& call) -> Result<std::string> {
      if (call.method() == kUploadSoon) ++uploads;
      return call.method() == kReadStaged ? answer : std::string();
    });
    begin(150ms);
    EXPECT_EQ(read_pieces(file, 0, 4096, ReadMode::kRandom), failure(EIO));
    EXPECT_GT(uploads, 0) << "the bucket might get the right ones";
  }
  {  // A part of a slice has no CRC in the extent.
    std::string part = right.substr(0, kStagedBytesAt + 1000);
    seal_staged_bytes(part);
    part[500] = static_cast<char>(part[500] ^ 1);
    const Liar liar(rig, [&](rpc::Call& call) -> Result<std::string> {
      return call.method() == kReadStaged ? part : std::string();
    });
    begin(150ms);
    EXPECT_EQ(read_pieces(file, 0, 1000, ReadMode::kRandom), failure(EIO));
  }
  const Liar honest(rig, [&](rpc::Call&) -> Result<std::string> { return right; });
  begin(10s);
  EXPECT_EQ(read_pieces(file, 0, 4096, ReadMode::kRandom), file.bytes);
}

TEST_F(HoldersTest, what_was_stored_meanwhile_is_read_from_the_bucket) {
  TestFile file;
  write(file, 1, {5000, 100'000});
  world->remove(segment_id(1));
  const Liar recycled(rig, [&](rpc::Call& call) -> Result<std::string> {
    if (call.method() == kReadStaged) return error(ENOENT, "not here");
    return std::string();
  });
  int times = 0;
  places.answer = [&]() -> Result<meta::SegmentPlace> {
    if (++times < 3) return at(address());
    heal_object(1);
    return at("", State::kStored);
  };
  begin(10s);
  EXPECT_EQ(read_pieces(file, 0, 105'000, ReadMode::kRandom), file.bytes);
  const int asked = places.asked();
  EXPECT_EQ(read_pieces(file, 0, 105'000, ReadMode::kRandom), file.bytes);
  EXPECT_EQ(places.asked(), asked) << "it is known by now";
}

TEST_F(HoldersTest, a_segment_that_was_freed_is_enoent_and_one_given_up_eio_at_once) {
  const TestFile file = stage({4096});
  begin(1h);
  places.answer = []() -> Result<meta::SegmentPlace> { return Error(ENOENT); };
  EXPECT_EQ(read_pieces(file, 0, 4096, ReadMode::kRandom), failure(ENOENT));
  places.answer = [this] { return at("", State::kLost); };
  EXPECT_EQ(read_pieces(file, 0, 4096, ReadMode::kRandom), failure(EIO));
  places.answer = [] { return meta::SegmentPlace{State::kStaging, 9, "here", "/state", ""}; };
  EXPECT_EQ(read_pieces(file, 0, 4096, ReadMode::kRandom), failure(EIO)) << "its own is gone";
}

TEST_F(HoldersTest, a_holder_that_is_gone_is_waited_for_once_and_named) {
  const TestFile file = stage({4096});
  begin(300ms);
  std::string slice(4096, '\0');
  const auto read = [&] {
    return holders->read(file.extents[0].target, 0, as_mutable_bytes(slice));
  };
  const auto gone = read();
  ASSERT_EQ(gone.code(), EIO);
  EXPECT_NE(gone.error().message().find("node-a"), std::string::npos) << gone.error().text();
  EXPECT_NE(gone.error().message().find(file.extents[0].target.segment.to_string()),
            std::string::npos);
  const int asked = places.asked();
  EXPECT_GT(asked, 2);
  EXPECT_EQ(read().code(), EIO);
  EXPECT_EQ(places.asked(), asked + 1) << "the next one does not wait for it";
}

TEST_F(HoldersTest, a_holder_that_comes_back_elsewhere_is_found) {
  const TestFile file = stage({4096, 100'000});
  std::atomic<int> times = 0;
  places.answer = [&] {
    if (++times == 5) serve();
    return at(times < 5 ? "unix:" + rig.scratch.path("nobody") : address());
  };
  begin(60s);
  EXPECT_EQ(read_pieces(file, 0, 104'096, ReadMode::kRandom), file.bytes);
  // It dies between two reads of a segment that is known to be there.
  service.reset();
  times = 0;
  EXPECT_EQ(read_pieces(file, 0, 104'096, ReadMode::kRandom), file.bytes);
}

TEST_F(HoldersTest, a_holder_uploads_when_it_is_asked_to) {
  const TestFile file = stage({4096});
  const SegmentId id = file.extents[0].target.segment;
  serve();
  begin(60s);
  EXPECT_TRUE(holders->holds(address(), id).value());
  EXPECT_FALSE(holders->holds(address(), segment_id(5)).value());
  places.answer = [&] {
    machine.executor->run_ready();
    const bool stored = !machine.bucket.object(machine.volume, id).empty();
    return at(address(), stored ? State::kStored : State::kStaging);
  };
  holders->wait_stored(id).value();
  EXPECT_FALSE(machine.bucket.object(machine.volume, id).empty());
  const int asked = places.asked();
  holders->wait_stored(id).value();
  EXPECT_EQ(places.asked(), asked);
}

TEST_F(HoldersTest, waiting_for_an_upload_ends_in_eio_when_the_holder_is_gone) {
  const TestFile file = stage({4096});
  const SegmentId id = file.extents[0].target.segment;
  begin(200ms);
  EXPECT_EQ(holders->wait_stored(id).code(), EIO);
  places.answer = []() -> Result<meta::SegmentPlace> { return Error(ENOENT); };
  holders->wait_stored(id).value();
  places.answer = [] { return meta::SegmentPlace{State::kStaging, 9, "here", "/state", ""}; };
  holders->wait_stored(id).value();
}

TEST(HolderProtocol, only_what_is_well_formed_is_taken) {
  StagedRange range{{.segment = {1, 2}, .offset = 300, .length = 5000, .crc = 7}, 10, 4990};
  const std::string body = encode(range);
  const StagedRange back = decode_staged_range(body).value();
  EXPECT_EQ(back.slice.segment, range.slice.segment);
  EXPECT_EQ(back.slice.crc, range.slice.crc);
  EXPECT_EQ(back.first + back.length, 5000u);
  for (size_t n = 0; n < body.size(); ++n)
    EXPECT_EQ(decode_staged_range(body.substr(0, n)).code(), EBADMSG) << n;
  EXPECT_EQ(decode_staged_range(body + '\0').code(), EBADMSG);
  const auto refused = [](StagedRange bad) { return decode_staged_range(encode(bad)).code(); };
  StagedRange bad = range;
  bad.length = 4991;
  EXPECT_EQ(refused(bad), EBADMSG);
  bad.length = 0;
  EXPECT_EQ(refused(bad), EBADMSG);
  bad = range;
  bad.first = ~uint64_t{0};
  EXPECT_EQ(refused(bad), EBADMSG);
  bad = range;
  bad.slice.length = uint64_t{1} << 40;
  bad.length = kHolderReadBytesMax + 1;
  EXPECT_EQ(refused(bad), EBADMSG);
  EXPECT_EQ(decode_segment(encode(SegmentId{3, 4}))->sequence, 4u);
  EXPECT_EQ(decode_segment("short").code(), EBADMSG);
  EXPECT_EQ(decode_segment(std::string(17, 'x')).code(), EBADMSG);
}

}  // namespace
}  // namespace shoal::data
