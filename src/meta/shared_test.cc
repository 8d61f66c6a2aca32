// Several sessions of one owner: what they commit over each other, and what they are told.
#include "meta/volume_test_util.h"

namespace shoal::meta {
namespace {

constexpr Ino kRoot = kRootIno;
using Kind = DataOutcome::Kind;
using Kinds = std::vector<Kind>;
using format::RecordKind;

// Records of one store for one inode, each naming the one before.
struct Writer {
  Writer(TestVolume& of, Ino file, uint32_t store_number) : v(of), ino(file), store(store_number) {
    base = v.attr(ino).data_version;
  }
  DataRecord record(uint64_t offset, uint64_t length, const SegmentId& segment) {
    DataRecord record = v.data(ino, offset, length, segment, 1000 * ++sequence);
    record.header.sequence = sequence;
    record.header.previous_sequence = std::exchange(last, sequence);
    record.header.base_version = base;
    record.live = true;
    return record;
  }
  CommitReply commit(const std::vector<DataRecord>& records) {
    return v.m().commit_data(v.request, store, records).value();
  }
  Kind outcome(const DataRecord& record) { return commit({record}).outcomes[0].kind; }

  TestVolume& v;
  const Ino ino;
  const uint32_t store;
  uint64_t sequence = 0, last = 0;
  Stamp base = 0;
};

DataRecord replayed(DataRecord record) {
  record.live = false;
  return record;
}

TEST(SharedCommits, stores_that_are_alive_commit_over_each_other_and_once_each) {
  TestVolume v;
  const Ino f = v.file(kRoot, "f");
  const SegmentId s = v.segment(1);
  Writer a(v, f, 11), b(v, f, 12);
  const DataRecord a1 = a.record(0, 10, s), a2 = a.record(20, 10, s), a3 = a.record(40, 10, s);
  const DataRecord b1 = b.record(10, 10, s), b2 = b.record(30, 10, s);
  for (const auto& [writer, record] :
       {std::pair(&a, a1), std::pair(&b, b1), std::pair(&a, a2), std::pair(&b, b2)}) {
    const Stamp before = v.attr(f).data_version;
    const CommitReply reply = writer->commit({record});
    EXPECT_EQ(reply.outcomes[0].kind, Kind::kApplied);
    EXPECT_EQ(reply.inodes[0].before, before);
  }
  EXPECT_EQ(v.attr(f).size, 40u);
  EXPECT_EQ(v.attr(f).allocated, 40u);
  v.open();  // the memory of both is the inode's
  EXPECT_EQ(a.outcome(a2), Kind::kAlready);
  EXPECT_EQ(b.outcome(b1), Kind::kAlready);
  EXPECT_EQ(a.outcome(replayed(a1)), Kind::kAlready);
  EXPECT_EQ(a.outcome(a3), Kind::kApplied);
  v.check();
}

TEST(SharedCommits, a_live_record_without_its_predecessor_is_a_conflict) {
  TestVolume v;
  const Ino f = v.file(kRoot, "f");
  const SegmentId s = v.segment(1);
  Writer a(v, f, 11), b(v, f, 12);
  EXPECT_EQ(a.outcome(a.record(0, 10, s)), Kind::kApplied);
  const DataRecord lost = b.record(0, 5, s);
  EXPECT_EQ(b.outcome(b.record(5, 5, s)), Kind::kConflict);
  EXPECT_EQ(b.outcome(lost), Kind::kApplied);
  EXPECT_EQ(a.outcome(a.record(0, 1, s)), Kind::kApplied);
  b.record(0, 1, s);
  EXPECT_EQ(b.outcome(b.record(0, 1, s)), Kind::kConflict);
}

TEST(SharedCommits, a_replay_is_never_laid_over_what_others_committed) {
  TestVolume v;
  const Ino f = v.file(kRoot, "f");
  const SegmentId s = v.segment(1);
  Writer a(v, f, 11), b(v, f, 12);
  const DataRecord a1 = a.record(0, 10, s), a2 = a.record(0, 10, s);
  EXPECT_EQ(a.outcome(a1), Kind::kApplied);
  EXPECT_EQ(b.outcome(b.record(0, 5, s)), Kind::kApplied);
  EXPECT_EQ(a.outcome(replayed(a2)), Kind::kConflict);
  a.last = a1.header.sequence;
  a.base = v.attr(f).data_version;  // it had seen what b did
  EXPECT_EQ(a.outcome(replayed(a.record(0, 10, s))), Kind::kApplied);
  v.check();
}

TEST(SharedCommits, stores_beyond_the_last_few_are_forgotten_and_still_commit) {
  TestVolume v;
  const Ino f = v.file(kRoot, "f");
  const SegmentId s = v.segment(1);
  std::vector<Writer> writers;
  for (uint32_t i = 0; i < format::kAppliedOthersMax + 4; ++i) writers.emplace_back(v, f, 11 + i);
  for (int round = 0; round < 3; ++round) {
    for (Writer& writer : writers)
      EXPECT_EQ(writer.outcome(writer.record(0, 5, s)), Kind::kApplied);
  }
  v.check();
}

TEST(SharedCommits, appends_of_two_stores_follow_each_other_and_say_where) {
  TestVolume v;
  const Ino f = v.file(kRoot, "f");
  const SegmentId s = v.segment(1);
  Writer a(v, f, 11), b(v, f, 12);
  const auto append = [&](Writer& writer) {
    DataRecord record = writer.record(0, 10, s);  // where its mount believes the end to be
    record.append = true;
    return writer.commit({record}).outcomes[0].placed_at;
  };
  EXPECT_EQ(append(a), 0u);
  EXPECT_EQ(append(b), 10u);
  EXPECT_EQ(append(a), 20u);
  EXPECT_EQ(v.attr(f).size, 30u);
  EXPECT_EQ(v.attr(f).allocated, 30u);
}

struct Heard {
  void listen(TestVolume& v, SessionId session) {
    v.m().session_events(session, [this](const SessionEvent& event) { events.push_back(event); });
  }
  size_t count(SessionEvent::Kind kind) const {
    size_t n = 0;
    for (const SessionEvent& event : events) n += event.kind == kind ? 1 : 0;
    return n;
  }
  std::vector<SessionEvent> events;
};

Request of(SessionId session) {
  Request request;
  request.session = session;
  request.caller.kernel_checked = true;
  return request;
}

TEST(SessionEvents, the_first_session_hears_of_the_second_before_that_is_answered) {
  TestVolume v;
  Heard first, second;
  first.listen(v, v.request.session);
  EXPECT_TRUE(first.events.empty());
  const SessionId other = v.m().session_open("host", "other").value();
  EXPECT_EQ(first.count(SessionEvent::Kind::kShared), 1u);
  second.listen(v, other);
  EXPECT_EQ(second.count(SessionEvent::Kind::kShared), 1u);
  v.m().session_events(v.request.session, nullptr);
  v.m().session_open("host", "third").value();
  EXPECT_EQ(first.events.size(), 1u);
}

TEST(SessionEvents, writers_of_one_file_in_several_sessions_are_known_and_told) {
  TestVolume v;
  const Ino f = v.file(kRoot, "f");
  const Request one = v.request, two = of(v.m().session_open("host", "two").value()),
                three = of(v.m().session_open("host", "three").value());
  Heard heard;
  heard.listen(v, one.session);
  const auto told = [&] { return heard.count(SessionEvent::Kind::kWrittenBySeveral); };
  constexpr OpenFlags kRead{true, false}, kWrite{false, true};
  EXPECT_FALSE(v.m().open(one, f, kWrite)->written_by_several);
  EXPECT_FALSE(v.m().open(one, f, kWrite)->written_by_several);
  EXPECT_FALSE(v.m().open(two, f, kRead)->written_by_several);
  EXPECT_EQ(told(), 0u);
  EXPECT_TRUE(v.m().open(two, f, kWrite)->written_by_several);
  EXPECT_EQ(told(), 1u);
  EXPECT_EQ(heard.events.back().ino, f);
  EXPECT_TRUE(v.m().open(three, f, kRead)->written_by_several);
  EXPECT_EQ(told(), 1u);
  EXPECT_TRUE(v.m().create(three, kRoot, "f", 0644, kWrite, false)->opened.written_by_several);
  v.m().release(three, f, kWrite).value();
  v.m().release(two, f, kWrite).value();
  EXPECT_FALSE(v.m().open(two, f, kRead)->written_by_several);
  v.m().session_close(one.session).value();
  EXPECT_FALSE(v.m().open(two, f, kWrite)->written_by_several);
}

}  // namespace
}  // namespace shoal::meta
