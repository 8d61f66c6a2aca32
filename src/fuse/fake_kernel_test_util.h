// A kernel for tests: builds requests, sends them through a FakeTransport to a Session over the toy
// file system, and reads the replies.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "base/log.h"
#include "fuse/fake_client_test_util.h"
#include "fuse/fake_transport.h"
#include "fuse/features.h"
#include "fuse/kernel_abi.h"
#include "fuse/session.h"

namespace shoal::fuse {

template <typename T>
std::string raw(const T& value) {
  return std::string(reinterpret_cast<const char*>(&value), sizeof value);
}
inline std::string name(std::string_view text) { return std::string(text) + '\0'; }

template <typename T>
T as(const FakeReply& reply, size_t offset = 0) {
  T value{};
  EXPECT_EQ(reply.error, 0);
  EXPECT_GE(reply.payload.size(), offset + sizeof value);
  if (reply.payload.size() >= offset + sizeof value) {
    std::memcpy(&value, reply.payload.data() + offset, sizeof value);
  }
  return value;
}

struct ListedEntry {
  std::string name;
  uint64_t cookie = 0;
  uint64_t ino = 0;
  uint32_t type = 0;
  uint64_t node = 0;  // READDIRPLUS
};

class FakeKernel {
 public:
  static constexpr uint64_t kAllFlags = ~uint64_t{0};

  explicit FakeKernel(const SessionOptions& options = {}, uint64_t offered = kAllFlags,
                      uint32_t minor = 45, uint32_t major = 7) {
    set_log_sink([](LogLevel, std::string_view) {});
    session = Session::start(transport, client, options);
    fuse_init_in in{};
    in.major = major;
    in.minor = minor;
    in.max_readahead = 128 << 10;
    in.flags = static_cast<uint32_t>(offered);
    in.flags2 = static_cast<uint32_t>(offered >> 32);
    init_reply = call(FUSE_INIT, 0, raw(in));
  }
  ~FakeKernel() {
    transport.close();
    session.reset();
    set_log_sink(nullptr);
  }

  std::string request(uint32_t opcode, uint64_t node, const std::string& arguments,
                      const std::string& extensions = "") {
    fuse_in_header header{};
    header.len = static_cast<uint32_t>(sizeof header + arguments.size() + extensions.size());
    header.opcode = opcode;
    header.unique = last_unique += 2;
    header.nodeid = node;
    header.uid = 1001;
    header.gid = 1002;
    header.pid = 1003;
    header.total_extlen = static_cast<uint16_t>(extensions.size() / 8);
    return raw(header) + arguments + extensions;
  }
  FakeReply call(uint32_t opcode, uint64_t node, const std::string& arguments,
                 const std::string& extensions = "") {
    transport.push(request(opcode, node, arguments, extensions));
    return transport.take_reply(last_unique);
  }
  // For requests without a reply: returns when it was served.
  void tell(uint32_t opcode, uint64_t node, const std::string& arguments) {
    transport.push(request(opcode, node, arguments));
    transport.wait_idle();
  }

  uint64_t lookup(uint64_t parent, std::string_view child) {
    return as<fuse_entry_out>(call(FUSE_LOOKUP, parent, name(child))).nodeid;
  }
  uint64_t mkdir(uint64_t parent, std::string_view child) {
    return as<fuse_entry_out>(call(FUSE_MKDIR, parent, raw(fuse_mkdir_in{0755, 0}) + name(child)))
        .nodeid;
  }
  struct Created {
    uint64_t node = 0;
    uint64_t handle = 0;
  };
  Created create(uint64_t parent, std::string_view child, uint32_t flags = O_RDWR) {
    const fuse_create_in in{flags | O_CREAT, 0100644, 022, 0};
    const FakeReply reply = call(FUSE_CREATE, parent, raw(in) + name(child));
    return {as<fuse_entry_out>(reply).nodeid, as<fuse_open_out>(reply, sizeof(fuse_entry_out)).fh};
  }
  FakeReply write(const Created& file, uint64_t offset, const std::string& bytes,
                  uint32_t flags = 0) {
    fuse_write_in in{};
    in.fh = file.handle;
    in.offset = offset;
    in.size = static_cast<uint32_t>(bytes.size());
    in.write_flags = flags;
    return call(FUSE_WRITE, file.node, raw(in) + bytes);
  }
  FakeReply read(const Created& file, uint64_t offset, uint32_t size) {
    fuse_read_in in{};
    in.fh = file.handle;
    in.offset = offset;
    in.size = size;
    return call(FUSE_READ, file.node, raw(in));
  }
  FakeReply lock(uint32_t opcode, const Created& file, uint64_t owner, uint32_t type,
                 uint32_t flags) {
    return call(opcode, file.node, lock_arguments(file, owner, type, flags));
  }
  static std::string lock_arguments(const Created& file, uint64_t owner, uint32_t type,
                                    uint32_t flags) {
    fuse_lk_in in{};
    in.fh = file.handle;
    in.owner = owner;
    in.lk = {0, 0x7fff'ffff'ffff'ffff, type, 77};
    in.lk_flags = flags;
    return raw(in);
  }
  FakeReply readdir_raw(uint64_t node, uint64_t cookie, uint32_t size, bool plus) {
    fuse_read_in in{};
    in.offset = cookie;
    in.size = size;
    return call(plus ? FUSE_READDIRPLUS : FUSE_READDIR, node, raw(in));
  }
  std::vector<ListedEntry> readdir(uint64_t node, uint64_t cookie, uint32_t size = 4096,
                                   bool plus = false) {
    const FakeReply reply = readdir_raw(node, cookie, size, plus);
    EXPECT_EQ(reply.error, 0);
    EXPECT_LE(reply.payload.size(), size);
    std::vector<ListedEntry> entries;
    const size_t skip = plus ? sizeof(fuse_entry_out) : 0;
    for (size_t at = 0; at < reply.payload.size();) {
      const auto dirent = as<DirentHead>(reply, at + skip);
      ListedEntry entry;
      entry.name = reply.payload.substr(at + skip + sizeof(DirentHead), dirent.namelen);
      entry.cookie = dirent.off;
      entry.ino = dirent.ino;
      entry.type = dirent.type;
      if (plus) entry.node = as<fuse_entry_out>(reply, at).nodeid;
      entries.push_back(entry);
      at += FUSE_REC_ALIGN(skip + sizeof(DirentHead) + dirent.namelen);
    }
    return entries;
  }
  // All of it from `cookie` on.
  std::vector<ListedEntry> list(uint64_t node, uint64_t cookie = 0, uint32_t size = 4096,
                                bool plus = false) {
    std::vector<ListedEntry> all;
    while (true) {
      const std::vector<ListedEntry> some = readdir(node, cookie, size, plus);
      if (some.empty()) return all;
      all.insert(all.end(), some.begin(), some.end());
      cookie = all.back().cookie;
    }
  }

  FakeClient client;
  FakeTransport transport;
  std::unique_ptr<Session> session;
  FakeReply init_reply;
  uint64_t last_unique = 0;

 private:
  struct DirentHead {
    uint64_t ino, off;
    uint32_t namelen, type;
  };
  static_assert(sizeof(DirentHead) == FUSE_NAME_OFFSET);
};

}  // namespace shoal::fuse
