// Ops: every request but INIT and DESTROY, decoded, handed to the Client and answered. No policy:
// what a request means is decided below. One ops_*.cc per family.
//
// Thread-safe. A call blocks as long as the client does, except SETLKW, which is answered later on
// another thread.
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "client/client.h"
#include "fuse/attributes.h"
#include "fuse/cookies.h"
#include "fuse/given_out.h"
#include "fuse/notifier.h"
#include "fuse/reply.h"
#include "fuse/request.h"

namespace shoal::fuse {

class Ops {
 public:
  struct Options {
    AttributeEncoder encoder;
    bool posix_acl = true;          // negotiated; without it the kernel applied the umask
    bool cache_directories = true;  // the kernel may keep listings
  };

  // `client`, `transport` and `notifier` outlive it. `before_blocking` is called ahead of what may
  // block.
  Ops(client::Client& client, Notifier& notifier, GivenOut& given_out, const Options& options,
      std::function<void()> before_blocking);
  ~Ops();  // cancels the locks still waited for and answers them

  void serve(const Request& request, const Reply& reply);

  // Requests that must not be answered: FORGET, BATCH_FORGET, INTERRUPT.
  static bool expects_reply(uint32_t opcode);
  // Whether serving it may wait for a disk's sync, a network or another program. A buffered write
  // of the engine and a write to staging's page cache do not count.
  static bool may_block(uint32_t opcode);

 private:
  // Every handler answers exactly once.
  void lookup(const Request& request, const Reply& reply);
  void mknod(const Request& request, const Reply& reply);
  void mkdir(const Request& request, const Reply& reply);
  void symlink(const Request& request, const Reply& reply);
  void link(const Request& request, const Reply& reply);
  void unlink(const Request& request, const Reply& reply);
  void rmdir(const Request& request, const Reply& reply);
  void rename(const Request& request, const Reply& reply);
  void rename2(const Request& request, const Reply& reply);
  void readlink(const Request& request, const Reply& reply);

  void getattr(const Request& request, const Reply& reply);
  void statx(const Request& request, const Reply& reply);
  void setattr(const Request& request, const Reply& reply);
  void statfs(const Request& request, const Reply& reply);
  void setxattr(const Request& request, const Reply& reply);
  void getxattr(const Request& request, const Reply& reply);
  void listxattr(const Request& request, const Reply& reply);
  void removexattr(const Request& request, const Reply& reply);
  void ioctl(const Request& request, const Reply& reply);

  void open(const Request& request, const Reply& reply);
  void create(const Request& request, const Reply& reply);
  void tmpfile(const Request& request, const Reply& reply);
  void read(const Request& request, const Reply& reply);
  void write(const Request& request, const Reply& reply);
  void flush(const Request& request, const Reply& reply);
  void release(const Request& request, const Reply& reply);
  void fsync(const Request& request, const Reply& reply);
  void fallocate(const Request& request, const Reply& reply);
  void lseek(const Request& request, const Reply& reply);
  void copy_file_range(const Request& request, const Reply& reply, bool wide);
  void syncfs(const Request& request, const Reply& reply);

  void opendir(const Request& request, const Reply& reply);
  void readdir(const Request& request, const Reply& reply, bool plus);
  void releasedir(const Request& request, const Reply& reply);
  void fsyncdir(const Request& request, const Reply& reply);
  void forget(const Request& request);
  void forget(uint64_t node, uint64_t lookups);
  void batch_forget(const Request& request);

  void getlk(const Request& request, const Reply& reply);
  void setlk(const Request& request, const Reply& reply);
  void setlkw(const Request& request, const Reply& reply);
  void interrupt(const Request& request);

  bool serve_names(const Request& request, const Reply& reply);
  bool serve_attributes(const Request& request, const Reply& reply);
  bool serve_files(const Request& request, const Reply& reply);
  bool serve_directories(const Request& request, const Reply& reply);

  Ino ino(uint64_t node) const { return options_.encoder.nodes.ino(node); }
  Ino ino(const Request& request) const { return ino(request.nodeid); }
  client::Caller caller(const Request& request) const;
  // For operations that make something: with umask and the groups the kernel attached. EINVAL:
  // malformed.
  Result<client::Caller> creator(const Request& request, uint32_t umask) const;
  // `name` in the directory that the request names; empty: no name that the kernel asked by.
  void reply_entry(const Request& request, std::string_view name, const Reply& reply,
                   const Result<client::Attr>& attr);
  AttributeEncoder encoder(const CacheTimes& times) const;
  void reply_attr(const Reply& reply, const Result<client::Attr>& attr);
  // Of a request on a node: one that is gone was perhaps replaced by another mount since the kernel
  // looked its name up. At ESTALE it looks again before it tells the program.
  int code_of_node(int code) const;
  // With `entry_name`: of what was made.
  void reply_opened(const Request& request, const Reply& reply,
                    const Result<client::OpenedFile>& opened, uint32_t flags,
                    std::optional<std::string_view> entry_name);
  void reply_bytes(const Reply& reply, std::string_view bytes, uint32_t room) const;
  void rename_to(const Request& request, const Reply& reply, Arguments& arguments, uint64_t new_dir,
                 meta::RenameMode mode);
  Result<client::HandleId> handle_for_write(const Request& request, const fuse_write_in& in);
  struct ListState;
  bool list_dots(ListState& list, uint64_t from);
  bool list_page(ListState& list, const meta::DirPage& page, const GivenOut::Answer& answer);
  Status list_names(ListState& list, uint64_t from, const GivenOut::Answer& answer);

  client::Client& client_;
  Notifier& notifier_;
  GivenOut& given_out_;
  const Options options_;
  const std::function<void()> before_blocking_;
  CookieTables cookies_;

  // Files opened with O_APPEND: the kernel may pick any writable handle to write back mapped pages,
  // which belong at their offset and not at the end of the file. Such pages go through a second
  // handle without O_APPEND.
  struct AppendFile {
    Ino ino = 0;
    client::HandleId plain = 0;  // 0: not opened yet
  };
  Mutex append_mutex_;
  std::unordered_map<client::HandleId, AppendFile> append_files_ GUARDED_BY(append_mutex_);

  // Requests under way whose thread looks at a flag now and then: by unique. A flag lives until
  // end_interruptible().
  bool interrupted_early(uint64_t unique) REQUIRES(waits_mutex_);
  void begin_interruptible(uint64_t unique, std::atomic<bool>& given_up);
  void end_interruptible(uint64_t unique);

  struct WaitingLock {
    uint64_t ticket = 0;
    bool interrupted = false;
  };
  static constexpr size_t kEarlyInterruptsMax = 64;
  Mutex waits_mutex_;
  CondVar locks_changed_;
  std::unordered_map<uint64_t, WaitingLock> waiting_locks_ GUARDED_BY(waits_mutex_);  // by unique
  std::unordered_map<uint64_t, std::atomic<bool>*> interruptible_ GUARDED_BY(waits_mutex_);
  // Uniques whose INTERRUPT another thread served before the request itself got this far. Never
  // reused, so what belongs to requests that are long answered does no harm.
  std::deque<uint64_t> early_interrupts_ GUARDED_BY(waits_mutex_);
};

}  // namespace shoal::fuse
