#include <gtest/gtest.h>

#include "base/bytes.h"
#include "format/inode.h"
#include "format/keys.h"
#include "format/volume.h"

namespace shoal::format {
namespace {

std::string hex(const std::string& bytes) { return to_hex(as_bytes(bytes)); }

Extent usual_extent() {
  Extent extent;
  extent.length = 4096;
  extent.target.segment = {0x0123456789abcdef, 1234};
  extent.target.offset = 60'000'000;
  extent.target.length = 4096;
  extent.target.crc = 0xdeadbeef;
  return extent;
}

Inode usual_file() {
  Inode inode;
  inode.mode = 0100644;
  inode.uid = 1000;
  inode.gid = 1000;
  inode.nlink = 1;
  inode.size = inode.allocated = 4096;
  inode.mtime = {1'700'000'001, 999'999'999};
  inode.ctime = {1'700'000'002, 999'999'998};
  inode.atime = inode.btime = {1'700'000'000, 123'456'789};
  inode.parent = 3'000'000;
  inode.generation = 0xfedcba98;
  inode.data_version = (Stamp{100} << 40) | 5'000'000;
  inode.applied = {3, 9'000'000};
  inode.content = Content::kInlineExtents;
  inode.extents = {usual_extent()};
  return inode;
}

void expect_same(const Inode& a, const Inode& b) {
  EXPECT_EQ(encode_inode(a), encode_inode(b));
  EXPECT_EQ(a.extents, b.extents);
  EXPECT_EQ(a.atime, b.atime);
  EXPECT_EQ(a.ctime, b.ctime);
  EXPECT_EQ(a.btime, b.btime);
  EXPECT_EQ(a.xattrs, b.xattrs);
  EXPECT_EQ(a.symlink, b.symlink);
  EXPECT_EQ(a.applied, b.applied);
  EXPECT_EQ(a.applied_others, b.applied_others);
  EXPECT_EQ(a.allocated, b.allocated);
  EXPECT_EQ(a.entries, b.entries);
}

TEST(InodeRecord, remembers_the_stores_of_other_writers) {
  Inode inode = usual_file();
  for (uint32_t i = 1; i <= kAppliedOthersMax; ++i)
    inode.applied_others.push_back({i, 1'000'000'000'000u + i});
  inode.xattrs = {{"user.a", "b"}};
  inode.unknown_tail = "newer";
  const Inode again = decode_inode(encode_inode(inode)).value();
  expect_same(again, inode);
  EXPECT_EQ(again.unknown_tail, "newer");
  inode.applied_others.push_back({9, 9});
  EXPECT_FALSE(decode_inode(encode_inode(inode)).ok());
}

TEST(InodeRecord, with_one_extent_fits_96_bytes) {
  EXPECT_LE(encode_inode(usual_file()).size(), 96u);
  Inode far = usual_file();
  far.parent = kInoMax;
  EXPECT_LE(encode_inode(far).size(), 96u);
}

TEST(InodeRecord, golden_bytes) {
  EXPECT_EQ(hex(encode_inode(usual_file())),
            "010fa48302e807e807018020"
            "82c49fd50cffc99a3b"
            "c08db701"
            "98f5f2f60f"
            "0115cd5b07"
            "02fec99a3b"
            "0115cd5b07"
            "c096b182808019"
            "03"
            "c0a8a504"
            "0101"
            "00"
            "09"
            "8020"
            "efcdab8967452301"
            "d209"
            "808ece1c"
            "efbeadde");
}

TEST(InodeRecord, every_field_comes_back) {
  Inode inode = usual_file();
  inode.flags = kFlagAppendOnly;
  inode.rdev = 0x801;
  inode.acl_access = 5;
  inode.acl_default = 6;
  inode.entries = 12;
  inode.allocated = 8192;
  inode.xattrs = {{"security.capability", std::string("\0\1\2", 3)}, {"user.a", ""}};
  inode.has_big_xattrs = true;
  inode.mtime = {-5'000'000'000, 1};
  inode.atime = {INT64_MAX, 0};
  inode.btime = {INT64_MIN, 999'999'999};
  Extent second = usual_extent();
  second.offset = 1 << 20;
  second.first = 100;
  second.length = 50;
  second.target.crc.reset();
  inode.extents.push_back(second);
  expect_same(inode, decode_inode(encode_inode(inode)).value());

  Inode link = usual_file();
  link.extents.clear();
  link.content = Content::kSymlink;
  link.symlink = "../there";
  expect_same(link, decode_inode(encode_inode(link)).value());
}

TEST(InodeRecord, fields_appended_by_a_newer_version_are_kept) {
  const std::string value = encode_inode(usual_file()) + "newer";
  const Inode inode = decode_inode(value).value();
  EXPECT_EQ(inode.unknown_tail, "newer");
  EXPECT_EQ(encode_inode(inode), value);
}

TEST(InodeRecord, a_newer_format_is_refused_as_such) {
  std::string value = encode_inode(usual_file());
  value[0] = 2;
  EXPECT_EQ(decode_inode(value).code(), ENOTSUP);
}

// Cutting and flipping must neither crash nor give something that violates what the header
// promises.
template <typename Decode>
void survive_damage(const std::string& value, Decode decode) {
  for (size_t cut = 0; cut < value.size(); ++cut) decode(value.substr(0, cut));
  for (size_t i = 0; i < value.size(); ++i) {
    for (const int flip : {0x01, 0x80, 0xff}) {
      std::string bad = value;
      bad[i] = static_cast<char>(bad[i] ^ flip);
      decode(bad);
    }
  }
}

TEST(InodeRecord, hostile_bytes_are_refused_or_make_a_valid_inode) {
  survive_damage(encode_inode(usual_file()), [](const std::string& bad) {
    const auto inode = decode_inode(bad);
    if (!inode.ok()) {
      EXPECT_TRUE(inode.code() == EBADMSG || inode.code() == ENOTSUP) << inode.error().to_string();
      return;
    }
    uint64_t end = 0;
    for (const Extent& extent : inode->extents) {
      EXPECT_GE(extent.offset, end);
      EXPECT_GT(extent.length, 0u);
      EXPECT_LE(extent.first + extent.length, extent.target.length);
      end = extent.end();
    }
  });
}

TEST(Entry, golden_and_hostile_bytes) {
  EXPECT_EQ(hex(encode_entry({8, 300})), "0108ac02");
  EXPECT_EQ(decode_entry(encode_entry({8, 300})).value(), (Entry{8, 300}));
  EXPECT_EQ(decode_entry(encode_entry({kWhiteout, 0})).value(), (Entry{kWhiteout, 0}));
  EXPECT_EQ(decode_entry("").code(), EBADMSG);
  EXPECT_EQ(decode_entry(std::string("\x01\x00\x05", 3)).code(), EBADMSG);  // a whiteout names none
  EXPECT_EQ(decode_entry(encode_entry({8, 300}) + "x").code(), EBADMSG);
  EXPECT_EQ(decode_entry("\x02\x08\x05").code(), ENOTSUP);
}

TEST(LinkCount, round_trip_and_bounds) {
  EXPECT_EQ(hex(encode_link_count(300)), "01ac02");
  EXPECT_EQ(decode_link_count(encode_link_count(300)).value(), 300u);
  EXPECT_EQ(decode_link_count(encode_link_count(0)).code(), EBADMSG);
}

TEST(Extent, unknown_kinds_are_refused_as_newer) {
  std::string value;
  Encoder out(value);
  encode_extent(out, usual_extent());
  value[0] = 3;
  Decoder in(value);
  EXPECT_EQ(decode_extent(in, 0).code(), ENOTSUP);
}

TEST(Keys, order_means_something) {
  EXPECT_LT(inode_key(255), inode_key(256));
  EXPECT_LT(extent_key(7, 255), extent_key(7, 256));
  EXPECT_LT(extent_key(7, UINT64_MAX >> 8), extent_key(8, 0));
  EXPECT_LT(entry_key(7, "zz"), entry_key(8, "a"));
  EXPECT_LT(entry_key(7, "a"), entry_key(7, "a!"));
  EXPECT_LT(reclaim_key(1, 9), reclaim_key(2, 1));
}

TEST(Keys, golden_bytes) {
  EXPECT_EQ(hex(inode_key(0x010203)), "490000000000010203");
  EXPECT_EQ(hex(entry_key(1, "ab")), "4400000000000000016162");
  EXPECT_EQ(hex(extent_key(2, 0x1000)), "4500000000000000020000000000001000");
  EXPECT_EQ(hex(back_reference_key({1, 2}, 3, 4)),
            "520000000000000001000000000000000200000000000000030000000000000004");
  EXPECT_EQ(hex(usage_key(0, 2)), "5500000000000000000002");
  EXPECT_EQ(hex(trash_key(5, 6)), "54000000050000000000000006");
  EXPECT_EQ(counter_key("ino"), "Cino");
}

TEST(Keys, every_parser_takes_its_own_and_refuses_the_rest) {
  EXPECT_EQ(parse_inode_key(inode_key(9)).value(), 9u);
  EXPECT_EQ(parse_entry_key(entry_key(9, "n")).value(), std::pair(Ino{9}, std::string("n")));
  EXPECT_EQ(parse_extent_key(extent_key(9, 5)).value(), std::pair(Ino{9}, uint64_t{5}));
  EXPECT_EQ(parse_segment_key(segment_key({1, 2})).value(), (SegmentId{1, 2}));
  EXPECT_EQ(parse_segment_key(live_key({1, 2})).value(), (SegmentId{1, 2}));
  EXPECT_EQ(parse_link_key(link_key(3, 4)).value(), std::pair(Ino{3}, Ino{4}));
  EXPECT_EQ(parse_xattr_key(xattr_key(3, "user.x")).value(),
            std::pair(Ino{3}, std::string("user.x")));
  EXPECT_EQ(parse_batch_key(batch_key(77)).value(), 77u);
  EXPECT_EQ(parse_batch_key("N77").code(), EBADMSG);
  EXPECT_EQ(parse_trash_key(trash_key(3, 4)).value(), std::pair(uint32_t{3}, Ino{4}));
  EXPECT_EQ(parse_reclaim_key(reclaim_key(3, 4)).value(), std::pair(Stamp{3}, Ino{4}));
  EXPECT_EQ(parse_open_unlinked_key(open_unlinked_key(3, 4)).value(),
            std::pair(SessionId{3}, Ino{4}));
  EXPECT_EQ(parse_back_reference_key(back_reference_key({1, 2}, 3, 4)).value().ino, 4u);
  for (const std::string& bad : {std::string(), std::string("I"), inode_key(9) + "x", inode_key(0),
                                 inode_key(kInoMax + 1), entry_key(1, "n")}) {
    EXPECT_EQ(parse_inode_key(bad).code(), EBADMSG);
  }
  EXPECT_EQ(parse_entry_key(entry_key(1, "")).code(), EBADMSG);
  EXPECT_EQ(parse_entry_key(entry_key(1, std::string(256, 'a'))).code(), EBADMSG);
  EXPECT_EQ(parse_segment_key(back_reference_key({1, 2}, 3, 4)).code(), EBADMSG);
}

Volume usual_volume() {
  Volume volume;
  volume.uuid.bytes[0] = 1;
  volume.name = "v";
  volume.lineage = 2;
  volume.epoch = 3;
  volume.opens = {Uuid{}, volume.uuid};
  volume.created = {-1, 5};
  volume.bucket = "file:///b";
  volume.durability = Durability::kObject;
  volume.trash_days = 7;
  volume.capacity_bytes = 1 << 30;
  volume.inodes_max = 100;
  return volume;
}

TEST(VolumeRecord, comes_back_with_what_a_newer_version_appended) {
  const std::string value = encode_volume(usual_volume()) + '\0' + "tail";
  const Volume volume = decode_volume(value).value();
  EXPECT_EQ(volume.opens.size(), 2u);
  EXPECT_EQ(volume.created, (Time{-1, 5}));
  EXPECT_EQ(volume.unknown_tail, "tail");
  EXPECT_EQ(encode_volume(volume), value);
  survive_damage(value, [](const std::string& bad) {
    if (auto damaged = decode_volume(bad); !damaged.ok()) {
      EXPECT_NE(damaged.code(), 0);
    }
  });
}

TEST(VolumeRecord, says_where_it_came_from_and_that_it_left) {
  Volume volume = usual_volume();
  const std::string before = encode_volume(volume);
  volume.lineage_before = 0x0102;
  volume.moved = Time{-2, 3};
  const std::string value = encode_volume(volume);
  EXPECT_EQ(hex(value.substr(0, before.size())), hex(before));
  EXPECT_EQ(hex(value.substr(before.size())), "0302010000000000000303000000");
  EXPECT_EQ(decode_volume(value).value().lineage_before, 0x0102u);
  EXPECT_EQ(decode_volume(value).value().moved, (Time{-2, 3}));
  EXPECT_EQ(decode_volume(before).value().lineage_before, 0u);
  EXPECT_FALSE(decode_volume(before).value().moved.has_value());
  EXPECT_EQ(encode_volume(decode_volume(value).value()), value);
}

TEST(SmallRecords, golden_bytes_and_damage) {
  const Segment segment{Segment::State::kStored, true, 3, 1000, 300, 0};
  EXPECT_EQ(hex(encode_segment(segment)),
            "0102010"
            "3e807ac0200");
  EXPECT_EQ(decode_segment(encode_segment(segment)).value().length, 1000u);
  const Segment lost{Segment::State::kLost, false, 3, 0, 300, 0};
  EXPECT_EQ(hex(encode_segment(lost)), "0104000300ac0200");
  EXPECT_EQ(decode_segment(encode_segment(lost)).value().state, Segment::State::kLost);
  const TrashRecord trash{5, "name", {1'700'000'000, 1}};
  EXPECT_EQ(hex(encode_trash(trash)), "0105046e616d6580c49fd50c01000000");
  EXPECT_EQ(decode_trash(encode_trash(trash)).value().name, "name");
  const StoreRecord store{2, "host", "/path", {1, 2}};
  EXPECT_EQ(decode_store(encode_store(store)).value().nonces.size(), 2u);
  EXPECT_EQ(hex(encode_store({2, "h", "/p", {1}, ""})),
            "010201"
            "68022f70"
            "010100000000000000");
  const StoreRecord served{2, "h", "/p", {1}, "tcp:a:1"};
  EXPECT_EQ(hex(encode_store(served)),
            hex(encode_store({2, "h", "/p", {1}, ""})) + "077463703a613a31");
  EXPECT_EQ(decode_store(encode_store(served))->address, "tcp:a:1");
  EXPECT_EQ(decode_store(encode_store(store))->address, "") << "of before there were addresses";
  EXPECT_EQ(hex(encode_reclaim({})), "0100");
  EXPECT_EQ(decode_reclaim(encode_reclaim({true, 5, 9})).value().to, 9u);
  EXPECT_EQ(decode_reclaim(encode_reclaim({true, 9, 9})).code(), EBADMSG);
  const SessionRecord session{"h", "d", {1, 2}};
  EXPECT_EQ(decode_session(encode_session(session)).value().opened, (Time{1, 2}));
  OwnerMarker marker;
  marker.epoch = 9;
  EXPECT_EQ(decode_owner_marker(encode_owner_marker(marker)).value().epoch, 9u);
  EXPECT_EQ(decode_owner_marker("something else").code(), EBADMSG);
  const auto refuse = [](auto result) {
    if (!result.ok()) {
      EXPECT_NE(result.code(), 0);
    }
  };
  survive_damage(encode_segment(segment),
                 [&](const std::string& bad) { refuse(decode_segment(bad)); });
  survive_damage(encode_trash(trash), [&](const std::string& bad) { refuse(decode_trash(bad)); });
  survive_damage(encode_store(store), [&](const std::string& bad) { refuse(decode_store(bad)); });
  survive_damage(encode_store(served), [&](const std::string& bad) { refuse(decode_store(bad)); });
  survive_damage(encode_owner_marker(marker),
                 [&](const std::string& bad) { refuse(decode_owner_marker(bad)); });
}

}  // namespace
}  // namespace shoal::format
